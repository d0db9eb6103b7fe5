//! What Linux knows of a process.

use anyhow::Context;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// How often the kernel counts a second of processor time; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes of memory that a process occupies, and the most that it has occupied since [`reset_peak`].
pub(crate) fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = read(pid, "status")?;
    let kilobytes = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok(line.trim_matches([':', ' ', '\t', 'k', 'B']).parse()?)
    };
    Ok((kilobytes("VmRSS")? * 1024, kilobytes("VmHWM")? * 1024))
}

/// Forgets the most that a process has occupied.
pub(crate) fn reset_peak(pid: u32) -> anyhow::Result<()> {
    let file = format!("/proc/{pid}/clear_refs");
    std::fs::write(&file, "5").with_context(|| file)
}

/// Seconds of processor time that a process has used.
pub(crate) fn processor_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = read(pid, "stat")?;
    // The name of the program, in brackets, may contain anything.
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let (user, system): (f64, f64) = (fields[11].parse()?, fields[12].parse()?);
    Ok((user + system) / TICKS_PER_SECOND)
}

/// Bytes that a process, and its children that have ended, have had written to disks. The kernel counts a
/// page when it is changed, and once more when it is changed again after it was written.
pub(crate) fn written_bytes(pid: u32) -> anyhow::Result<u64> {
    let io = read(pid, "io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no such line")?;
    Ok(line.parse()?)
}

/// A thread of a process, and what it has used so far.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Seconds of processor time in the program itself, and in the kernel for it.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// How often it had nothing to do and let others run.
    pub(crate) switches: u64,
}

/// The threads of a process.
pub(crate) fn threads(pid: u32) -> anyhow::Result<Vec<Thread>> {
    let directory = format!("/proc/{pid}/task");
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| directory)? {
        let id = entry?.file_name().to_string_lossy().parse()?;
        // One that has ended meanwhile is none.
        threads.extend(thread(pid, id).ok());
    }
    Ok(threads)
}

fn thread(pid: u32, id: u32) -> anyhow::Result<Thread> {
    let (stat, status) = (read(pid, &format!("task/{id}/stat"))?, read(pid, &format!("task/{id}/status"))?);
    let (name, fields) = stat.rsplit_once(") ").context("no name")?;
    let name = name.split_once('(').context("no name")?.1.to_owned();
    let fields: Vec<&str> = fields.split(' ').collect();
    let seconds =
        |field: usize| -> anyhow::Result<f64> { Ok(fields[field].parse::<f64>()? / TICKS_PER_SECOND) };
    let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let switches = switches.context("no switches")?.trim().parse()?;
    Ok(Thread { id, name, user: seconds(11)?, system: seconds(12)?, switches })
}

/// Keeps all threads of a process on one core.
pub(crate) fn pin(pid: u32, core: usize) -> anyhow::Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread: i32 = thread?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(thread), &only(core))?;
    }
    Ok(())
}

/// Keeps the thread that calls this on one core.
pub(crate) fn pin_this_thread(core: usize) -> anyhow::Result<()> {
    Ok(sched_setaffinity(None, &only(core))?)
}

fn only(core: usize) -> CpuSet {
    let mut cores = CpuSet::new();
    cores.set(core);
    cores
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let file = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&file).with_context(|| file)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_and_uses_the_processor() {
        let pid = std::process::id();
        super::reset_peak(pid).expect("Linux");
        let before = super::memory(pid).expect("Linux").1;
        let block = vec![1_u8; 64 << 20];
        let (_, peak) = super::memory(pid).expect("Linux");
        assert!(peak >= before + (60 << 20), "{before} and then {peak}");
        assert_eq!(block.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 << 20);
        assert!(super::processor_seconds(pid).expect("Linux") < 1e6);
    }
}
