//! What is set for the whole cluster, as this node understands it: parameters, and who may do what.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use onecopy_keyspace::rights::{PASSWORD_HASH_CHARS, User, hash};
use onecopy_views::Table;
use tracing::warn;

use crate::config::Config;
use crate::parameters::Parameters;
use crate::text::same_secret;

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
    /// Whether a node without a password serves its own machine alone.
    protected_mode: bool,
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
        let protected_mode = config.protected_mode;
        Self { number, is_known, parameters, revision, users, protected_mode }
    }

    /// The user that has this name and this password, if it may come in.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        let user = self.user(name);
        // Whoever is nobody is compared with one hash too, so that nobody learns who is known.
        let given = hash(password);
        let is_same = |known: &str| same_secret(known.as_bytes(), given.as_bytes());
        let is_known = match user.filter(|user| user.passwords().len() > 0) {
            Some(user) => user.passwords().fold(false, |is_one, known| is_one | is_same(known)),
            None => is_same(&"0".repeat(PASSWORD_HASH_CHARS)),
        };
        user.filter(|user| user.is_enabled() && (user.needs_no_password() || is_known))
    }

    /// Whether a caller from this address is turned away because everybody would be let in (Redis' protected
    /// mode): who starts a node that others reach, and thinks of no password, gives his data to everybody.
    pub(crate) fn is_protected_from(&self, address: IpAddr) -> bool {
        self.protected_mode && self.lets_everybody_in() && !address.to_canonical().is_loopback()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn without_a_password_other_machines_are_turned_away() {
        let policy = |password: &str, protected_mode: bool| {
            let config = Config { requirepass: password.to_owned(), protected_mode, ..config() };
            Policy::of(0, &Table::default(), &config)
        };
        let turns_away = |policy: &Policy, address: &str| policy.is_protected_from(address.parse().unwrap());
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!turns_away(&policy("", true), own), "{own}");
        }
        for other in ["10.0.0.7", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.7", "0.0.0.0"] {
            assert!(turns_away(&policy("", true), other), "{other}");
            assert!(
                !turns_away(&policy("", false), other) && !turns_away(&policy("x", true), other),
                "{other}"
            );
        }
    }

    #[test]
    fn a_user_is_let_in_with_one_of_its_passwords() {
        let mut policy = Policy::of(0, &Table::default(), &config());
        let mut add = |name: &str, rules: &str| {
            let mut user = User::new(false);
            rules.split(' ').for_each(|rule| user.follow(rule.as_bytes(), false).expect("a rule"));
            policy.users.insert(name.into(), Arc::new(user));
        };
        add("ann", "on >one >two");
        add("off", "off >one");
        add("open", "on nopass");
        for (name, password, is_let_in) in [
            ("ann", "one", true),
            ("ann", "two", true),
            ("ann", "", false),
            ("ann", "three", false),
            ("off", "one", false),
            ("open", "anything", true),
            ("nobody", "one", false),
        ] {
            let user = policy.authenticate(name.as_bytes(), password.as_bytes());
            assert_eq!(user.is_some(), is_let_in, "{name} {password}");
        }
    }
}
