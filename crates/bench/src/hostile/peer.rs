//! Strangers on the port for other nodes.

use super::client::noise;
use super::input::{Input, Target, nothing};
use super::stranger::{Held, Stranger};

/// What frames begin with.
const MAGIC: &[u8; 4] = b"1cpy";

pub(crate) const INPUTS: &[Input] = &[
    peer("8 MiB of random bytes", |target| Held::one(pouring(target, &noise(8 << 20)))),
    peer("300 connections that say nothing", |target| Held::many(300, |_| Stranger::new(target.peer))),
    peer("a frame of 4 GiB before the greeting", |target| {
        Held::one(pouring(target, &[MAGIC.as_slice(), &u32::MAX.to_le_bytes(), &[0; 4]].concat()))
    }),
    peer("a greeting that never ends", |target| {
        Held::many(50, |_| pouring(target, &[MAGIC.as_slice(), &1_000_u32.to_le_bytes(), &[0; 100]].concat()))
    }),
    peer("a client's command", |target| Held::one(pouring(target, b"*1\r\n$4\r\nPING\r\n"))),
    peer("the name of the cluster, and a frame that is damaged", |target| {
        let body = [&[8, target.cluster.len() as u8], target.cluster.as_bytes(), &[2, 1, 0]].concat();
        let length = (body.len() as u32).to_le_bytes();
        Held::one(pouring(target, &[MAGIC.as_slice(), &length, &[0; 4], &body].concat()))
    }),
];

const fn peer(name: &'static str, send: fn(&Target) -> Held) -> Input {
    Input { port: "peer", name, prepare: nothing, send }
}

fn pouring(target: &Target, bytes: &[u8]) -> Stranger {
    Stranger::pouring(target.peer, bytes)
}
