//! Connections that send what they like, and read little or nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PASSWORD;

/// How long a stranger tries to get rid of its bytes.
const POURING: Duration = Duration::from_secs(5);
/// How long it waits for an answer.
const LISTENING: Duration = Duration::from_millis(500);
/// How long it waits for its turn to give the password.
const TURN: Duration = Duration::from_secs(5);
/// How much of an answer is shown.
const SHOWN: usize = 48;

/// Connections that stay open.
#[derive(Debug, Default)]
pub(crate) struct Held {
    strangers: Vec<Stranger>,
}

#[derive(Debug)]
pub(crate) struct Stranger {
    stream: Option<TcpStream>,
    /// Whether the other side took everything.
    was_taken: bool,
}

impl Stranger {
    /// Connects, unless that is refused.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok();
        if let Some(stream) = &stream {
            let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
            let _ = stream.set_read_timeout(Some(LISTENING));
        }
        Self { stream, was_taken: true }
    }

    /// The same, and sends these bytes.
    pub(crate) fn pouring(address: SocketAddr, bytes: &[u8]) -> Self {
        let mut stranger = Self::new(address);
        stranger.pour(bytes);
        stranger
    }

    /// The same, and gives the password. Where others have guessed from the same address, that takes its
    /// turn.
    pub(crate) fn authenticated(address: SocketAddr) -> Self {
        let stranger = Self::pouring(address, &command(&[b"AUTH", PASSWORD.as_bytes()]));
        let mut answer = [0; 5];
        let read = stranger.stream.as_ref().map(|mut stream| {
            stream.set_read_timeout(Some(TURN))?;
            stream.read_exact(&mut answer)?;
            stream.set_read_timeout(Some(LISTENING))
        });
        assert!(matches!(read, Some(Ok(()))) && &answer == b"+OK\r\n", "{read:?}: the password is right");
        stranger
    }

    /// Sends bytes until they are gone, the other side hangs up, or takes nothing for too long.
    pub(crate) fn pour(&mut self, mut bytes: &[u8]) {
        let begun = Instant::now();
        while !bytes.is_empty() && begun.elapsed() < POURING {
            let Some(stream) = &mut self.stream else { break };
            match stream.write(bytes) {
                Ok(0) => break,
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        self.was_taken &= bytes.is_empty();
    }

    /// The beginning of what it is told, for people.
    fn answer(&mut self) -> String {
        let Some(stream) = &mut self.stream else { return "refused".to_owned() };
        let mut buffer = [0; SHOWN];
        let said = match stream.read(&mut buffer) {
            Ok(0) => "closed".to_owned(),
            Ok(count) => {
                let text = String::from_utf8_lossy(&buffer[..count]);
                let line = text.lines().next().unwrap_or_default().replace(['|', '`'], " ");
                format!("`{line}`")
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => "silence".to_owned(),
            Err(_) => "closed".to_owned(),
        };
        if self.was_taken { said } else { format!("{said}, not all taken") }
    }
}

impl Held {
    /// One stranger.
    pub(crate) fn one(stranger: Stranger) -> Self {
        Self { strangers: vec![stranger] }
    }

    /// So many of them, one after the other.
    pub(crate) fn many(count: usize, stranger: impl Fn(usize) -> Stranger) -> Self {
        Self { strangers: (0..count).map(stranger).collect() }
    }

    /// So many of them at once.
    pub(crate) fn at_once(count: usize, stranger: impl Fn(usize) -> Stranger + Sync) -> Self {
        let stranger = &stranger;
        let strangers = std::thread::scope(|scope| {
            let all: Vec<_> = (0..count).map(|number| scope.spawn(move || stranger(number))).collect();
            all.into_iter().map(|one| one.join().expect("no stranger panics")).collect()
        });
        Self { strangers }
    }

    /// What the last of them is told.
    pub(crate) fn first_answer(&self) -> String {
        let Some(last) = self.strangers.last() else { return "silence".to_owned() };
        let stream = last.stream.as_ref().and_then(|stream| stream.try_clone().ok());
        Stranger { stream, was_taken: last.was_taken }.answer()
    }
}

/// A command as clients send it.
pub(crate) fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The same command, so many times.
pub(crate) fn repeated(count: usize, args: &[&[u8]]) -> Vec<u8> {
    command(args).repeat(count)
}
