//! A `redis-server` to compare with.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Reply;

/// A real Redis, and a connection to it.
pub struct Redis {
    process: Child,
    stream: TcpStream,
    input: Vec<u8>,
    directory: std::path::PathBuf,
}

impl Redis {
    /// Starts one with these options, if there is a `redis-server` on the path.
    pub fn start(options: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let directory = std::env::temp_dir().join(format!("onecopy-redis-{port}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(options)
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_nodelay(true).expect("no delay");
                return Some(Self { process, stream, input: Vec::new(), directory });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("redis-server does not accept connections");
    }

    /// Executes a command.
    pub fn run(&mut self, args: &[Vec<u8>]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("written");
        loop {
            let mut rest = self.input.as_slice();
            if let Some(reply) = Reply::parse(&mut rest) {
                let used = self.input.len() - rest.len();
                self.input.drain(..used);
                return reply;
            }
            let mut chunk = [0; 1 << 16];
            let count = self.stream.read(&mut chunk).expect("read");
            assert!(count > 0, "redis-server hung up");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Which random commands, and how many.
pub fn seed_and_count() -> (u64, u64) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    (number("ONECOPY_REDIS_SEED", 1), number("ONECOPY_REDIS_COMMANDS", 30_000))
}
