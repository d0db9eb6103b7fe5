//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use rand::RngExt;

/// Below the ports that the kernel gives to outgoing connections, as these could take the port of a node that
/// is dead for a while. Other than the range that `onecopy dev` chooses from.
const RANGE: std::ops::Range<u16> = 10_240..20_000;

/// Ports that this process has given away: tests run beside each other.
static TAKEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    free_ports_in_a_row(1)
}

/// The first of some ports in a row that nobody listens on.
pub fn free_ports_in_a_row(count: u16) -> u16 {
    let mut taken = TAKEN.lock().expect("nobody panics with this lock");
    for _ in 0..1_000 {
        let first = rand::rng().random_range(RANGE.start..RANGE.end - count);
        let all = first..first + count;
        let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if all.clone().all(|port| !taken.contains(&port) && free(port)) {
            taken.extend(all);
            return first;
        }
    }
    panic!("no free ports between {} and {}", RANGE.start, RANGE.end);
}
