//! A real Redis to compare with.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Reply;
use super::templates::Compare;
use super::unordered::unordered;

/// A server, and a connection to it.
pub struct Redis {
    process: Child,
    port: u16,
    connection: Connection,
    directory: std::path::PathBuf,
}

impl Redis {
    /// Starts one with these options. None if there is no `redis-server` on the path.
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
            if let Some(connection) = Connection::to(port) {
                return Some(Self { process, port, connection, directory });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("redis-server does not accept connections");
    }

    /// What it answers on its first connection.
    pub fn run(&mut self, args: &[Vec<u8>]) -> Reply {
        self.connection.run(args)
    }

    /// Another connection.
    pub fn connect(&self) -> Connection {
        Connection::to(self.port).expect("it takes connections")
    }
}

/// A connection to a server.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Connection {
    fn to(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).expect("no delay");
        Some(Self { stream, input: Vec::new() })
    }

    /// What it answers.
    pub fn run(&mut self, args: &[Vec<u8>]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("written");
        self.hear()
    }

    /// What comes next.
    pub fn hear(&mut self) -> Reply {
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

/// Numbers of any spelling, in RESP2 and in RESP3.
fn normal(reply: Reply) -> Reply {
    // Adding zero turns a negative zero, which is none here, into a positive one.
    let number =
        |text: &str| text.parse::<f64>().ok().map(|value| Reply::Double(format!("{:?}", value + 0.0)));
    match reply {
        Reply::Double(text) => number(&text).unwrap_or(Reply::Double(text)),
        Reply::Bulk(bytes) if bytes == b"-0" => Reply::Bulk(b"0".to_vec()),
        Reply::Bulk(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // Only what has a fraction may differ in spelling, and what is so large that its last digits are
            // unknown: Redis 7.0 writes an exponent.
            let spelled = text.contains(['.', 'e']) || text.len() >= 18 && text.ends_with('0');
            let spelled = spelled && text.bytes().all(|byte| b"0123456789.e+-".contains(&byte));
            spelled.then(|| number(&text)).flatten().unwrap_or(Reply::Bulk(bytes))
        }
        Reply::Array(items) => Reply::Array(items.into_iter().map(normal).collect()),
        Reply::Map(items) => Reply::Map(items.into_iter().map(normal).collect()),
        Reply::Set(items) => Reply::Set(items.into_iter().map(normal).collect()),
        other => other,
    }
}

/// A reply, of which nothing is left that need not be equal.
pub fn comparable(reply: Reply, compare: Compare) -> Reply {
    match (unordered(normal(reply), compare), compare) {
        (Reply::Integer(time), Compare::Remaining) if time > 0 => Reply::Integer((time + 30_000) / 60_000),
        (reply, _) => reply,
    }
}

/// Which random commands, and how many.
pub fn seed_and_count() -> (u64, u64) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    (number("ONECOPY_REDIS_SEED", 1), number("ONECOPY_REDIS_COMMANDS", 30_000))
}
