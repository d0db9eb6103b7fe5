//! Who may do what: the users of the cluster, by name, each with its rules as a text. What the rules mean is
//! no business of the view service; it keeps them, and tells every node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::Rejection;

/// The longest name of a user, in bytes.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// The longest rules of a user, in bytes.
pub const USER_RULES_BYTES_MAX: usize = 64 * 1024;
/// The names and rules of all users together have at most so many bytes: every change of the table is told
/// to every node with all of them.
pub const USERS_BYTES_MAX: usize = 1024 * 1024;
/// What a user costs beside its name and rules.
const USER_BYTES: usize = 64;

/// Users by name: their rules, or nothing for one that is to go.
pub type UserChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The users of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Users {
    /// How often they were changed. Rules are made of those before: a change names the revision that it was
    /// decided on.
    revision: u64,
    rules: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Users {
    /// How often they were changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The rules of a user.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.rules.get(name).map(Vec::as_slice)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rules.iter().map(|(name, rules)| (name.as_slice(), rules.as_slice()))
    }

    /// Whether they are as these changes would make them.
    #[must_use]
    pub fn include(&self, changes: &UserChanges) -> bool {
        changes.iter().all(|(name, rules)| self.rules.get(name) == rules.as_ref())
    }

    fn bytes(&self) -> usize {
        self.rules.iter().map(|(name, rules)| USER_BYTES + name.len() + rules.len()).sum()
    }

    /// Changes some, all of them or none, if nobody has changed any since `expected`.
    pub(crate) fn change(&mut self, expected: u64, changes: &UserChanges) -> Result<(), Rejection> {
        if self.revision != expected {
            return Err(Rejection::UsersChanged { expected, current: self.revision });
        }
        let is_too_long = |(name, rules): (&Vec<u8>, &Option<Vec<u8>>)| {
            name.len() > USER_NAME_BYTES_MAX
                || rules.as_ref().is_some_and(|rules| rules.len() > USER_RULES_BYTES_MAX)
        };
        if changes.iter().any(is_too_long) {
            return Err(Rejection::NotAllowed("the name or the rules of a user are too long"));
        }
        if self.include(changes) {
            return Err(Rejection::NoChange);
        }
        let mut changed = self.clone();
        for (name, rules) in changes {
            match rules {
                Some(rules) => changed.rules.insert(name.clone(), rules.clone()),
                None => changed.rules.remove(name),
            };
        }
        if changed.bytes() > USERS_BYTES_MAX && changed.bytes() > self.bytes() {
            return Err(Rejection::NotAllowed("there is no room for more users, or for longer rules"));
        }
        changed.revision += 1;
        *self = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(pairs: &[(&str, Option<&str>)]) -> UserChanges {
        let bytes = |text: &str| text.as_bytes().to_vec();
        pairs.iter().map(|(name, rules)| (bytes(name), rules.map(bytes))).collect()
    }

    #[test]
    fn a_change_that_was_decided_on_other_users_is_refused() {
        let mut users = Users::default();
        assert_eq!(users.change(0, &changes(&[("ann", Some("on")), ("bob", Some("off"))])), Ok(()));
        let stale = users.change(0, &changes(&[("ann", Some("off"))]));
        assert_eq!(stale, Err(Rejection::UsersChanged { expected: 0, current: 1 }));
        assert_eq!(users.change(1, &changes(&[("ann", Some("on"))])), Err(Rejection::NoChange));
        assert_eq!(users.change(1, &changes(&[("ann", None)])), Ok(()));
        assert_eq!(users.iter().collect::<Vec<_>>(), [(b"bob".as_slice(), b"off".as_slice())]);
        assert_eq!(users.revision(), 2);
    }

    #[test]
    fn users_are_bounded_and_can_always_be_made_fewer() {
        let mut users = Users::default();
        let long = "x".repeat(USER_RULES_BYTES_MAX);
        let mut count = 0;
        while users.change(users.revision(), &changes(&[(&count.to_string(), Some(&long))])).is_ok() {
            count += 1;
        }
        assert_eq!(count, USERS_BYTES_MAX / (USER_RULES_BYTES_MAX + USER_BYTES));
        assert_eq!(users.change(users.revision(), &changes(&[("0", Some("on"))])), Ok(()));
        let longer = "x".repeat(USER_RULES_BYTES_MAX + 1);
        assert!(users.change(users.revision(), &changes(&[("0", Some(&longer))])).is_err());
    }
}
