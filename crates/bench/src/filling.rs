//! Fills a server with data, in pipelines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::ensure;

use crate::reply::Replies;

/// Elements or keys in one command, and commands in a pipeline.
pub(crate) const TOGETHER: u64 = 100;
const PIPELINE: u64 = 20;

pub(crate) fn connect(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) fn request(words: &[impl AsRef<str>]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    request
}

/// Sends a request, and waits for so many replies, none of them an error.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8], count: u64) -> anyhow::Result<()> {
    stream.write_all(request)?;
    let mut replies = Replies::default();
    let mut buffer = [0; 1 << 12];
    while replies.complete() < count {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the connection was closed");
        replies.take(&buffer[..read])?;
    }
    ensure!(replies.errors() == 0, "{} errors", replies.errors());
    Ok(())
}

/// Sends commands, each for some of `count` numbers, in pipelines.
pub(crate) fn fill(
    server: SocketAddr,
    count: u64,
    command: impl Fn(std::ops::Range<u64>) -> Vec<u8>,
) -> anyhow::Result<()> {
    let mut stream = connect(server)?;
    for start in (0..count).step_by((TOGETHER * PIPELINE) as usize) {
        let end = count.min(start + TOGETHER * PIPELINE);
        let starts: Vec<u64> = (start..end).step_by(TOGETHER as usize).collect();
        let commands = starts.iter().flat_map(|start| command(*start..end.min(start + TOGETHER)));
        let request: Vec<u8> = commands.collect();
        exchange(&mut stream, &request, starts.len() as u64)?;
    }
    Ok(())
}

/// Makes a collection with so many members: `command` adds some to a key.
pub(crate) fn collection(server: SocketAddr, command: [&str; 2], count: u64) -> anyhow::Result<()> {
    fill(server, count, |numbers| {
        let members: Vec<String> = numbers.map(|number| format!("member:{number:09}")).collect();
        let words: Vec<&str> = command.into_iter().chain(members.iter().map(String::as_str)).collect();
        request(&words)
    })
}
