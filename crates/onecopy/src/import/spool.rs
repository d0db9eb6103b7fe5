//! What a source sends is received at once, whatever the cluster is doing, and kept in files until it has
//! been executed: a source hangs up on replicas that do not keep pace.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::source::{Follows, SILENCE, Source, command};

/// What the source executes is kept in files of about so many bytes, which are named after where they begin.
const SEGMENT_BYTES: u64 = 64 << 20;
pub(super) const SEGMENT: &str = "history-";
/// If more waits to be executed, the source has to wait.
const WAITING_MAX: u64 = 16 << 30;
/// The source hears that its replica is there.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// A source may be out of reach for so long.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// What has been received.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Received>,
    changed: Condvar,
}

/// How far the source has been received.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    /// So many bytes of the dump, and so many there will be.
    pub(super) dump: (u64, u64),
    /// The history that follows it, and up to which byte it is there.
    pub(super) history: Option<(String, u64)>,
    /// Where the files begin.
    segments: VecDeque<u64>,
    /// Everything before this byte has been executed.
    executed: u64,
    /// Why nothing more will come.
    failed: Option<String>,
}

impl Received {
    /// Up to where the history is there.
    pub(super) fn end(&self) -> u64 {
        self.history.as_ref().map_or(0, |(_, end)| *end)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Received)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Spool {
    /// Begins to receive, in a thread of its own: from `history` on, which has been executed up to this
    /// byte, or from the beginning.
    pub(super) fn start(
        source: Source,
        directory: &Path,
        history: Option<(String, u64)>,
    ) -> anyhow::Result<Self> {
        let mut segments = segments(directory)?;
        let executed = history.as_ref().map_or(0, |(_, executed)| *executed);
        let history = match history {
            Some((id, executed)) => {
                let end = match segments.back() {
                    Some(last) => last + fs::metadata(path(directory, *last))?.len(),
                    None => executed,
                };
                // Something is missing, or was executed elsewhere: it is received again.
                let is_whole = end >= executed && segments.front().is_none_or(|first| *first <= executed);
                if !is_whole {
                    forget(directory, &mut segments)?;
                }
                Some((id, if is_whole { end } else { executed }))
            }
            None => {
                forget(directory, &mut segments)?;
                None
            }
        };
        let received = Received { history, segments, executed, ..Received::default() };
        let shared = Arc::new(Shared { received: Mutex::new(received), changed: Condvar::new() });
        let spool = Self { directory: directory.to_owned(), shared: Arc::clone(&shared) };
        let mut receiver = Receiver { source, directory: directory.to_owned(), shared, file: None };
        std::thread::Builder::new().name("receive".to_owned()).spawn(move || receiver.run())?;
        Ok(spool)
    }

    /// How far it is, after a while or a change.
    pub(super) fn wait(
        &self,
        longest: Duration,
        until: impl Fn(&Received) -> bool,
    ) -> anyhow::Result<Received> {
        let begun = Instant::now();
        let mut received = self.shared.lock();
        loop {
            if let Some(reason) = &received.failed {
                bail!("{reason}");
            }
            let left = longest.saturating_sub(begun.elapsed());
            if until(&received) || left.is_zero() {
                return Ok(received.clone());
            }
            received = match self.shared.changed.wait_timeout(received, left) {
                Ok((received, _)) => received,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Everything before this byte has been executed.
    pub(super) fn executed(&self, executed: u64) {
        self.shared.change(|received| received.executed = executed);
    }

    /// Reads what has been received from a byte on. Nothing, if nothing is there yet.
    pub(super) fn read(&self, from: u64, buffer: &mut [u8]) -> anyhow::Result<usize> {
        let (segment, end) = {
            let mut received = self.shared.lock();
            // Files that end before are not needed again.
            while received.segments.get(1).is_some_and(|next| *next <= received.executed.min(from)) {
                if let Some(old) = received.segments.pop_front() {
                    fs::remove_file(path(&self.directory, old))?;
                }
            }
            let index = received.segments.partition_point(|begin| *begin <= from);
            let Some(segment) = index.checked_sub(1).and_then(|index| received.segments.get(index)) else {
                return Ok(0);
            };
            let whole = received.end();
            (*segment, received.segments.get(index).copied().unwrap_or(whole))
        };
        let wanted = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let file = path(&self.directory, segment);
        let read =
            File::open(&file).and_then(|file| file.read_exact_at(&mut buffer[..wanted], from - segment));
        read.with_context(|| format!("{} cannot be read", file.display()))?;
        Ok(wanted)
    }
}

fn path(directory: &Path, begin: u64) -> PathBuf {
    directory.join(format!("{SEGMENT}{begin:020}"))
}

/// The files of a directory, in order.
fn segments(directory: &Path) -> anyhow::Result<VecDeque<u64>> {
    let mut begins = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let begin: Option<u64> = name.to_str().and_then(|name| name.strip_prefix(SEGMENT)?.parse().ok());
        begins.extend(begin);
    }
    begins.sort_unstable();
    Ok(begins.into())
}

fn forget(directory: &Path, segments: &mut VecDeque<u64>) -> io::Result<()> {
    segments.drain(..).try_for_each(|begin| fs::remove_file(path(directory, begin)))
}

/// The thread that receives.
struct Receiver {
    source: Source,
    directory: PathBuf,
    shared: Arc<Shared>,
    /// The file that is written, and how many bytes it has.
    file: Option<(File, u64)>,
}

/// Why receiving has come to an end.
enum Ended {
    /// It may be tried again.
    Lost(anyhow::Error),
    /// Nothing helps.
    Failed(anyhow::Error),
}

impl Receiver {
    fn run(&mut self) {
        let mut heard = Instant::now();
        loop {
            let before = self.progress();
            let ended = self.receive();
            if self.progress() != before {
                heard = Instant::now();
            }
            let reason = match ended {
                Ended::Lost(_) if heard.elapsed() < PATIENCE => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Ended::Lost(error) | Ended::Failed(error) => format!("{error:#}"),
            };
            self.shared.change(|received| received.failed = Some(reason));
            return;
        }
    }

    fn progress(&self) -> (u64, u64) {
        let received = self.shared.lock();
        (received.dump.0, received.end())
    }

    fn receive(&mut self) -> Ended {
        let known = self.shared.lock().history.clone();
        let from = known.as_ref().map(|(id, received)| (id.as_str(), *received));
        let (follows, mut stream) = match self.source.follow(from) {
            Ok(followed) => followed,
            Err(error) => return Ended::Lost(error),
        };
        match (follows, from) {
            (Follows::GoesOn { id }, _) => self.shared.change(|received| {
                if let Some((name, _)) = &mut received.history {
                    *name = id;
                }
            }),
            (Follows::Anew { .. }, Some((_, received))) => {
                return Ended::Failed(anyhow::anyhow!(
                    "the source has forgotten what it did behind byte {received}: its repl-backlog-size is smaller than \
                     what it did meanwhile. Empty the databases of the cluster, remove {}, and begin anew",
                    self.directory.display()
                ));
            }
            (Follows::Anew { id, begin, bytes }, None) => {
                if let Err(error) = self.dump(&mut stream, bytes) {
                    return Ended::Lost(error.context("the dump of the source has not arrived as a whole"));
                }
                self.shared.change(|received| {
                    received.executed = begin;
                    received.history = Some((id, begin));
                });
            }
        }
        match self.history(&mut stream) {
            Ok(()) => Ended::Lost(anyhow::anyhow!("the source hung up")),
            Err(error) => Ended::Lost(error),
        }
    }

    fn dump(&mut self, stream: &mut impl Read, bytes: u64) -> anyhow::Result<()> {
        let (part, whole) = (self.directory.join("dump.rdb.part"), self.directory.join("dump.rdb"));
        let mut file =
            File::create(&part).with_context(|| format!("{} cannot be written", part.display()))?;
        let (mut chunk, mut there) = (vec![0; 1 << 20], 0);
        while there < bytes {
            let wanted = chunk.len().min(usize::try_from(bytes - there).unwrap_or(usize::MAX));
            let count = stream.read(&mut chunk[..wanted])?;
            ensure!(count > 0, "the source hung up");
            file.write_all(&chunk[..count])?;
            there += count as u64;
            self.shared.change(|received| received.dump = (there, bytes));
        }
        file.sync_all()?;
        fs::rename(&part, &whole)?;
        Ok(())
    }

    /// Receives what the source executes, until it hangs up.
    fn history(&mut self, stream: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
        let mut chunk = vec![0; 1 << 20];
        let mut acknowledged: Option<Instant> = None;
        let mut heard = Instant::now();
        loop {
            ensure!(heard.elapsed() < SILENCE, "the source has said nothing for {} s", SILENCE.as_secs());
            if acknowledged.is_none_or(|at| at.elapsed() >= ACKNOWLEDGE) {
                acknowledged = Some(Instant::now());
                let received = self.progress().1.to_string();
                stream.get_mut().write_all(&command(&["REPLCONF", "ACK", &received]))?;
            }
            self.wait_for_room();
            stream.get_ref().set_read_timeout(Some(ACKNOWLEDGE))?;
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    heard = Instant::now();
                    self.keep(&chunk[..count])?;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A source that executes faster than the cluster for long has to wait.
    fn wait_for_room(&self) {
        let is_full = |received: &Received| received.end().saturating_sub(received.executed) > WAITING_MAX;
        while is_full(&self.shared.lock()) {
            std::thread::sleep(PAUSE);
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let end = self.progress().1;
        if self.file.as_ref().is_none_or(|(_, length)| *length >= SEGMENT_BYTES) {
            let path = path(&self.directory, end);
            let file =
                File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
            self.file = Some((file, 0));
            self.shared.change(|received| {
                // After a write that failed, the file may be there already.
                if received.segments.back() != Some(&end) {
                    received.segments.push_back(end);
                }
            });
        }
        let Some((file, length)) = &mut self.file else { return Ok(()) };
        *length += bytes.len() as u64;
        if let Err(error) = file.write_all(bytes) {
            // Nobody knows what of it is there: the next file begins where this one is right up to.
            self.file = None;
            return Err(error)
                .context("what the source sends cannot be written to the directory of the work");
        }
        self.shared.change(|received| {
            if let Some((_, end)) = &mut received.history {
                *end += bytes.len() as u64;
            }
        });
        Ok(())
    }
}
