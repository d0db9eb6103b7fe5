//! Every command and subcommand of Redis 7.2, as `COMMAND` describes it, whether it is there or not; and our
//! own. Rights, replies to `COMMAND` and the page of commands are made of it.

mod data;
mod server;
mod subcommands;

use std::sync::LazyLock;

/// A command, or a subcommand.
#[derive(Debug)]
pub struct Listing {
    /// Its name in small letters; that of a subcommand stands behind that of its command and a `|`.
    pub name: &'static str,
    /// How many arguments it takes, its names included; at least so many when negative.
    pub arity: i32,
    /// The positions of the first and last key, and the distance between keys, for clients that know no
    /// key specifications.
    pub key_range: [i32; 3],
    /// Words, each behind a space.
    pub flags: &'static str,
    /// The categories of rights that it belongs to, without their `@`.
    pub categories: &'static str,
    /// The group of commands that Redis' documentation puts it in.
    pub group: &'static str,
    /// The version of Redis that had it first; empty if it is our own.
    pub since: &'static str,
    /// What clients should know who route or cache.
    pub tips: &'static str,
    /// Where its keys stand, and what happens to them: see [`KeySpec`].
    keys: &'static str,
}

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
const fn listing(
    name: &'static str,
    arity: i32,
    key_range: [i32; 3],
    flags: &'static str,
    categories: &'static str,
    group: &'static str,
    since: &'static str,
    tips: &'static str,
    keys: &'static str,
) -> Listing {
    Listing { name, arity, key_range, flags, categories, group, since, tips, keys }
}

/// Where some keys of a command stand, and what happens to them. In the catalogue it is written as
/// `flags / begin / find`, several behind `;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Such as `RO`, `RW`, `OW`, `access`, `update`.
    pub flags: Vec<&'static str>,
    /// Where they begin.
    pub begin: Begin,
    /// Which of the arguments from there on are keys.
    pub find: Find,
}

/// Where keys begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(i32),
    /// Behind a word, which is looked for from an argument on; from the end when that is negative.
    Keyword(&'static str, i32),
    /// Nobody can say without taking the command apart.
    Unknown,
}

/// Which arguments are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// The last one, counted from the first or from the end; the distance; the part of the arguments that
    /// they are.
    Range(i32, i32, i32),
    /// Where their number stands; where they begin; the distance.
    Number(i32, i32, i32),
    /// Nobody can say without taking the command apart.
    Unknown,
}

impl KeySpec {
    fn parse(text: &'static str) -> Option<Self> {
        let mut parts = text.split(" / ");
        let flags = parts.next()?.split(' ').collect();
        let begin: Vec<&'static str> = parts.next()?.split(' ').collect();
        let begin = match begin.as_slice() {
            ["index", at] => Begin::Index(at.parse().ok()?),
            ["keyword", word, from] => Begin::Keyword(word, from.parse().ok()?),
            ["unknown"] => Begin::Unknown,
            _ => return None,
        };
        let find: Vec<&'static str> = parts.next()?.split(' ').collect();
        let number = |at: usize| find.get(at)?.parse::<i32>().ok();
        let find = match *find.first()? {
            "range" => Find::Range(number(1)?, number(2)?, number(3)?),
            "keynum" => Find::Number(number(1)?, number(2)?, number(3)?),
            "unknown" => Find::Unknown,
            _ => return None,
        };
        Some(Self { flags, begin, find })
    }
}

impl Listing {
    /// Whether it is a subcommand.
    #[must_use]
    pub fn is_subcommand(&self) -> bool {
        self.name.contains('|')
    }

    /// Whether it has a flag.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|known| known == flag)
    }

    /// Whether it belongs to a category.
    #[must_use]
    pub fn belongs_to(&self, category: &str) -> bool {
        self.categories.split(' ').any(|known| known == category)
    }

    /// Where its keys stand.
    #[must_use]
    pub fn key_specs(&self) -> Vec<KeySpec> {
        // What is written here is tested.
        self.keys.split("; ").filter(|text| !text.is_empty()).filter_map(KeySpec::parse).collect()
    }

    /// Whether so many arguments, the names included, are right.
    #[must_use]
    pub fn takes(&self, argc: usize) -> bool {
        let expected = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { argc == expected } else { argc >= expected }
    }
}

/// All of them, sorted by name.
static ALL: LazyLock<Vec<&'static Listing>> = LazyLock::new(|| {
    let mut all: Vec<_> =
        [data::DATA, server::SERVER, subcommands::SUBCOMMANDS].into_iter().flatten().collect();
    all.sort_by_key(|listing| listing.name);
    all
});

/// All commands and subcommands, sorted by name.
#[must_use]
pub fn all() -> &'static [&'static Listing] {
    &ALL
}

/// The place of a command or subcommand in [`all`], by its name in small letters.
#[must_use]
pub fn place(name: &str) -> Option<usize> {
    ALL.binary_search_by_key(&name, |listing| listing.name).ok()
}

/// The command or subcommand with this name, in small letters.
#[must_use]
pub fn find(name: &str) -> Option<&'static Listing> {
    place(name).map(|place| ALL[place])
}

/// The subcommands of a command, sorted by name.
#[must_use]
pub fn subcommands(name: &str) -> &'static [&'static Listing] {
    let begin = ALL.partition_point(|listing| listing.name <= name);
    let is_one =
        |listing: &&Listing| listing.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('|'));
    let count = ALL[begin..].iter().take_while(|listing| is_one(listing)).count();
    &ALL[begin..begin + count]
}

/// The longest name of a command or subcommand.
const NAME_MAX: usize = 40;

/// What a request asks for, the place of its command in [`all`] and that of its subcommand if it names one
/// that there is.
#[must_use]
pub fn asked(args: &[&[u8]]) -> Option<(usize, Option<usize>)> {
    let name = word(args.first()?)?;
    let command = place(&name)?;
    let subcommand = || place(&format!("{name}|{}", word(args.get(1)?)?));
    let has_some = !subcommands(&name).is_empty();
    Some((command, if has_some { subcommand() } else { None }))
}

fn word(bytes: &[u8]) -> Option<String> {
    let short = Some(bytes).filter(|bytes| bytes.len() <= NAME_MAX)?;
    std::str::from_utf8(short).ok().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_machine_is_listed_as_it_is() {
        for spec in crate::command::all() {
            let listing = find(spec.name).unwrap_or_else(|| panic!("{} is not listed", spec.name));
            assert_eq!((listing.arity, listing.group), (spec.arity, spec.group), "{}", spec.name);
        }
    }

    #[test]
    fn what_is_written_makes_sense() {
        for pair in all().windows(2) {
            assert!(pair[0].name < pair[1].name, "{} stands twice", pair[0].name);
        }
        for listing in all() {
            let written = listing.keys.split("; ").filter(|text| !text.is_empty()).count();
            assert_eq!(listing.key_specs().len(), written, "{}: {}", listing.name, listing.keys);
            assert!(listing.name.len() <= NAME_MAX && listing.name == listing.name.to_lowercase());
        }
    }

    #[test]
    fn subcommands_are_found_by_their_command() {
        let names: Vec<&str> = subcommands("xinfo").iter().map(|listing| listing.name).collect();
        assert_eq!(names, ["xinfo|consumers", "xinfo|groups", "xinfo|help", "xinfo|stream"]);
        assert!(subcommands("get").is_empty() && subcommands("nothing").is_empty());
        let asked = |words: &[&str]| {
            let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            asked(&args).map(|(command, sub)| (all()[command].name, sub.map(|sub| all()[sub].name)))
        };
        assert_eq!(asked(&["Config", "GET", "x"]), Some(("config", Some("config|get"))));
        assert_eq!(asked(&["CONFIG", "nothing"]), Some(("config", None)));
        assert_eq!(asked(&["GET", "x"]), Some(("get", None)));
        assert_eq!(asked(&["nothing"]), None);
    }
}
