//! A running Redis or Valkey, as one of its replicas sees it.
//!
//! A replica says `PSYNC`, and is sent a dump and everything that changes data from then on, or, if it knows
//! the history and the source still has what follows, only that. The source describes itself in
//! "Replication" of its documentation; what is on the wire is said by `replication.c` alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use redis::{Client, Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// A source that says nothing for so long is taken for dead: it pings its replicas every ten seconds.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);
/// A line of an answer has no more bytes.
const LINE_MAX: u64 = 4096;

/// Where the source is, and who we are there.
#[derive(Clone, Debug)]
pub(super) struct Source {
    info: ConnectionInfo,
}

/// What a source says to `PSYNC`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// A dump of so many bytes, and then its history from this byte on.
    Anew { id: String, begin: u64, bytes: u64 },
    /// What it has done since, under this name.
    GoesOn { id: String },
}

impl Source {
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let info = url.into_connection_info().with_context(|| {
            // The URL may have a password in it.
            "the source is no redis://[[USER]:PASSWORD@]HOST[:PORT]".to_owned()
        })?;
        ensure!(matches!(info.addr(), ConnectionAddr::Tcp(..)), "only redis:// without TLS can be followed");
        Ok(Self { info })
    }

    /// A connection to ask questions.
    pub(super) fn client(&self) -> anyhow::Result<Connection> {
        let connect = || -> redis::RedisResult<Connection> {
            let connection = Client::open(self.info.clone())?.get_connection_with_timeout(CONNECTING)?;
            connection.set_read_timeout(Some(SILENCE))?;
            Ok(connection)
        };
        connect().context("the source cannot be reached")
    }

    /// Follows the source: from a byte of its history if there is one, or else from a dump on.
    pub(super) fn follow(
        &self,
        from: Option<(&str, u64)>,
    ) -> anyhow::Result<(Follows, BufReader<TcpStream>)> {
        let mut stream = BufReader::with_capacity(1 << 20, self.connect()?);
        let settings = self.info.redis_settings();
        if let Some(password) = settings.password() {
            let user = settings.username();
            let words: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password]).collect();
            let answer = ask(&mut stream, &words)?;
            ensure!(answer == "+OK", "the source refuses the password: {answer}");
        }
        // It sends the dump with its length in front then, since we do not say that we know another form.
        let answer = ask(&mut stream, &["REPLCONF", "capa", "psync2"])?;
        ensure!(answer == "+OK", "the source refuses a replica: {answer}");
        let answer = match from {
            // The first byte that is wanted.
            Some((id, received)) => ask(&mut stream, &["PSYNC", id, &(received + 1).to_string()])?,
            None => ask(&mut stream, &["PSYNC", "?", "-1"])?,
        };
        let follows = match (answer.split_ascii_whitespace().collect::<Vec<_>>().as_slice(), from) {
            (["+CONTINUE", id], Some(_)) => Follows::GoesOn { id: (*id).to_owned() },
            (["+CONTINUE"], Some((id, _))) => Follows::GoesOn { id: id.to_owned() },
            (["+FULLRESYNC", id, begin], _) => {
                let begin = begin.parse().context("the source begins its history nowhere")?;
                let length = line(&mut stream)?;
                let bytes = length.strip_prefix('$').and_then(|length| length.parse().ok());
                let bytes = bytes.with_context(|| format!("the source sends no dump, but {length}"))?;
                Follows::Anew { id: (*id).to_owned(), begin, bytes }
            }
            _ => bail!("the source refuses a replica: {answer}"),
        };
        Ok((follows, stream))
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let ConnectionAddr::Tcp(host, port) = self.info.addr() else { bail!("this is no address") };
        let mut failed = None;
        for address in (host.as_str(), *port).to_socket_addrs().context("the source has no address")? {
            match TcpStream::connect_timeout(&address, CONNECTING) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(SILENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => failed = Some(error),
            }
        }
        let failed = failed.unwrap_or_else(|| io::Error::other("it has no address"));
        Err(failed).context("the source cannot be reached")
    }
}

/// Says words, and hears a line.
fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> anyhow::Result<String> {
    stream.get_mut().write_all(&command(words))?;
    line(stream)
}

/// A command on the wire.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| command.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    command.into_bytes()
}

/// The next line that is not empty: with empty ones the source says that it is still there.
fn line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    loop {
        let mut line = String::new();
        stream.by_ref().take(LINE_MAX).read_line(&mut line).context("the source does not answer")?;
        ensure!(line.ends_with('\n'), "the source hung up, after {line:?}");
        let line = line.trim_end();
        if !line.is_empty() {
            return Ok(line.to_owned());
        }
    }
}
