//! A user.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::rules::Origin;
use super::selector::Selector;

/// The categories of commands, in the order of `ACL CAT`.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// How many characters the hash of a password has.
pub const PASSWORD_HASH_CHARS: usize = 64;

/// The hash of a password, as users keep it: SHA-256, in hexadecimal.
#[must_use]
pub fn hash(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that somebody has written.
pub(super) fn parse_hash(text: &[u8]) -> Option<String> {
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let is_one = text.len() == PASSWORD_HASH_CHARS && text.iter().all(is_hex);
    is_one.then(|| String::from_utf8_lossy(text).into_owned())
}

/// A user: whether it may come in, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub(super) is_enabled: bool,
    pub(super) needs_no_password: bool,
    pub(super) sanitizes: bool,
    /// The hashes of its passwords: each of them lets it in.
    pub(super) passwords: BTreeSet<String>,
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
}

impl User {
    /// One that may do nothing, and may not come in. `channels_too`: it may use all channels nevertheless.
    #[must_use]
    pub fn new(channels_too: bool) -> Self {
        let mut root = Selector::default();
        root.all_channels = channels_too;
        let (passwords, selectors) = (BTreeSet::new(), Vec::new());
        Self { is_enabled: false, needs_no_password: false, sanitizes: true, passwords, root, selectors }
    }

    /// One that may do everything: with this password, or without any if it is empty.
    #[must_use]
    pub fn unlimited(password: &[u8]) -> Self {
        let mut user = Self::new(true);
        user.is_enabled = true;
        user.root.all_keys = true;
        user.root.set_all_commands(true);
        user.set_password(password);
        user
    }

    /// This password is its only one from now on; none is needed if it is empty.
    pub fn set_password(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.needs_no_password = password.is_empty();
        if !password.is_empty() {
            self.passwords.insert(hash(password));
        }
    }

    /// The user that [`describe`](Self::describe) has described, perhaps a newer version. `None` if the text
    /// makes no sense.
    #[must_use]
    pub fn restore(text: &[u8]) -> Option<Self> {
        let mut user = Self::new(false);
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let rules = super::merge_selectors(&words).ok()?;
        for rule in rules {
            user.follow_from(&rule, false, Origin::Node).ok()?;
        }
        Some(user)
    }

    /// Whether it may come in.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Whether it comes in with any password, or none.
    #[must_use]
    pub fn needs_no_password(&self) -> bool {
        self.needs_no_password
    }

    /// The hashes of its passwords.
    pub fn passwords(&self) -> impl ExactSizeIterator<Item = &str> {
        self.passwords.iter().map(String::as_str)
    }

    /// Whether it may do everything, so that nothing need be checked.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.root.is_unlimited()
    }

    /// Its flags.
    #[must_use]
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_enabled { "on" } else { "off" }];
        if self.needs_no_password {
            flags.push("nopass");
        }
        flags.push(if self.sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" });
        flags
    }

    /// What rules outside of parentheses say.
    #[must_use]
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// The other selectors.
    #[must_use]
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Rules that make this user of a new one.
    #[must_use]
    pub fn describe(&self) -> Vec<u8> {
        let mut text = self.flags().join(" ").into_bytes();
        text.push(b' ');
        for hash in &self.passwords {
            text.extend_from_slice(format!("#{hash} ").as_bytes());
        }
        self.describe_rights(&mut text);
        text
    }

    /// Rules that give the same rights to a new user: what requests carry for their scripts.
    pub fn describe_rights(&self, into: &mut Vec<u8>) {
        self.root.describe(into);
        for selector in &self.selectors {
            into.extend_from_slice(b" (");
            selector.describe(into);
            into.push(b')');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(rules: &[&str]) -> User {
        let mut user = User::new(false);
        rules.iter().for_each(|rule| user.follow(rule.as_bytes(), false).expect("it is a rule"));
        user
    }

    fn described(rules: &[&str]) -> String {
        String::from_utf8(user(rules).describe()).expect("text")
    }

    #[test]
    fn users_are_described_as_rules() {
        assert_eq!(described(&[]), "off sanitize-payload resetchannels -@all");
        assert_eq!(
            String::from_utf8(User::unlimited(b"").describe()).unwrap(),
            "on nopass sanitize-payload ~* &* +@all"
        );
        assert_eq!(
            described(&["on", ">x", "+get", "+config|get", "~a*", "%R~b", "(+set ~c)"]),
            format!(
                "on sanitize-payload #{} ~a* %R~b resetchannels -@all +get +config|get (~c resetchannels -@all +set)",
                hash(b"x")
            )
        );
        assert_eq!(
            described(&["+@read", "-get", "+GET", "+client|id", "-client"]),
            "off sanitize-payload resetchannels -@all +@read +get -client"
        );
        assert_eq!(
            described(&["allcommands", "-@dangerous", "+keys"]),
            "off sanitize-payload resetchannels +@all -@dangerous +keys"
        );
        assert_eq!(
            described(&["%R~a", "%W~a", "+select|0"]),
            "off sanitize-payload ~a resetchannels -@all +select|0"
        );
    }

    #[test]
    fn what_is_described_can_be_restored() {
        for rules in [
            &["on", ">x", ">y", "+@all", "-@admin", "~*", "&a", "&b*"][..],
            &["nopass", "skip-sanitize-payload", "(+get %W~k)", "(&x +publish)"],
            &["+select|0", "-@all", "+@hash", "-hget", "allchannels"],
            &[],
        ] {
            let user = user(rules);
            assert_eq!(User::restore(&user.describe()).as_ref(), Some(&user), "{rules:?}");
        }
        // A newer node may know more commands.
        let newer = User::restore(b"on resetchannels -@all +get +futurecommand").expect("it is skipped");
        assert!(String::from_utf8(newer.describe()).unwrap().ends_with("+get +futurecommand"));
        assert_eq!(User::restore(b"on nonsense"), None);
    }
}
