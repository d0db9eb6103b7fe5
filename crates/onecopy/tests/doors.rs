//! Who is let in over HTTP, and who may do what there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use onecopy::credentials::basic;
use onecopy_harness::{Cluster, Options, PATIENCE, run, wait};

const READER: (&str, &str) = ("reader", "r");
const OPERATOR: (&str, &str) = ("operator", "o");

/// What a node answers.
#[derive(Debug)]
struct Heard {
    status: u16,
    head: String,
}

fn say(address: SocketAddr, request: &str) -> Heard {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    Heard { status: status.expect("a status"), head }
}

fn get(address: SocketAddr, path: &str, authorization: Option<&str>) -> Heard {
    let header = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\r\n"))
}

fn operate(address: SocketAddr, operation: &str, authorization: Option<&str>) -> Heard {
    let header = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    say(
        address,
        &format!(
            "POST /operate HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{header}\r\n{operation}",
            operation.len()
        ),
    )
}

#[test]
fn over_http_users_have_the_rights_that_they_have_as_clients() {
    let mut cluster = Cluster::start(Options::default());
    let address = cluster.http_address(2);
    assert_eq!(get(address, "/status", None).status, 200, "everybody is let in");
    let mut client = cluster.client(1);
    run::<()>(&mut client, "ACL SETUSER reader on >r +info");
    run::<()>(&mut client, "ACL SETUSER operator on >o +info +failover +database");
    run::<()>(&mut client, "ACL SETUSER blind on >b +get");
    run::<()>(&mut client, "CONFIG SET requirepass secret");
    cluster.set_password("secret");
    wait("a password is asked for", PATIENCE, || (get(address, "/status", None).status == 401).then_some(()));

    for path in ["/status", "/events", "/metrics", "/configuration"] {
        assert_eq!(get(address, path, None).status, 401, "{path}");
        assert_eq!(get(address, path, Some("Bearer wrong")).status, 401, "{path}");
        assert_eq!(get(address, path, Some("Digest x")).status, 400, "{path}");
        assert_eq!(get(address, path, Some(&basic("blind", "b"))).status, 403, "{path}");
        assert_eq!(get(address, path, Some(&basic("nobody", "x"))).status, 401, "{path}");
        assert_eq!(get(address, path, Some(&basic(READER.0, READER.1))).status, 200, "{path}");
        assert_eq!(get(address, path, Some("Bearer secret")).status, 200, "{path}");
    }
    let challenged = get(address, "/status", None);
    assert!(challenged.head.to_lowercase().contains("www-authenticate: basic"), "{challenged:?}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(address, path, None).status, 200, "{path}: supervisors have no password");
    }

    let create = r#"{"operation":"create_database","name":"carts","numbers":"16"}"#;
    let drain = r#"{"operation":"drain","node":3}"#;
    for (operation, who, status) in [
        (create, None, 401),
        (create, Some(READER), 403),
        (drain, Some(READER), 403),
        (drain, Some(OPERATOR), 403),
        (create, Some(OPERATOR), 200),
    ] {
        let said = operate(address, operation, who.map(|(user, password)| basic(user, password)).as_deref());
        assert_eq!(said.status, status, "{operation} of {who:?}: {said:?}");
    }
    // Who did what is in the log, and no password.
    let log = cluster.log(2);
    assert!(log.contains("onecopy::audit") && log.contains("user=\"operator\""), "{log}");
    assert!(!log.contains("secret"), "a password is in the log");

    // The command line says who it is.
    assert!(cluster.must_operate(&["database", "list"]).contains("carts"));
    cluster.set_password("wrong");
    let refused = cluster.operate(&["database", "list"]);
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && reason.contains("--password-file"), "{reason}");
}
