//! What is set for the whole cluster, as this node understands it: parameters, and who may do what.

use std::collections::BTreeMap;
use std::sync::Arc;

use onecopy_keyspace::rights::User;
use onecopy_views::Table;
use tracing::warn;

use crate::config::Config;
use crate::parameters::Parameters;

/// The user that everybody is who has not said anything else.
pub(crate) const DEFAULT_USER: &[u8] = b"default";

/// What counts on this node now.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// How often this node has heard of something else.
    pub(crate) number: u64,
    /// Whether anything is known of the cluster yet. Until then nobody can say who may come in.
    pub(crate) is_known: bool,
    pub(crate) parameters: Parameters,
    /// The revision of the users.
    pub(crate) revision: u64,
    users: BTreeMap<Vec<u8>, Arc<User>>,
}

impl Policy {
    /// As the view table says, on a node with these settings.
    pub(crate) fn of(number: u64, table: &Table, config: &Config) -> Self {
        let parameters = Parameters::of(table.settings(), config);
        let mut users = BTreeMap::new();
        // Unless the table says something else of it.
        users.insert(DEFAULT_USER.to_vec(), Arc::new(User::unlimited(config.requirepass.as_bytes())));
        for (name, rules) in table.users().iter() {
            // Whoever this version cannot make sense of is not let in.
            let user = User::restore(rules).unwrap_or_else(|| {
                warn!(user = %String::from_utf8_lossy(name), "the rules of a user make no sense to this version");
                User::new(false)
            });
            users.insert(name.to_vec(), Arc::new(user));
        }
        let (is_known, revision) = (table.version() > 0, table.users().revision());
        Self { number, is_known, parameters, revision, users }
    }

    /// The user with this name.
    pub(crate) fn user(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users, by name.
    pub(crate) fn users(&self) -> &BTreeMap<Vec<u8>, Arc<User>> {
        &self.users
    }

    /// Whether whoever connects is somebody at once.
    pub(crate) fn lets_everybody_in(&self) -> bool {
        self.user(DEFAULT_USER).is_some_and(|user| user.is_enabled() && user.needs_no_password())
    }
}
