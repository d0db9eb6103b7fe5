//! A state machine of one's own under the simulator: a bank. Some hundred clusters with crashes, partitions,
//! lost disks and late messages; with `--nondeterministic`, a mistake that people make, which is found in the
//! first of them.
//!
//! ```text
//! cargo run --release -p onecopy-sim --example own_machine
//! cargo run --release -p onecopy-sim --example own_machine -- --nondeterministic
//! ```

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use onecopy_core::machine::RestoreError;
use onecopy_core::segments::answer_framed;
use onecopy_core::{ApplyContext, QueryContext, StateMachine, Timestamp};
use onecopy_sim::dice::Dice;
use onecopy_sim::message::Kind;
use onecopy_sim::subject::{Model, OwnMachine};
use onecopy_sim::{Request, Specification, Subject};

const ACCOUNTS: [u8; 5] = *b"01234";
const COINS: u64 = 10;

/// The machine: coins on accounts. `p12` moves a coin from account 1 to account 2, `l` lists all accounts.
#[derive(Debug)]
struct Bank {
    accounts: BTreeMap<u8, u64>,
    /// It lists accounts in the order of a hash table, which is another one in every process.
    is_careless: bool,
    /// What is left to read of an image, or what has arrived of one.
    image: Vec<u8>,
}

impl Bank {
    fn execute(&mut self, command: &[u8], reply: &mut Vec<u8>) {
        let [b'p', from, to] = command else { return self.list(reply) };
        match self.accounts.get_mut(from) {
            Some(coins) if *coins > 0 => *coins -= 1,
            _ => return reply.extend_from_slice(b"too poor"),
        }
        *self.accounts.entry(*to).or_default() += 1;
        self.list(reply);
    }

    fn list(&self, reply: &mut Vec<u8>) {
        let write = |(account, coins): (&u8, &u64)| reply.extend(format!("{account}={coins} ").bytes());
        if self.is_careless {
            self.accounts.clone().into_iter().collect::<HashMap<_, _>>().iter().for_each(write);
        } else {
            self.accounts.iter().for_each(write);
        }
    }
}

impl StateMachine for Bank {
    fn advance(&mut self, _: &ApplyContext<'_>) {}

    fn apply(&mut self, _: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        answer_framed(body, response, |command, reply| self.execute(command, reply));
    }

    fn query(&self, _: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        answer_framed(body, response, |_, reply| self.list(reply));
    }

    fn due(&self) -> Option<Timestamp> {
        None
    }

    fn memory(&self) -> u64 {
        self.accounts.len() as u64 * 16
    }

    fn digest(&self) -> u64 {
        self.accounts.values().fold(0, |sum, coins| sum * 1_000 + coins)
    }

    fn snapshot_begin(&mut self) {
        self.image = self.accounts.values().flat_map(|coins| coins.to_le_bytes()).collect();
    }

    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        chunk.extend(self.image.drain(..self.image.len().min(bytes_max)));
        !self.image.is_empty()
    }

    fn snapshot_abandon(&mut self) {
        self.image.clear();
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        self.image.extend_from_slice(chunk);
        Ok(())
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        let image = std::mem::take(&mut self.image);
        let (numbers, rest) = image.as_chunks::<8>();
        if numbers.len() != self.accounts.len() || !rest.is_empty() {
            return Err(RestoreError { reason: format!("{} bytes are no image of a bank", image.len()) });
        }
        self.accounts
            .values_mut()
            .zip(numbers)
            .for_each(|(coins, bytes)| *coins = u64::from_le_bytes(*bytes));
        Ok(())
    }
}

/// What every answer is held against: the same in a few lines.
#[derive(Clone, Debug)]
struct Coins([u64; ACCOUNTS.len()]);

impl Specification for Coins {
    fn execute(&mut self, _: Timestamp, command: &[u8]) -> Vec<u8> {
        if let [b'p', from, to] = command {
            let [from, to] = [from, to].map(|account| usize::from(account - b'0'));
            if self.0[from] == 0 {
                return b"too poor".to_vec();
            }
            self.0[from] -= 1;
            self.0[to] += 1;
        }
        let lines = self.0.iter().zip(ACCOUNTS).map(|(coins, account)| format!("{account}={coins} "));
        lines.collect::<String>().into_bytes()
    }
}

/// What is simulated.
#[derive(Debug)]
struct Banking {
    is_careless: bool,
}

impl Subject for Banking {
    fn machine(&self, _: [u64; 2]) -> Box<dyn OwnMachine> {
        let accounts = ACCOUNTS.map(|account| (account, COINS)).into();
        Box::new(Bank { accounts, is_careless: self.is_careless, image: Vec::new() })
    }

    fn ask(&self, dice: &mut Dice) -> Request {
        match dice.chance(400) {
            true => Request::framed(Kind::Read, b"l".as_slice()),
            false => Request::framed(Kind::Write, vec![b'p', *dice.pick(&ACCOUNTS), *dice.pick(&ACCOUNTS)]),
        }
    }

    fn specification(&self) -> Option<Box<dyn Model>> {
        Some(Box::new(Coins([COINS; ACCOUNTS.len()])))
    }
}

fn main() -> ExitCode {
    let is_careless = std::env::args().any(|argument| argument == "--nondeterministic");
    match onecopy_sim::check(Banking { is_careless }, 0..200) {
        Ok(stats) => {
            let faults: u64 = stats.faults.values().sum();
            println!(
                "{} clusters, {faults} faults, {} answers, all as of one bank",
                stats.seeds, stats.answered
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
