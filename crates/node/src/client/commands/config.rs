//! `CONFIG`: what clients and tools ask about the server, and what they set for the whole cluster.

use onecopy_resp::Writer;
use onecopy_views::{Command, UserChanges};

use super::acl::propose;
use super::{help, lower, misfit};
use crate::client::Clients;
use crate::client::info::key_counts;
use crate::client::session::Session;
use crate::parameters;
use crate::policy::DEFAULT_USER;

/// `CONFIG GET|RESETSTAT|REWRITE|HELP`. `SET` takes its time.
pub(super) fn config(
    clients: &Clients,
    session: &Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"get", patterns @ [_, ..]) => {
            let mut shown = parameters::matching(patterns, &clients.knowledge.table(), &clients.config);
            // The log says, and the connection has asked.
            if let Some(value) = shown.get_mut(parameters::NOTIFICATIONS) {
                value.clone_from(&session.notified);
            }
            reply.map(shown.len());
            for (name, value) in shown {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        (b"resetstat", []) => {
            clients.knowledge.data.clients.reset();
            clients.knowledge.records.statistics().reset();
            clients.knowledge.records.reset_counts(key_counts(clients));
            reply.ok();
        }
        // What is set is kept already.
        (b"rewrite", []) => reply.ok(),
        (b"help", []) => help::reply(help::CONFIG, reply),
        _ => return misfit("CONFIG", args),
    }
    Ok(())
}

/// `CONFIG SET name value …`: all of them, or none.
pub(in crate::client) async fn set_parameters(clients: &Clients, pairs: &[&[u8]]) -> Result<(), String> {
    let table = clients.knowledge.table();
    let is_password = |name: &&[u8]| name.eq_ignore_ascii_case(b"requirepass");
    if pairs.iter().step_by(2).any(is_password) {
        return match pairs {
            [_, password] => set_password(clients, password).await,
            _ => Err("ERR CONFIG SET failed (possibly related to argument 'requirepass') - it is set by itself: users and \
                      parameters are not changed together"
                .to_owned()),
        };
    }
    let values = parameters::changes(pairs, table.settings(), &clients.config)?;
    if table.settings().include(&values) {
        return Ok(());
    }
    propose(clients, Command::SetParameters { values: values.clone() }).await?;
    clients.knowledge.table_shows(|table| table.settings().include(&values)).await;
    Ok(())
}

/// The only password of the user `default` from now on; none is needed if it is empty.
async fn set_password(clients: &Clients, password: &[u8]) -> Result<(), String> {
    super::acl::change_users(clients, |policy| {
        let user = policy.user(DEFAULT_USER).ok_or("ERR there is no user 'default'")?;
        let mut user = onecopy_keyspace::rights::User::clone(user);
        user.set_password(password);
        Ok(UserChanges::from([(DEFAULT_USER.to_vec(), Some(user.describe()))]))
    })
    .await
}
