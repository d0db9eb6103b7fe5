//! `onecopy server`: runs one node.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use onecopy_node::{Config, Ending, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::DONE;
use crate::settings::{Overrides, load};

/// The exit code of a node that stopped at once because one of its threads had died.
pub const EXIT_BROKEN: i32 = 70;
/// How long a node may take to stop cleanly. Its data is safe without, so a supervisor is not kept waiting.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Run one node.
///
/// Its settings come from a file, from environment variables and from flags; of these, the last counts most.
/// Without a file, all settings that have no default must be given by flags or variables. The node stops
/// cleanly on SIGTERM and SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy server --config node.toml\n  \
    ONECOPY_DURABILITY=memory onecopy server --config node.toml --log debug")]
pub struct Arguments {
    /// The configuration file; `onecopy config example` prints one.
    #[arg(long, short, env = "ONECOPY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged to stderr: error, warn, info, debug or trace, also by module
    /// (`info,onecopy_node=debug`).
    #[arg(long, env = "ONECOPY_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
    /// How it is logged.
    #[arg(long, env = "ONECOPY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// Stop when stdin is closed. `onecopy dev` gives its nodes a pipe that nobody writes to: the kernel
    /// closes it however `dev` dies, even by SIGKILL, when it has no chance to stop its nodes itself. (The
    /// other way, a death signal from the parent, would need unsafe code between fork and exec.)
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Runs the command, until the node is stopped.
///
/// # Errors
/// The node could not be started.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    start_logging(arguments)?;
    use_small_pages();
    let config = load(arguments.config.as_deref(), &arguments.overrides)?.config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(async {
        // The signals are listened for before the node can be reached: whoever sees it listen may stop it.
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stdin_closed = stdin_closed(arguments.exit_with_stdin);
        let mut server = Server::start(config.clone())?;
        announce(&config);
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = stdin_closed => "the closed stdin",
            ending = server.ended() => match ending {
                Ending::Broken(failure) => stop_at_once(&failure),
                Ending::BeginsAnew => begin_anew(),
                Ending::ShutDown => "SHUTDOWN",
            },
        };
        info!("stopping because of {reason}");
        anyhow::Ok(server)
    })?;
    std::thread::spawn(|| {
        std::thread::sleep(STOP_TIMEOUT);
        stop_at_once(&format!("the node did not stop within {} s", STOP_TIMEOUT.as_secs()));
    });
    server.stop();
    info!("stopped");
    Ok(DONE)
}

/// Starts the program anew in this process, with the same arguments: nothing of what it had in memory
/// remains, and whoever looks after the process does not notice. To the others this is a crash, followed by a
/// start.
fn begin_anew() -> ! {
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).exec();
    stop_at_once(&format!("the process cannot begin anew: {error}"))
}

/// Ends the process without any clean-up. A node one of whose threads has died is in a state that nobody has
/// thought of: it must not send or write another byte. To the others this is a crash, which the protocols
/// survive.
fn stop_at_once(failure: &str) -> ! {
    eprintln!("onecopy: {failure}; the node stops at once (what it acknowledged is safe: start it again)");
    std::process::exit(EXIT_BROKEN);
}

fn announce(config: &Config) {
    use onecopy_node::config::NodeRole;
    let clients =
        if config.has(NodeRole::Coordinator) { config.redis.to_string() } else { "none".to_owned() };
    info!(
        node = config.node,
        cluster = config.cluster,
        redis = clients,
        http = %config.http,
        peer = %config.peer,
        data = %config.data.display(),
        version = env!("CARGO_PKG_VERSION"),
        "the node listens"
    );
}

/// No page of memory is a huge one (2 MiB), as in Redis: the first touch of a huge page clears all of it,
/// during which the thread that touches it serves nobody.
fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        warn!(%error, "the kernel goes on using huge pages: large values may hold up others for longer");
    }
}

fn start_logging(arguments: &Arguments) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&arguments.log).with_context(|| {
        format!("--log {:?} is not a level (error, warn, info, debug, trace) or list of them", arguments.log)
    })?;
    let logging =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match arguments.log_format {
        LogFormat::Text => logging.init(),
        LogFormat::Json => logging.json().init(),
    }
    Ok(())
}

/// Waits until stdin is closed; for ever, if it does not matter.
async fn stdin_closed(matters: bool) {
    if !matters {
        return std::future::pending().await;
    }
    let (closed, wait) = oneshot::channel::<()>();
    // A thread, as a pipe cannot be read without blocking. It ends with the process.
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while std::io::stdin().read(&mut buffer).is_ok_and(|count| count > 0) {}
        drop(closed);
    });
    let _ = wait.await;
}
