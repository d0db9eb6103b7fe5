//! Strangers on the HTTP port.

use super::client::noise;
use super::input::{Input, Target, nothing};
use super::stranger::{Held, Stranger};

pub(crate) const INPUTS: &[Input] = &[
    http("320 connections that say nothing", |target| Held::many(320, |_| Stranger::new(target.http))),
    http("a header that never ends, 10 MB", |target| {
        let header = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 10_000_000]].concat();
        Held::one(pouring(target, &header))
    }),
    http("a body of 1 GB, of which 1 MB comes", |target| {
        let head = b"POST /operate HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
        Held::one(pouring(target, &[head.as_slice(), &vec![b'{'; 1_000_000]].concat()))
    }),
    http("an order from a web page elsewhere", |target| {
        let order = b"POST /operate HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\n\
            Content-Length: 2\r\n\r\n{}";
        Held::one(pouring(target, order))
    }),
    http("5,000 requests for metrics, unread", |target| {
        Held::one(pouring(target, &b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(5_000)))
    }),
    http("a path of 1 MB", |target| {
        Held::one(pouring(
            target,
            &[b"GET /".as_slice(), &vec![b'%'; 1_000_000], b" HTTP/1.1\r\n\r\n"].concat(),
        ))
    }),
    http("1 MiB of random bytes", |target| Held::one(pouring(target, &noise(1 << 20)))),
];

const fn http(name: &'static str, send: fn(&Target) -> Held) -> Input {
    Input { port: "HTTP", name, prepare: nothing, send }
}

fn pouring(target: &Target, bytes: &[u8]) -> Stranger {
    Stranger::pouring(target.http, bytes)
}
