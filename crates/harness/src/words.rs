//! Commands as people type them.

/// Sends the words of a line.
///
/// # Errors
/// What the client was told.
pub fn try_run<T: redis::FromRedisValue>(
    client: &mut redis::Connection,
    line: &str,
) -> redis::RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    command.query(client)
}

/// The same, where nothing may go wrong.
///
/// # Panics
/// If the client was told an error.
pub fn run<T: redis::FromRedisValue>(client: &mut redis::Connection, line: &str) -> T {
    try_run(client, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}
