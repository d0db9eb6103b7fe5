//! A low limit of open files: clients that take all that they get leave the log, the peers and HTTP what they
//! need. A program of its own, as the limit is that of the whole process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use onecopy_harness::{Cluster, Options, wait};
use rustix::process::{Resource, Rlimit, setrlimit};

const LIMIT: u64 = 400;

#[test]
fn clients_and_strangers_over_http_leave_the_log_its_descriptors() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) })
        .expect("a lower limit");
    let cluster = Cluster::start(Options { durability: "memory", ..Options::default() });
    let (id, view) = (cluster.primary(), cluster.view());
    let mut config: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("maxclients").query(&mut cluster.client(id)).expect("CONFIG GET");
    let granted: usize = config.pop().and_then(|clients| clients.parse().ok()).expect("a number");
    assert!((100..LIMIT as usize).contains(&granted), "limits.clients is lowered to {granted}");
    let connect = |address| {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream
    };
    let idle: Vec<TcpStream> = (0..granted).map(|_| connect(cluster.redis_address(id))).collect();
    let over_http: Vec<TcpStream> = (0..30).map(|_| connect(cluster.http_address(id))).collect();
    wait("one client more is told so", Duration::from_secs(10), || {
        let mut answer = String::new();
        connect(cluster.redis_address(id)).read_to_string(&mut answer).ok()?;
        answer.contains("max number of clients reached").then_some(())
    });
    let mut healthz = connect(cluster.http_address(id));
    healthz.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    healthz.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("200 OK"), "{answer}");
    // Several segments of the log.
    let other = cluster.ids().into_iter().find(|other| *other != id).expect("another node");
    let mut client = cluster.client(other);
    for _ in 0..40 {
        let value = vec![b'x'; 4_000_000];
        let () = redis::cmd("SET").arg("large").arg(value).query(&mut client).expect("SET");
    }
    assert_eq!(cluster.view(), view, "no copy was lost");
    drop((idle, over_http));
}
