//! `DEBUG`, as far as it is about data: digests, and a round trip of all values.

use onecopy_resp::Writer;

use super::object::unknown;
use crate::context::View;
use crate::digest;
use crate::error::{CommandError, Outcome};
use crate::number::is_word;
use crate::serial;
use crate::slot::Object;
use crate::steps::{KEY, copying};

/// `DEBUG DIGEST`, `DIGEST-VALUE`, `RELOAD` and `LOADAOF`. The digests are our own: equal data has equal ones
/// here, and another one in Redis.
pub(crate) fn debug(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match &args[1..] {
        [word] if is_word(word, "DIGEST") => {
            let mut sum = 0u64;
            objects(view, |number, object| {
                sum = sum.wrapping_add(digest::of_key(number, object));
                Ok(())
            })?;
            reply.simple(&shown(sum));
        }
        [word, keys @ ..] if is_word(word, "DIGEST-VALUE") => {
            reply.array(keys.len());
            for key in keys {
                let object = view.object(key);
                spend(view, object);
                reply.simple(&shown(object.map_or(0, digest::of_value)));
            }
        }
        [word, options @ ..] if is_word(word, "RELOAD") => {
            let known =
                |option: &&[u8]| ["MERGE", "NOFLUSH", "NOSAVE"].iter().any(|word| is_word(option, word));
            if !options.iter().all(known) {
                return Err(CommandError::Other(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
            round_trip(view)?;
            reply.ok();
        }
        [word] if is_word(word, "LOADAOF") => {
            round_trip(view)?;
            reply.ok();
        }
        _ => return Err(unknown("DEBUG", args[1])),
    }
    Ok(())
}

/// As long as a digest of Redis.
fn shown(digest: u64) -> String {
    format!("{digest:040x}")
}

fn spend(view: &View<'_>, object: Option<Object<'_>>) {
    view.budget.spend(KEY + object.map_or(0, |object| copying(object.memory() as usize)));
}

/// Looks at all keys of all databases that have not expired.
fn objects(
    view: &View<'_>,
    mut look: impl FnMut(usize, Object<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    for (number, database) in view.keyspace.databases.iter().enumerate() {
        for object in database.iter().flat_map(|database| database.objects()) {
            if !object.is_expired(view.now) {
                spend(view, Some(object));
                look(number, object)?;
            }
        }
    }
    Ok(())
}

/// Writes each value in the format of Redis' files, builds it again from that, and compares. Nothing changes:
/// what a restart reads is in the log and in images already.
fn round_trip(view: &View<'_>) -> Outcome {
    objects(view, |_, object| {
        let payload = serial::payload(object.value, view.budget)?;
        let value = serial::check(&payload, view.budget)?;
        let built = serial::build(value, view.keyspace.seed, view.budget)?;
        let again = Object { value: built.content(), ..object };
        if digest::of_value(again) == digest::of_value(object) {
            return Ok(());
        }
        let key = String::from_utf8_lossy(object.key).into_owned();
        Err(CommandError::Said(format!("ERR the value of '{key}' is another one after a round trip")))
    })
}
