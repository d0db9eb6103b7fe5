//! What is set for the whole cluster, with real processes: parameters and users, at every node, and after
//! primaries, view leaders and all nodes were killed.

use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use onecopy_resp::replies_length;
use redis::{Connection, ErrorKind, RedisResult, Value};

fn call<T: redis::FromRedisValue>(client: &mut Connection, line: &str) -> RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(client)
}

fn parameter(client: &mut Connection, name: &str) -> String {
    let pair: Vec<String> = call(client, &format!("CONFIG GET {name}")).expect("it is known");
    pair.into_iter().nth(1).unwrap_or_default()
}

/// Waits until every node shows a value of a parameter.
fn wait_for_parameter(cluster: &Cluster, ids: &[u32], name: &str, value: &str) {
    for id in ids {
        wait(&format!("node {id} shows {name} = {value}"), PATIENCE, || {
            (parameter(&mut cluster.client(*id), name) == value).then_some(())
        });
    }
}

/// Whether somebody is let in there, with this password.
fn logs_in(cluster: &Cluster, id: u32, user: &str, password: &str) -> bool {
    call::<()>(&mut cluster.client(id), &format!("AUTH {user} {password}")).is_ok()
}

fn wait_until_logs_in(cluster: &Cluster, id: u32, user: &str, password: &str) {
    wait(&format!("{user} logs in at node {id}"), PATIENCE, || {
        logs_in(cluster, id, user, password).then_some(())
    });
}

#[test]
fn what_is_set_at_one_node_counts_at_all_and_is_kept() {
    let mut cluster = Cluster::start(Options { copies: 3, ..Options::default() });
    let all = cluster.data_ids();
    let mut client = cluster.client(2);
    call::<()>(&mut client, "CONFIG SET maxmemory 1gb slowlog-max-len 7").expect("it is set");
    // The node that was asked obeys at once.
    assert_eq!(parameter(&mut client, "maxmemory"), "1073741824");
    wait_for_parameter(&cluster, &all, "slowlog-max-len", "7");
    // All of them, or none.
    let refused = call::<()>(&mut client, "CONFIG SET slowlog-max-len 8 maxmemory nonsense");
    assert!(refused.unwrap_err().to_string().contains("argument must be a memory value"));
    assert_eq!(parameter(&mut client, "slowlog-max-len"), "7");

    let leader = cluster.view_leader();
    cluster.kill(leader);
    let others: Vec<u32> = all.iter().copied().filter(|id| *id != leader).collect();
    let survivor = others[0];
    wait("a parameter is set without the leader", PATIENCE, || {
        call::<()>(&mut cluster.client(survivor), "CONFIG SET timeout 9000").ok()
    });
    wait_for_parameter(&cluster, &others, "timeout", "9000");

    cluster.kill_all(&others);
    cluster.start_all();
    wait_for_parameter(&cluster, &all, "timeout", "9000");
    wait_for_parameter(&cluster, &all, "maxmemory", "1073741824");
    let mut client = cluster.client(survivor);
    wait("the primary refuses what needs memory", PATIENCE, || {
        call::<()>(&mut client, "CONFIG SET maxmemory 1").ok()?;
        let refused = call::<()>(&mut client, "SET key value").err()?;
        (refused.code() == Some("OOM")).then_some(())
    });
    call::<()>(&mut client, "CONFIG SET maxmemory 0").expect("there is no limit again");
    wait("memory is there again", PATIENCE, || call::<()>(&mut client, "SET key value").ok());
}

#[test]
fn a_user_made_at_one_node_is_one_everywhere_whoever_dies() {
    let mut cluster = Cluster::start(Options { copies: 3, ..Options::default() });
    let all = cluster.data_ids();
    call::<()>(&mut cluster.client(1), "ACL SETUSER ann on >secret ~a* +@read +set +multi +exec +eval +ping")
        .expect("she is made");
    for id in &all {
        wait_until_logs_in(&cluster, *id, "ann", "secret");
        assert!(!logs_in(&cluster, *id, "ann", "wrong"));
    }
    let mut ann = cluster.client(2);
    call::<()>(&mut ann, "AUTH ann secret").expect("she is let in");
    call::<()>(&mut ann, "SET apple 1").expect("she may");
    let denied = |outcome: RedisResult<Value>| {
        let error = outcome.expect_err("it is denied");
        assert_eq!(error.code(), Some("NOPERM"), "{error}");
    };
    denied(call(&mut ann, "SET pear 1"));
    denied(call(&mut ann, "DEL apple"));
    // A script may do no more, wherever it is executed.
    let mut script = redis::cmd("EVAL");
    script.arg("return redis.call('DEL', KEYS[1])").arg(1).arg("apple");
    let error = script.query::<Value>(&mut ann).expect_err("it is denied");
    assert!(error.to_string().contains("can't run this command"), "{error}");
    script = redis::cmd("EVAL");
    script.arg("return redis.call('GET', 'pear')").arg(0);
    assert!(script.query::<Value>(&mut ann).is_err(), "nor undeclared keys that she may not");

    let primary = cluster.primary();
    cluster.kill(primary);
    let others: Vec<u32> = all.iter().copied().filter(|id| *id != primary).collect();
    // During the failover she is who she was.
    for id in &others {
        wait_until_logs_in(&cluster, *id, "ann", "secret");
    }
    cluster.wait_for_other_primary(primary);
    wait("a user is made without that node", PATIENCE, || {
        call::<()>(&mut cluster.client(others[0]), "ACL SETUSER bob on >hidden +@all ~*").ok()
    });
    wait_until_logs_in(&cluster, others[1], "bob", "hidden");
    cluster.start_node(primary);
    cluster.wait_until_serving(primary);
    wait_until_logs_in(&cluster, primary, "bob", "hidden");

    // Whoever is removed is sent away, wherever it is connected.
    let mut bob = cluster.client(others[1]);
    call::<()>(&mut bob, "AUTH bob hidden").expect("he is let in");
    let removed: usize = call(&mut cluster.client(others[0]), "ACL DELUSER bob").expect("he is removed");
    assert_eq!(removed, 1);
    wait("bob is sent away", PATIENCE, || {
        call::<()>(&mut bob, "PING").err().filter(|error| error.kind() == ErrorKind::Io).map(drop)
    });

    cluster.kill_all(&all);
    cluster.start_all();
    wait_until_logs_in(&cluster, 1, "ann", "secret");
    // A node that was just started may know an older table for a moment.
    wait("bob is still removed", PATIENCE, || (!logs_in(&cluster, 1, "bob", "hidden")).then_some(()));
}

#[test]
fn users_that_are_changed_at_all_nodes_at_once_are_all_changed() {
    let cluster = Cluster::start(Options::default());
    let addresses: Vec<u32> = cluster.data_ids();
    std::thread::scope(|scope| {
        for id in addresses {
            let cluster = &cluster;
            scope.spawn(move || {
                for number in 0..10 {
                    let line = format!("ACL SETUSER shared +get ~{id}-{number}:*");
                    wait("it is changed", PATIENCE, || call::<()>(&mut cluster.client(id), &line).ok());
                }
            });
        }
    });
    let mut client = cluster.client(1);
    let keys = wait("all changes are there", PATIENCE, || {
        let user: redis::Value = call(&mut client, "ACL GETUSER shared").ok()?;
        let text = format!("{user:?}");
        (text.matches(":*").count() >= 30).then_some(text)
    });
    for id in cluster.data_ids() {
        for number in 0..10 {
            assert!(keys.contains(&format!("~{id}-{number}:*")), "{id}-{number} is lost: {keys}");
        }
    }
}

#[test]
fn a_password_of_the_default_user_is_asked_for_everywhere() {
    let cluster = Cluster::start(Options::default());
    call::<()>(&mut cluster.client(1), "CONFIG SET requirepass hidden").expect("it is set");
    for id in cluster.data_ids() {
        let mut client = wait("a password is asked for", PATIENCE, || {
            let mut client = cluster.client(id);
            let error = call::<()>(&mut client, "GET key").err()?;
            (error.code() == Some("NOAUTH")).then_some(client)
        });
        assert!(call::<()>(&mut client, "AUTH wrong").is_err());
        call::<()>(&mut client, "AUTH hidden").expect("it is the one");
        call::<Option<String>>(&mut client, "GET key").expect("it may");
    }
}

#[test]
fn clients_are_listed_ended_paused_and_not_heard() {
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let mut client = cluster.client(1);
    let mut other = cluster.client(1);
    let id: u64 = call(&mut other, "CLIENT ID").expect("it has one");
    call::<()>(&mut other, "CLIENT SETNAME other").expect("it is named");
    let list: String = call(&mut client, &format!("CLIENT LIST ID {id}")).expect("it is there");
    for field in ["name=other", "user=default", "flags=N", "fd=", "idle=", "resp=2", "lib-name="] {
        assert!(list.contains(field), "{field} is not in {list}");
    }
    let count: u64 = call(&mut client, &format!("CLIENT KILL ID {id}")).expect("it is ended");
    assert_eq!(count, 1);
    wait("it is gone", PATIENCE, || call::<()>(&mut other, "PING").err().map(drop));
    let none = call::<()>(&mut client, "CLIENT KILL 1.2.3.4:5");
    assert!(none.unwrap_err().to_string().contains("No such client"));

    // One that waits is ended too, and leaves nothing behind.
    let address = cluster.redis_address(1);
    let waiting = std::thread::spawn(move || {
        let mut client = redis::Client::open(format!("redis://{address}")).unwrap().get_connection().unwrap();
        call::<Value>(&mut client, "BLPOP queue 0")
    });
    wait("somebody waits", PATIENCE, || {
        let list: String = call(&mut client, "CLIENT LIST").ok()?;
        list.contains("flags=b").then_some(())
    });
    let _: u64 = call(&mut client, "CLIENT KILL TYPE normal").expect("all others are ended");
    assert!(waiting.join().unwrap().is_err());
    call::<()>(&mut client, "RPUSH queue x").expect("it is pushed");
    let length: u64 = call(&mut client, "LLEN queue").expect("it has one");
    assert_eq!(length, 1, "nobody was given what nobody hears of");

    let said: String = call(&mut client, "DEBUG OBJECT queue").expect("it is told");
    assert!(said.contains("encoding:listpack serializedlength:"), "{said}");
    assert!(call::<String>(&mut client, "DEBUG OBJECT nothing").is_err());

    // Longer than clients of tests wait.
    call::<()>(&mut client, "CLIENT PAUSE 60000 WRITE").expect("it is paused");
    let _: Option<String> = call(&mut client, "GET a").expect("reads are served");
    call::<()>(&mut client, "CLIENT UNPAUSE").expect("it is over");
    let began = std::time::Instant::now();
    call::<()>(&mut client, "CLIENT PAUSE 300 WRITE").expect("it is paused");
    call::<()>(&mut client, "SET a 1").expect("it is served later");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());

    let mut pipeline = redis::pipe();
    for line in ["CLIENT REPLY SKIP", "SET a 2", "PING"] {
        let mut words = line.split(' ');
        pipeline.cmd(words.next().unwrap());
        words.for_each(|word| {
            pipeline.arg(word);
        });
    }
    let reply: Vec<u8> = pipeline.get_packed_pipeline();
    let heard = say(&cluster, &reply, b"+PONG\r\n".len());
    assert_eq!(heard, b"+PONG\r\n");
    let off = b"CLIENT REPLY OFF\r\nSET a 3\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\n";
    let expected = b"+OK\r\n$1\r\n3\r\n";
    assert_eq!(say(&cluster, off, expected.len()), expected);
}

/// What is said, and the first bytes that come back.
fn say(cluster: &Cluster, bytes: &[u8], length: usize) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(cluster.redis_address(1)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("said");
    let mut heard = vec![0; length];
    stream.read_exact(&mut heard).expect("an answer");
    heard
}

/// A command may have more arguments than a million, as in Redis.
#[test]
fn commands_may_have_more_than_a_million_arguments() {
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let mut client = std::net::TcpStream::connect(cluster.redis_address(1)).expect("a connection");
    let keys: Vec<String> = (0..1_200_000).map(|number| number.to_string()).collect();
    let mut words: Vec<&[u8]> = vec![b"EXISTS"];
    words.extend(keys.iter().map(|key| key.as_bytes()));
    assert_eq!(exchange(&mut client, &words).as_deref(), Some(b":0\r\n".as_slice()));
    let mut words: Vec<&[u8]> = vec![b"SADD", b"many"];
    words.extend(keys.iter().map(|key| key.as_bytes()));
    assert_eq!(exchange(&mut client, &words).as_deref(), Some(b":1200000\r\n".as_slice()));
}

/// Whatever is asked for, by whomever: it is answered, or the connection ends, and the node serves others.
#[test]
fn nonsense_about_users_and_parameters_harms_nobody() {
    const COMMANDS: [&str; 13] = [
        "ACL", "CONFIG", "CLIENT", "COMMAND", "LATENCY", "MEMORY", "SLOWLOG", "MODULE", "INFO", "HELLO",
        "AUTH", "WAITAOF", "CLUSTER",
    ];
    const SUBCOMMANDS: [&str; 24] = [
        "SETUSER",
        "GETUSER",
        "DELUSER",
        "LIST",
        "CAT",
        "DRYRUN",
        "GENPASS",
        "LOG",
        "SET",
        "GET",
        "KILL",
        "REPLY",
        "SETINFO",
        "SETNAME",
        "UNBLOCK",
        "INFO",
        "DOCS",
        "GETKEYS",
        "GETKEYSANDFLAGS",
        "HISTOGRAM",
        "GRAPH",
        "RESET",
        "STATS",
        "FILTERBY",
    ];
    let long = "x".repeat(100_000);
    let stars = format!("~{}", "*a".repeat(2_000));
    let brackets = "[".repeat(5_000);
    let arguments = [
        "",
        "\0",
        "u",
        "(",
        ")",
        "(+get",
        "~*)",
        "+",
        "-",
        "+@",
        "+|",
        "+get|",
        "%",
        "%~",
        "%R",
        "~",
        "&",
        ">",
        "<",
        "#",
        "!",
        &long,
        &stars,
        &brackets,
        "maxclientz",
        "save",
        "normal 1 2 3",
        "-1",
        "0",
        "1e400",
        "nan",
        "SET",
        "EVAL",
        "\r\n",
        "*",
        "sort",
        "xread",
        "STREAMS",
        "STORE",
        "ID",
        "ADDR",
        "TYPE",
        "once",
    ];
    let settings = vec![("requirepass", "hidden".to_owned())];
    let options = Options { nodes: 1, copies: 1, view_nodes: 1, settings, ..Options::default() };
    let cluster = Cluster::start(options);
    let address = cluster.redis_address(1);
    let connect = || std::net::TcpStream::connect(address).expect("a connection");
    let known = || {
        let mut client = connect();
        assert_eq!(exchange(&mut client, &[b"AUTH", b"hidden"]).as_deref(), Some(b"+OK\r\n".as_slice()));
        client
    };
    let mut state: u64 = 42;
    let mut below = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count
    };
    let (mut stranger, mut friend) = (connect(), known());
    for round in 0..2_000 {
        let mut words = vec![COMMANDS[below(COMMANDS.len())]];
        words.push(SUBCOMMANDS[below(SUBCOMMANDS.len())]);
        (0..below(6)).for_each(|_| words.push(arguments[below(arguments.len())]));
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        if words[0] == b"CLIENT" && words[1] == b"REPLY" {
            // What is not heard cannot be waited for.
            continue;
        }
        // One of ten comes from somebody who has not said who it is.
        let is_stranger = round % 10 == 0;
        let client = if is_stranger { &mut stranger } else { &mut friend };
        let answer = exchange(client, &words);
        match answer {
            Some(answer) if is_stranger => {
                assert_eq!(answer.first(), Some(&b'-'), "{:?}", String::from_utf8_lossy(&answer));
            }
            Some(_) => {}
            None if is_stranger => stranger = connect(),
            None => friend = known(),
        }
    }
    assert_eq!(exchange(&mut known(), &[b"PING"]).as_deref(), Some(b"+PONG\r\n".as_slice()));
    assert!(cluster.log(1).lines().all(|line| !line.contains("panicked")), "{}", cluster.log(1));
}

/// Says one request; the beginning of the answer, or nothing if the node hung up.
fn exchange(stream: &mut std::net::TcpStream, words: &[&[u8]]) -> Option<Vec<u8>> {
    use std::io::{Read, Write};
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).ok()?;
    let (mut heard, mut chunk) = (Vec::new(), vec![0; 1 << 20]);
    while replies_length(&heard, 1) != Some(heard.len()) {
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!(
                "no answer to {:?}: {error}",
                String::from_utf8_lossy(&request[..200.min(request.len())])
            ),
        }
    }
    Some(heard)
}
