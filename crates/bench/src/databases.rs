//! Databases beside `main`, for clusters with several groups: each is a group of its own.

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
