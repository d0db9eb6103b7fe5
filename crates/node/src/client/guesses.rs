//! Passwords that are guessed: after a few wrong ones, an address may only try so often.
//!
//! The wait comes before the password is looked at, so that nobody learns anything by hanging up early. Those
//! behind the same address wait with the guesser, but never for long: whoever would have to is told to come
//! again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::lock::lock;
use tokio::time::Instant;
use tracing::warn;

/// So many wrong passwords of one address cost nothing.
const FREE: u32 = 10;
/// After that, its attempts are at least so far apart: 20 in a second.
const INTERVAL: Duration = Duration::from_millis(50);
/// Nobody waits for longer.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// An address without a wrong password for so long begins anew.
const FORGIVEN: Duration = Duration::from_secs(60);
/// How many addresses are remembered. The one that was quiet for longest is forgotten for a new one.
const ADDRESSES_MAX: usize = 4096;
/// What is logged, at most so often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What every address has guessed.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    addresses: HashMap<IpAddr, Guesser>,
    /// When failures were last logged, and how many there have been since.
    logged: Option<Instant>,
    unlogged: u64,
}

#[derive(Debug)]
struct Guesser {
    failures: u32,
    last: Instant,
    /// Before this, its next attempt waits.
    next: Instant,
}

impl Guesses {
    /// How long the next attempt of an address must wait; `None` if it would be too long.
    fn wait(&self, address: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let mut known = self.known();
        let guesser = match known.addresses.get_mut(&network(address)) {
            Some(guesser) if guesser.failures >= FREE && now - guesser.last < FORGIVEN => guesser,
            _ => return Some(Duration::ZERO),
        };
        let turn = guesser.next.max(now);
        if turn - now > WAIT_MAX {
            return None;
        }
        guesser.next = turn + INTERVAL;
        Some(turn - now)
    }

    /// Waits for the turn of an address to try a password.
    ///
    /// # Errors
    /// What the client is told if too many wait already.
    pub(crate) async fn turn(&self, address: IpAddr) -> Result<(), &'static str> {
        let wait =
            self.wait(address).ok_or("ERR too many wrong passwords from this address: try again later")?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }

    /// A password was wrong.
    pub(crate) fn failed(&self, address: IpAddr) {
        let now = Instant::now();
        let known = &mut *self.known();
        let network = network(address);
        if known.addresses.len() >= ADDRESSES_MAX && !known.addresses.contains_key(&network) {
            let quietest = known.addresses.iter().min_by_key(|(_, guesser)| guesser.last);
            quietest.map(|(address, _)| *address).map(|quietest| known.addresses.remove(&quietest));
        }
        let new = || Guesser { failures: 0, last: now, next: now };
        let guesser = known.addresses.entry(network).or_insert_with(new);
        if now - guesser.last >= FORGIVEN {
            guesser.failures = 0;
        }
        guesser.failures = guesser.failures.saturating_add(1);
        guesser.last = now;
        known.unlogged += 1;
        if known.logged.is_none_or(|logged| now - logged >= LOG_INTERVAL) {
            warn!(%address, attempts = known.unlogged, "wrong passwords were given");
            (known.logged, known.unlogged) = (Some(now), 0);
        }
    }
}

/// Who has one IPv6 address usually has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test(start_paused = true)]
    async fn many_wrong_passwords_slow_an_address_down_and_no_other() {
        let guesses = Guesses::default();
        let started = Instant::now();
        for _ in 0..FREE {
            guesses.turn(GUESSER).await.unwrap();
            guesses.failed(GUESSER);
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..41 {
            guesses.turn(GUESSER).await.unwrap();
            guesses.failed(GUESSER);
        }
        assert_eq!(started.elapsed().as_millis(), 40 * INTERVAL.as_millis());
        assert_eq!(guesses.wait(OTHER), Some(Duration::ZERO));
        tokio::time::advance(FORGIVEN).await;
        assert_eq!(guesses.wait(GUESSER), Some(Duration::ZERO), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_once_are_no_more_in_a_second() {
        let guesses = Guesses::default();
        (0..FREE).for_each(|_| guesses.failed(GUESSER));
        let taken = (0..1_000).filter(|_| guesses.wait(GUESSER).is_some()).count();
        assert_eq!(taken as u128, WAIT_MAX.as_millis() / INTERVAL.as_millis() + 1);
    }

    #[test]
    fn a_network_of_addresses_is_one() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let other: IpAddr = "2001:db8::2".parse().unwrap();
        assert_eq!(network(one), network(other));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), GUESSER);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_addresses_are_remembered() {
        let guesses = Guesses::default();
        for address in 0..2 * ADDRESSES_MAX as u32 {
            guesses.failed(IpAddr::V4(address.into()));
        }
        assert_eq!(guesses.known().addresses.len(), ADDRESSES_MAX);
    }
}
