//! What one client may do to the others: before it says who it is, with whole pipelines, with half commands,
//! with replies that a node makes itself, and in the language of browsers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Options, wait};

const MIB: usize = 1024 * 1024;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

/// A cluster of one node, with these settings.
fn node(settings: &[(&'static str, &str)]) -> Cluster {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, settings, ..Options::default() })
}

/// What comes back until the server hangs up.
fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Bytes of memory that the only node occupies.
fn resident(cluster: &Cluster) -> usize {
    cluster.resident(1) as usize
}

#[test]
fn a_whole_pipeline_may_be_sent_before_the_first_reply_is_read() {
    let cluster = node(&[]);
    let value = "x".repeat(1_000);
    let sets: String = (0..300_000).map(|n| format!("SET key{n} {n}\r\n")).collect();
    let getsets: String = (0..20_000).map(|_| format!("GETSET key {value}\r\n")).collect();
    for (commands, reply_bytes) in [(sets, 300_000 * 5), (getsets, 5 + 19_999 * 1_009)] {
        let mut stream = connect(cluster.redis_address(1));
        // Nothing is read before all is sent: redis-py does so.
        stream.write_all(commands.as_bytes()).expect("all of it is taken");
        let mut replies = vec![0; reply_bytes];
        stream.read_exact(&mut replies).expect("all replies");
        assert!(replies.ends_with(b"\r\n"));
    }
}

#[test]
fn who_has_not_said_who_it_is_may_hold_little() {
    let cluster = node(&[("requirepass", "secret")]);
    let address = cluster.redis_address(1);
    let before = resident(&cluster);
    let half = [b"*2\r\n$4\r\nAUTH\r\n$60000000\r\n".as_slice(), &vec![b'x'; MIB]].concat();
    let cases: [(&[u8], &str); 4] = [
        (&half, "-ERR Protocol error: unauthenticated bulk length"),
        (b"*11\r\n$3\r\nSET\r\n", "-ERR Protocol error: unauthenticated multibulk length"),
        (b"GET key\r\nQUIT\r\n", "-NOAUTH Authentication required."),
        (b"AUTH wrong\r\nQUIT\r\n", "-WRONGPASS"),
    ];
    for (bytes, expected) in cases {
        for _ in 0..9 {
            let mut stream = connect(address);
            let _ = stream.write_all(bytes);
            let answer = answer(&mut stream);
            assert!(answer.starts_with(expected) || answer.is_empty(), "{expected}: {answer:?}");
        }
    }
    // What a guesser has sent already keeps nobody waiting: a connection may be wrong three times.
    let mut guesser = connect(address);
    let _ = guesser.write_all(&b"AUTH guess\r\n".repeat(1_000));
    assert!(answer(&mut guesser).matches("-WRONGPASS").count() <= 3);
    // Guesses take their time, and so many at once are not even looked at.
    let mut guessers: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
    guessers.iter_mut().for_each(|guesser| guesser.write_all(b"AUTH guess\r\nQUIT\r\n").expect("a guess"));
    let answers: Vec<String> = guessers.iter_mut().map(answer).collect();
    let refused = answers.iter().filter(|answer| answer.starts_with("-ERR too many wrong passwords")).count();
    assert!(refused > 50, "only {refused} of 200 guesses at once were refused");
    assert!(resident(&cluster).saturating_sub(before) < 100 * MIB);
    let mut client = connect(address);
    wait("who knows the password is served", Duration::from_secs(10), || {
        client = connect(address);
        client.write_all(b"AUTH secret\r\nPING\r\n").ok()?;
        let mut answer = [0; 12];
        client.read_exact(&mut answer).ok()?;
        (&answer == b"+OK\r\n+PONG\r\n").then_some(())
    });
    // Once known, it may send what everybody may.
    let mut large = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n".to_vec();
    large.extend(vec![b'x'; 1_000_000]);
    large.extend(b"\r\n");
    client.write_all(&large).expect("a large value");
    let mut ok = [0; 5];
    client.read_exact(&mut ok).expect("an answer");
    assert_eq!(&ok, b"+OK\r\n");
}

#[test]
fn half_commands_are_put_out_by_those_who_wait() {
    let cluster = node(&[("limits-pipeline-bytes", "64mb"), ("limits-command-bytes", "4mb")]);
    let address = cluster.redis_address(1);
    let half = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3900000\r\n".as_slice(), &vec![b'x'; 3_800_000]].concat();
    // Each holds less than what makes it go by itself.
    let mut holders: Vec<TcpStream> = (0..25).map(|_| connect(address)).collect();
    for holder in &mut holders {
        holder.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        let _ = holder.write_all(&half);
    }
    let mut client = cluster.client(1);
    let () =
        redis::cmd("SET").arg("small").arg(1).query(&mut client).expect("small commands wait for nobody");
    let value = vec![b'x'; 1_000_000];
    let () = redis::cmd("SET").arg("large").arg(value).query(&mut client).expect("others are put out");
}

#[test]
fn replies_that_a_node_makes_itself_are_passed_on_and_bounded() {
    let cluster = node(&[]);
    let before = resident(&cluster);
    let mut greedy = connect(cluster.redis_address(1));
    greedy.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let _ = greedy.write_all(&b"COMMAND DOCS\r\n".repeat(20_000));
    std::thread::sleep(Duration::from_secs(2));
    let grown = resident(&cluster).saturating_sub(before);
    println!("{} MiB more for unread replies", grown / MIB);
    assert!(grown < 400 * MIB, "memory grew by {} MiB", grown / MIB);
    let started = Instant::now();
    let () = redis::cmd("SET").arg("k").arg(1).query(&mut cluster.client(1)).expect("SET");
    println!("another client waited for {:?}", started.elapsed());
}

#[test]
fn many_empty_arguments_leave_nothing_behind() {
    let cluster = node(&[]);
    let before = resident(&cluster);
    let mut command = b"*1048576\r\n$4\r\nPING\r\n".to_vec();
    command.extend(b"$0\r\n\r\n".repeat(1_048_575));
    let mut idle: Vec<TcpStream> = (0..60).map(|_| connect(cluster.redis_address(1))).collect();
    for stream in &mut idle {
        stream.write_all(&command).expect("a command");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"-ERR");
        stream.write_all(b"PING\r\n").expect("a command");
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = resident(&cluster).saturating_sub(before);
    println!("{} KiB more for each of {} idle connections", grown / 1024 / idle.len(), idle.len());
    assert!(grown / idle.len() < 4 * MIB);
}

#[test]
fn what_a_web_page_has_a_browser_send_is_refused() {
    let cluster = node(&[]);
    let mut browser = connect(cluster.redis_address(1));
    browser.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nSET hacked 1\r\n").expect("a request");
    assert_eq!(answer(&mut browser), "");
    let hacked: bool = redis::cmd("EXISTS").arg("hacked").query(&mut cluster.client(1)).expect("EXISTS");
    assert!(!hacked);
    let order = r#"{"SetCopies":{"group":1,"copies":1}}"#;
    let post = |host: &str, more: &str| {
        let length = order.len();
        let head = format!("POST /operate HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n");
        let body = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{order}");
        let mut stream = connect(cluster.http_address(1));
        stream.write_all((head + &body).as_bytes()).expect("a request");
        answer(&mut stream).lines().next().unwrap_or_default().to_owned()
    };
    let own = cluster.http_address(1).to_string();
    assert!(post("evil.example", "").contains("403"));
    assert!(post(&own, "Origin: http://evil.example\r\n").contains("403"));
    let let_through = post(&own, "");
    assert!(!let_through.contains("403"), "{let_through}");
}
