//! `ONCE`, with real processes: the clients of a node that is killed send the same lines again through
//! another node. Every token counts once, and every repetition is told what the first attempt was, or would
//! have been, told.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use redis::{Connection, ErrorKind, RedisResult};

/// How long a node that is cut off would let its clients wait, and longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CLIENTS: u64 = 6;

fn connect(address: SocketAddr) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

/// What a client of a node does that dies: the same line again, through other nodes, until there is an
/// answer.
struct Counter<'a> {
    connection: Connection,
    elsewhere: &'a [SocketAddr],
    /// What was answered, by number of the token.
    answers: Vec<u64>,
    /// How many answers it took more than one attempt to get.
    repeated: u64,
}

impl Counter<'_> {
    fn count(&mut self, client: u64) {
        let line = incr(client, self.answers.len() as u64);
        let mut attempts = 0;
        let answer = wait("an answer to a token", PATIENCE, || {
            attempts += 1;
            match line.query::<u64>(&mut self.connection) {
                Ok(answer) => Some(answer),
                Err(error)
                    if error.is_io_error() || ["UNKNOWN", "TRYAGAIN"].map(Some).contains(&error.code()) =>
                {
                    let there = self.elsewhere[attempts % self.elsewhere.len()];
                    self.connection = connect(there).expect("the other nodes run");
                    None
                }
                Err(error) => panic!("{error}"),
            }
        });
        self.answers.push(answer);
        self.repeated += u64::from(attempts > 1);
    }
}

fn incr(client: u64, number: u64) -> redis::Cmd {
    let mut line = redis::cmd("ONCE");
    line.arg(format!("client-{client}-{number}")).arg("INCR").arg("count");
    line
}

/// Whatever the node is that dies.
#[test]
fn clients_whose_node_is_killed_count_every_token_once() {
    let mut cluster = Cluster::start(Options::default());
    for (round, role) in (1..).zip(["primary", "backup", "spare"]) {
        let is_victim = |id: &u32| cluster.role(*id).as_deref() == Some(role);
        let victim = wait(role, PATIENCE, || cluster.data_ids().into_iter().find(is_victim));
        let survivors: Vec<SocketAddr> = others(&cluster, victim);
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client(victim)).expect("FLUSHALL");
        // FLUSHALL forgets no token: every round has its own.
        let first = round * 100;
        let (stop, home) = (AtomicBool::new(false), cluster.redis_address(victim));
        let counted: Vec<(u64, Vec<u64>, u64)> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (survivors, stop) = (&survivors, &stop);
                    scope.spawn(move || {
                        let connection = connect(home).expect("a connection");
                        let mut counter =
                            Counter { connection, elsewhere: survivors, answers: Vec::new(), repeated: 0 };
                        while !stop.load(Ordering::SeqCst) {
                            counter.count(first + client);
                        }
                        (first + client, counter.answers, counter.repeated)
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(500));
            cluster.kill(victim);
            std::thread::sleep(Duration::from_millis(1_500));
            stop.store(true, Ordering::SeqCst);
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });

        let all: Vec<u64> = counted.iter().flat_map(|(_, answers, _)| answers.iter().copied()).collect();
        let repeated: u64 = counted.iter().map(|(_, _, repeated)| repeated).sum();
        assert!(repeated >= CLIENTS, "the node died, and nobody noticed");
        // Every token counted once: the answers are all numbers from 1 to the last.
        let distinct: BTreeSet<u64> = all.iter().copied().collect();
        assert_eq!((distinct.len(), distinct.last()), (all.len(), Some(&(all.len() as u64))));
        let mut client = connect(survivors[0]).expect("a connection");
        let count: u64 = redis::cmd("GET").arg("count").query(&mut client).expect("GET");
        assert_eq!(count, all.len() as u64, "a token counted more than once, or not at all");
        // Once more, all of them: the answers are what they were, and nothing counts.
        for (id, answers, _) in &counted {
            let mut pipeline = redis::pipe();
            (0..answers.len() as u64).for_each(|number| {
                pipeline.add_command(incr(*id, number));
            });
            let again: Vec<u64> = pipeline.query(&mut client).expect("the answers again");
            assert_eq!(&again, answers);
        }
        let after: u64 = redis::cmd("GET").arg("count").query(&mut client).expect("GET");
        assert_eq!(after, count);
        println!(
            "the {role} killed: {count} tokens counted once, {repeated} of them sent again through another node"
        );

        cluster.start_node(victim);
        cluster.wait_until_serving(victim);
        cluster.wait_until_complete();
    }
}

/// The case that only a token helps in: the command was executed, and nobody heard the answer.
#[test]
fn a_command_whose_answer_died_with_the_node_is_answered_through_another() {
    let mut cluster = Cluster::start(Options::default());
    let victim = cluster.primary();
    let mut elsewhere = connect(others(&cluster, victim)[0]).expect("a connection");
    let mut silent = TcpStream::connect(cluster.redis_address(victim)).expect("a connection");
    silent.write_all(b"ONCE once-and-for-all RPUSH jobs a b c\r\n").expect("the command is sent");
    wait("the command to be executed", PATIENCE, || {
        let length: u64 = redis::cmd("LLEN").arg("jobs").query(&mut elsewhere).expect("LLEN");
        (length == 3).then_some(())
    });
    cluster.kill(victim);
    // Nobody has read the answer of the first attempt.
    let mut line = redis::cmd("ONCE");
    line.arg("once-and-for-all").arg("RPUSH").arg("jobs").arg("a").arg("b").arg("c");
    assert_eq!(line.query::<u64>(&mut elsewhere).expect("the answer"), 3);
    let jobs: Vec<String> =
        redis::cmd("LRANGE").arg("jobs").arg(0).arg(-1).query(&mut elsewhere).expect("LRANGE");
    assert_eq!(jobs, ["a", "b", "c"]);
    // The same token for something else is refused, and executes nothing.
    let error = redis::cmd("ONCE")
        .arg("once-and-for-all")
        .arg("RPUSH")
        .arg("jobs")
        .arg("d")
        .query::<u64>(&mut elsewhere)
        .expect_err("another command under the same token");
    assert_eq!(error.kind(), ErrorKind::Server(redis::ServerErrorKind::ResponseError));
    assert!(error.to_string().contains("the token was used before, for another command"), "{error}");
    let length: u64 = redis::cmd("LLEN").arg("jobs").query(&mut elsewhere).expect("LLEN");
    assert_eq!(length, 3);
}

fn others(cluster: &Cluster, left_out: u32) -> Vec<SocketAddr> {
    let ids = cluster.data_ids().into_iter().filter(|id| *id != left_out);
    ids.map(|id| cluster.redis_address(id)).collect()
}
