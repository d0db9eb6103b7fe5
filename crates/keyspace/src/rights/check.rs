//! Whether a user may do something.

use super::{Selector, User};
use crate::command::catalogue;
use crate::command::{self, KeyAccess, key_accesses};

/// What a user wants to do: a command with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The arguments; the first is the name of the command.
    pub args: &'a [&'a [u8]],
}

/// Why a user may not do something. Displayed as Redis says it, behind `NOPERM `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The command, by its name in the catalogue.
    Command(&'static str),
    /// A key.
    Key(Vec<u8>),
    /// A channel.
    Channel(Vec<u8>),
}

impl Denial {
    /// What the user is told, which has this name. `is_exact`: keys and channels are named.
    #[must_use]
    pub fn say(&self, name: &[u8], is_exact: bool) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let user = text(name);
        match self {
            Self::Command(command) => {
                format!("User {user} has no permissions to run the '{command}' command")
            }
            Self::Key(key) if is_exact => {
                format!("User {user} has no permissions to access the '{}' key", text(key))
            }
            Self::Channel(channel) if is_exact => {
                format!("User {user} has no permissions to access the '{}' channel", text(channel))
            }
            Self::Key(_) => "No permissions to access a key".to_owned(),
            Self::Channel(_) => "No permissions to access a channel".to_owned(),
        }
    }

    /// Of several reasons the one is told that came closest to being allowed.
    fn closeness(&self) -> usize {
        match self {
            Self::Command(_) => 0,
            Self::Key(_) => 1,
            Self::Channel(_) => 2,
        }
    }
}

impl<'a> Request<'a> {
    /// The commands that it is about: `ONCE` asks for another one.
    fn parts(self) -> impl Iterator<Item = Self> {
        let is_once = self.args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"once"));
        let inner = self.args.get(2..).filter(|inner| is_once && !inner.is_empty());
        std::iter::once(self).chain(inner.map(|args| Self { args }))
    }

    fn keys(self) -> Vec<KeyAccess> {
        let spec = self.args.first().and_then(|name| command::lookup(name));
        spec.map_or_else(Vec::new, |spec| key_accesses(spec, self.args))
    }

    /// The channels that it is about, and whether they are patterns.
    fn channels(self) -> (&'a [&'a [u8]], bool) {
        let name = self.args.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        match name.as_slice() {
            b"publish" | b"spublish" => (self.args.get(1..2).unwrap_or_default(), false),
            b"subscribe" | b"ssubscribe" => (self.args.get(1..).unwrap_or_default(), false),
            b"psubscribe" => (self.args.get(1..).unwrap_or_default(), true),
            _ => (&[], false),
        }
    }
}

impl User {
    /// Whether the user may do this. What nobody knows is for others to complain about.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, request: Request<'_>) -> Result<(), Denial> {
        if self.is_unlimited() {
            return Ok(());
        }
        request.parts().try_for_each(|part| self.check_part(part))
    }

    fn check_part(&self, request: Request<'_>) -> Result<(), Denial> {
        let mut reason: Option<(Denial, usize)> = None;
        for selector in std::iter::once(&self.root).chain(&self.selectors) {
            let Err((denial, position)) = selector.check(request) else { return Ok(()) };
            let is_closer =
                |(known, at): &(Denial, usize)| (denial.closeness(), position) > (known.closeness(), *at);
            if reason.as_ref().is_none_or(is_closer) {
                reason = Some((denial, position));
            }
        }
        reason.map_or(Ok(()), |(denial, _)| Err(denial))
    }
}

impl Selector {
    /// Why it does not allow something, and at which of the arguments that shows.
    fn check(&self, request: Request<'_>) -> Result<(), (Denial, usize)> {
        let Some((command, subcommand)) = catalogue::asked(request.args) else { return Ok(()) };
        let place = subcommand.unwrap_or(command);
        let listing = catalogue::all()[place];
        if !listing.has("no_auth") && !self.allows_command(place, request.args.get(1).copied()) {
            return Err((Denial::Command(listing.name), 0));
        }
        if !self.all_keys {
            for key in request.keys() {
                let name = request.args.get(key.position).copied().unwrap_or_default();
                if !self.allows_key(name, key.reads(), key.writes()) {
                    return Err((Denial::Key(name.to_vec()), key.position));
                }
            }
        }
        if !self.all_channels {
            let (channels, are_patterns) = request.channels();
            let denied = |name: &&[u8]| !self.allows_channel(name, are_patterns);
            if let Some(place) = channels.iter().position(denied) {
                return Err((Denial::Channel(channels[place].to_vec()), place + 1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(rules: &str) -> User {
        let mut user = User::new(false);
        let words: Vec<&[u8]> = rules.split(' ').map(str::as_bytes).collect();
        for rule in super::super::merge_selectors(&words).expect("parentheses match") {
            user.follow(&rule, false).expect("it is a rule");
        }
        user
    }

    fn check(user: &User, line: &str) -> Result<(), Denial> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        user.check(Request { args: &args })
    }

    fn key(name: &str) -> Result<(), Denial> {
        Err(Denial::Key(name.as_bytes().to_vec()))
    }

    #[test]
    fn commands_are_allowed_by_name_category_and_subcommand() {
        let reader = user("+@read -keys +config|get +select|0 ~*");
        for line in ["GET k", "get k", "TTL k", "CONFIG GET x", "SELECT 0", "AUTH x", "HELLO", "QUIT"] {
            assert_eq!(check(&reader, line), Ok(()), "{line}");
        }
        for (line, name) in [
            ("SET k v", "set"),
            ("KEYS *", "keys"),
            ("CONFIG SET x y", "config|set"),
            ("CONFIG nothing", "config"),
            ("SELECT 1", "select"),
            ("PING", "ping"),
        ] {
            assert_eq!(check(&reader, line), Err(Denial::Command(name)), "{line}");
        }
    }

    #[test]
    fn keys_are_allowed_for_reading_and_writing() {
        let user = user("+@all %R~r* %W~w* ~b*");
        for line in ["GET r1", "SET w1 v", "COPY r1 w1", "INCR b", "SORT r BY x STORE w", "EXISTS w"] {
            assert_eq!(check(&user, line), Ok(()), "{line}");
        }
        assert_eq!(check(&user, "SET r v"), key("r"));
        assert_eq!(check(&user, "GET w"), key("w"));
        assert_eq!(check(&user, "SET w v GET"), key("w"));
        assert_eq!(check(&user, "COPY r other"), key("other"));
        assert_eq!(check(&user, "MSET w 1 r 2"), key("r"));
        assert_eq!(check(&user, "EVAL x 2 b r"), key("r"));
        assert_eq!(check(&user, "ONCE token GET other"), key("other"));
    }

    #[test]
    fn one_selector_must_allow_all_of_it() {
        let user = user("+get ~a (+set ~b) (+publish &news.*)");
        for line in ["GET a", "SET b v", "PUBLISH news.x hello"] {
            assert_eq!(check(&user, line), Ok(()), "{line}");
        }
        assert_eq!(check(&user, "GET b"), key("b"));
        assert_eq!(check(&user, "SET a v"), key("a"));
        assert_eq!(check(&user, "PUBLISH other x"), Err(Denial::Channel(b"other".to_vec())));
        assert_eq!(check(&user, "DEL a"), Err(Denial::Command("del")));
    }

    #[test]
    fn patterns_of_channels_are_allowed_to_the_letter() {
        let user = user("+@pubsub &news.*");
        assert_eq!(check(&user, "PSUBSCRIBE news.*"), Ok(()));
        assert_eq!(check(&user, "SUBSCRIBE news.a news.b"), Ok(()));
        assert_eq!(check(&user, "PSUBSCRIBE news.a*"), Err(Denial::Channel(b"news.a*".to_vec())));
    }

    #[test]
    fn an_unlimited_user_is_one_with_all_three() {
        assert!(User::unlimited(b"x").is_unlimited());
        assert!(user("+@all ~* &*").is_unlimited());
        assert!(!user("+@all -keys ~* &*").is_unlimited() && !user("+@all ~*").is_unlimited());
    }
}
