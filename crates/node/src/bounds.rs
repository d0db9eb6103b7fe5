//! Whatever is written can be read (rule E3): the largest that each writer makes, beside the most that its
//! reader takes.
//!
//! What writers make follows from constants all over the crates. They are put together here, and compared
//! with the table of `docs/limits.md`: who changes one of them learns here whether the others still fit.

use onecopy_core::chunks::CHUNK;
use onecopy_core::parts::PARTS_BYTES_MAX;
use onecopy_core::payload::BODY_BYTES_MAX;
use onecopy_core::{AnswerBounds, session::UNCONFIRMED_MAX};
use onecopy_host::coordinator::{BATCH_BYTES_MAX, LARGE_BYTES, PART_BYTES};
use onecopy_host::group::ENTRY_BYTES_MAX;
use onecopy_keyspace::{
    ANSWER_BYTES_MAX, REPLY_BYTES_MAX, RESPONSE_BYTES_WANTED, STEPS_MAX, TEXT_BYTES_MAX, TOKEN_BYTES_MAX,
    TRANSACTION_COMMANDS_MAX,
};
use onecopy_storage::RECORD_BYTES_MAX;

use crate::client::connection::SEGMENT_BYTES_MAX;
use crate::config::COMMAND_BYTES_MAX;
use crate::peer::wire::BODY_MAX;

const MIB: usize = 1 << 20;
/// More than any header, or any number of them around one payload.
const HEADERS: usize = 4096;
/// The shortest command in a segment: how many arguments, one length, and one byte.
const COMMAND_BYTES_MIN: usize = 4 + 4 + 1;
/// What a command is answered that is not executed because the answers before it are too large.
const REFUSAL: usize =
    "-TRYAGAIN the answers before it are too large together; it was not executed\r\n".len();

/// The largest body of a batch: what closes it, and one segment, which is what closes that, and one command.
const BATCH: usize = BATCH_BYTES_MAX + SEGMENT_BYTES_MAX + COMMAND_BYTES_MAX + HEADERS;
/// The largest body that travels in one piece: a batch that is not large, or a part.
const PIECE: usize = if LARGE_BYTES > PART_BYTES { LARGE_BYTES } else { PART_BYTES };
/// The largest payload of an entry: what closes it, and one such body.
const ENTRY: usize = ENTRY_BYTES_MAX + PIECE + HEADERS;
/// As many short commands as find room beside the large one.
const COMMANDS: usize = (BATCH_BYTES_MAX + SEGMENT_BYTES_MAX) / COMMAND_BYTES_MIN;
/// The largest response: what is wanted, one reply that goes beyond it, and refusals; a segment is longer
/// than the length before its replies.
const RESPONSE: usize = RESPONSE_BYTES_WANTED + REPLY_BYTES_MAX + COMMANDS * (REFUSAL + 4) + HEADERS;

/// A line of the table: what is written, who reads it, how much both know.
fn pairs() -> [(&'static str, usize, &'static str, Option<usize>); 11] {
    [
        ("a string or an element", COMMAND_BYTES_MAX, "the longest string", Some(TEXT_BYTES_MAX)),
        ("a reply that is one string", TEXT_BYTES_MAX + 64, "a reply", Some(REPLY_BYTES_MAX)),
        ("a batch", BATCH, "what is kept of batches in parts", Some(PARTS_BYTES_MAX as usize)),
        ("a batch in one piece, or a part", PIECE, "a length in an entry", Some(BODY_BYTES_MAX)),
        ("an entry in a `Prepare`", ENTRY + 4 * MIB, "a frame between peers", Some(BODY_MAX)),
        ("an entry in the log", ENTRY, "a record of the log", Some(RECORD_BYTES_MAX)),
        ("a response", RESPONSE, "a frame between peers", Some(BODY_MAX)),
        ("a piece of a snapshot", CHUNK + 1, "a frame between peers", Some(BODY_MAX)),
        (
            "remembered answers in an image",
            AnswerBounds::default().all_max as usize,
            "what precedes the machine's image",
            None,
        ),
        ("a shard, or some tokens, in an image", usize::MAX, "a record of an image", None),
        ("a token", TOKEN_BYTES_MAX, "a token of an image", Some(TOKEN_BYTES_MAX)),
    ]
}

fn in_words(bytes: usize) -> String {
    match bytes {
        usize::MAX => "what it has".to_owned(),
        _ if bytes >= MIB => format!("{} MiB", bytes.div_ceil(MIB)),
        _ if bytes >= 1024 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{bytes} bytes"),
    }
}

#[test]
fn every_reader_takes_what_its_writer_makes() {
    for (what, writer, reader, limit) in pairs() {
        assert!(
            limit.is_none_or(|limit| writer <= limit),
            "E3: {what} has up to {writer} bytes, {reader} less"
        );
    }
}

/// A transaction is executed to its end, with short replies once there is no room: these are no more than the
/// refusals that a response may have.
#[test]
fn a_transaction_has_no_larger_response() {
    const SHORT: usize = "-ERR executed, but the replies of the transaction are too large together\r\n".len();
    assert!(TRANSACTION_COMMANDS_MAX as usize * SHORT <= COMMANDS * (REFUSAL + 4));
}

#[test]
fn the_documentation_has_the_table() {
    let documented = include_str!("../../../docs/limits.md");
    for (what, writer, reader, limit) in pairs() {
        let limit = limit.map_or("any size".to_owned(), in_words);
        let line = format!("| {what} | {} | {reader} | {limit} |", in_words(writer));
        assert!(documented.contains(&line), "docs/limits.md lacks this line:\n{line}");
    }
    for fact in [
        format!("{STEPS_MAX} steps"),
        format!("{} MiB for one answer", AnswerBounds::default().one_max / MIB),
        format!("{} MiB for all", AnswerBounds::default().all_max / MIB as u64),
        format!("{UNCONFIRMED_MAX} batches"),
        format!("{} MiB of answers", RESPONSE_BYTES_WANTED / MIB),
        format!("{TRANSACTION_COMMANDS_MAX} commands"),
        format!("{} MiB under a token", ANSWER_BYTES_MAX / MIB),
    ] {
        assert!(documented.contains(&fact), "docs/limits.md does not say: {fact}");
    }
}
