//! Databases beside `main`, for clusters with several groups: each is a group of its own.

use anyhow::Context;

/// Their numbers begin behind those of `main`.
const FIRST: u32 = 16;

/// What is configured beside `main` so that there are so many in all.
pub(crate) fn configured(databases: u32) -> Vec<String> {
    (1..databases).map(|database| format!("d{database}:{}", number(database))).collect()
}

/// What a client selects to be in one: `main` is database 0.
pub(crate) fn number(database: u32) -> u32 {
    if database == 0 { 0 } else { FIRST + database - 1 }
}

/// What a client selects to be in the one that a cluster shows like this: `main:0-15`, `d1:16`.
pub(crate) fn first_number(shown: &str) -> anyhow::Result<u32> {
    let (_, numbers) = shown.split_once(':').with_context(|| format!("{shown} has no numbers"))?;
    Ok(numbers.split('-').next().unwrap_or(numbers).parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_are_configured() {
        assert_eq!(configured(3), ["d1:16", "d2:17"]);
        let shown = ["main:0-15", "d1:16", "d2:17"];
        assert_eq!(shown.map(|shown| first_number(shown).expect("a number")), [0, 16, 17]);
        assert_eq!([0, 1, 2].map(number), [0, 16, 17]);
        assert!(first_number("carts").is_err());
    }
}
