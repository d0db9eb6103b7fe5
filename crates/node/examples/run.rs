fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    let path = std::env::args().nth(1).unwrap();
    let config: onecopy_node::Config = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    match onecopy_node::Server::start(config) {
        Ok(_s) => std::thread::sleep(std::time::Duration::from_secs(100000)),
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    }
}
