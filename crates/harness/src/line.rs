//! A connection on which lines are said, as a person types them, and replies and pushes are heard whenever
//! they come.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use onecopy_resp::replies_length;

use crate::{PATIENCE, wait};

/// A connection that says lines, and hears whatever comes.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Line {
    /// One to a node, or to a Redis. It speaks RESP2 until it says something else.
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        Self { stream, heard: Vec::new() }
    }

    /// Where it speaks from.
    pub fn from(&self) -> SocketAddr {
        self.stream.local_addr().expect("an address")
    }

    /// Says a line, and waits for nothing.
    pub fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).expect("said");
    }

    /// What comes next, if it has come.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn poll(&mut self) -> Result<Option<String>, ErrorKind> {
        let mut chunk = [0; 1 << 16];
        loop {
            if let Some(length) = replies_length(&self.heard, 1) {
                let reply = self.heard.drain(..length).collect();
                return Ok(Some(String::from_utf8(reply).expect("text")));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof),
                Ok(count) => self.heard.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error.kind()),
            }
        }
    }

    /// What comes next, once it has come.
    pub fn hear(&mut self) -> String {
        wait("a reply", PATIENCE, || self.poll().expect("it is connected"))
    }

    /// Says a line; what comes next.
    pub fn say(&mut self, line: &str) -> String {
        self.send(line);
        self.hear()
    }
}
