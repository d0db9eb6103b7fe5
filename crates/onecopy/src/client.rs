//! A client of the cluster. A node may die at any time: then the next one is asked, and what was not answered
//! is sent again. What changes data has a token (`ONCE`), so that it is executed once all the same.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use redis::{Cmd, Connection, ConnectionLike, Value};

/// Where a cluster of `onecopy dev` takes clients.
const DEFAULT_ADDRESSES: [&str; 3] = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"];
/// Whoever does not answer for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The cluster may be out of reach for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long is waited before it is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// A command, and the token under which it is executed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    pub(crate) token: String,
    pub(crate) words: Vec<Vec<u8>>,
}

impl Once {
    fn command(&self) -> Cmd {
        let mut command = redis::cmd("ONCE");
        command.arg(&self.token);
        self.words.iter().for_each(|word| {
            command.arg(word.as_slice());
        });
        command
    }
}

/// What became of a command: nothing to say, or an error.
pub(crate) type Answer = Result<(), String>;

/// A connection to one of the nodes.
pub(crate) struct Client {
    addresses: Vec<String>,
    user: Option<String>,
    password: Option<String>,
    /// The node that is asked now.
    current: usize,
    connection: Option<(Connection, u64)>,
}

/// Why something must be tried again.
struct Again(String);

impl Client {
    /// A client of the nodes at these addresses; without any, of those of `onecopy dev`.
    pub(crate) fn new(
        addresses: &[String],
        user: Option<String>,
        password: Option<String>,
    ) -> anyhow::Result<Self> {
        for address in addresses {
            ensure!(address.contains(':'), "{address}: HOST:PORT is wanted");
        }
        let addresses = match addresses {
            [] => DEFAULT_ADDRESSES.map(str::to_owned).to_vec(),
            given => given.to_vec(),
        };
        Ok(Self { addresses, user, password, current: 0, connection: None })
    }

    /// Executes commands one by one, in this order unless some have to be tried again.
    pub(crate) fn each(&mut self, database: u64, commands: &[Once]) -> anyhow::Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; commands.len()];
        self.patiently(|this| {
            let open: Vec<usize> = (0..commands.len()).filter(|index| answers[*index].is_none()).collect();
            let batch: Vec<Cmd> = open.iter().map(|index| commands[*index].command()).collect();
            let mut again = None;
            for (index, value) in open.into_iter().zip(this.ask(database, &batch)?) {
                match answer(&value) {
                    Ok(answer) => answers[index] = Some(answer),
                    Err(reason) => again = Some(reason),
                }
            }
            again.map_or(Ok(()), |reason| Err(Failed::Again(reason)))
        })?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Executes commands in this order, all together or, if one is refused, none.
    pub(crate) fn together(&mut self, database: u64, commands: &[Once]) -> anyhow::Result<Vec<Answer>> {
        let mut batch = vec![redis::cmd("MULTI")];
        batch.extend(commands.iter().map(Once::command));
        batch.push(redis::cmd("EXEC"));
        let mut answers = Vec::new();
        self.patiently(|this| {
            let mut values = this.ask(database, &batch)?;
            let executed = values.pop().unwrap_or(Value::Nil);
            // What was not queued says why.
            for (command, value) in commands.iter().zip(values.into_iter().skip(1)) {
                if let Err(reason) = answer(&value).map_err(Failed::Again)? {
                    let name = readable(command.words.first().map_or(&[], Vec::as_slice));
                    return Err(Failed::Refused(format!("the cluster refuses a command {name}: {reason}")));
                }
            }
            match executed {
                Value::Array(values) => {
                    answers = values
                        .into_iter()
                        .map(|value| answer(&value).map_err(Failed::Again))
                        .collect::<Result<_, _>>()?;
                    Ok(())
                }
                other => match answer(&other).map_err(Failed::Again)? {
                    Err(reason) => {
                        Err(Failed::Refused(format!("the cluster refuses a transaction: {reason}")))
                    }
                    Ok(()) => Err(Failed::Again(Again("a transaction was given up".to_owned()))),
                },
            }
        })?;
        Ok(answers)
    }

    /// Asks what changes nothing, or what may be done twice.
    pub(crate) fn questions(&mut self, database: u64, commands: &[Cmd]) -> anyhow::Result<Vec<Value>> {
        let mut answered = Vec::new();
        self.patiently(|this| {
            answered = this.ask(database, commands)?;
            let again = answered.iter().find_map(|value| answer(value).err());
            again.map_or(Ok(()), |again| Err(Failed::Again(again)))
        })?;
        Ok(answered)
    }

    /// Whether the cluster has this database.
    pub(crate) fn has(&mut self, database: u64) -> anyhow::Result<bool> {
        let selected = self.question(0, &["SELECT", &database.to_string()])?;
        // It may be another one now than the connection is remembered for.
        self.connection = None;
        Ok(!matches!(selected, Value::ServerError(_)))
    }

    /// Asks one question.
    pub(crate) fn question(&mut self, database: u64, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        Ok(self.questions(database, &[command])?.pop().unwrap_or(Value::Nil))
    }

    /// Tries until it is done, or refused for good, or nobody has patience any more.
    fn patiently(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<(), Failed>) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            match attempt(self) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(reason)) => bail!(reason),
                Err(Failed::Again(Again(reason))) if begun.elapsed() > PATIENCE => {
                    bail!("the cluster has not answered for {} s: {reason}", PATIENCE.as_secs())
                }
                Err(Failed::Again(_)) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Sends commands, and hears an answer to each. After an error, another node is asked next.
    fn ask(&mut self, database: u64, commands: &[Cmd]) -> Result<Vec<Value>, Failed> {
        let asked = self.connected(database).and_then(|connection| {
            let mut bytes = Vec::new();
            commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
            connection
                .req_packed_commands(&bytes, 0, commands.len())
                .map_err(|error| Failed::Again(Again(error.to_string())))
        });
        if matches!(asked, Err(Failed::Again(_))) {
            self.connection = None;
            self.current = (self.current + 1) % self.addresses.len();
        }
        asked
    }

    fn connected(&mut self, database: u64) -> Result<&mut Connection, Failed> {
        let connection = match self.connection.take() {
            Some(selected) if selected.1 == database => selected.0,
            other => {
                let mut connection = match other {
                    Some((connection, _)) => connection,
                    None => self.connect()?,
                };
                say(&mut connection, redis::cmd("SELECT").arg(database))?.map_err(|reason| {
                    Failed::Refused(format!(
                        "the cluster does not take database {database}: {reason}. Create it (`onecopy database \
                         create`), or say with --database which databases to take, and where to"
                    ))
                })?;
                connection
            }
        };
        Ok(&mut self.connection.insert((connection, database)).0)
    }

    fn connect(&self) -> Result<Connection, Failed> {
        let address = &self.addresses[self.current];
        let connect = || -> redis::RedisResult<Connection> {
            let client = redis::Client::open(format!("redis://{address}/"))?;
            let connection = client.get_connection_with_timeout(SILENCE)?;
            connection.set_read_timeout(Some(SILENCE))?;
            connection.set_write_timeout(Some(SILENCE))?;
            Ok(connection)
        };
        let mut connection =
            connect().map_err(|error| Failed::Again(Again(format!("{address}: {error}"))))?;
        if let Some(password) = &self.password {
            let mut auth = redis::cmd("AUTH");
            self.user.iter().chain([password]).for_each(|word| {
                auth.arg(word);
            });
            say(&mut connection, &auth)?
                .map_err(|reason| Failed::Refused(format!("the cluster refuses the password: {reason}")))?;
        }
        Ok(connection)
    }
}

/// Says one command.
fn say(connection: &mut Connection, command: &Cmd) -> Result<Answer, Failed> {
    let value = connection.req_command(command).map_err(|error| Failed::Again(Again(error.to_string())))?;
    answer(&value).map_err(Failed::Again)
}

/// Why an attempt has failed.
enum Failed {
    Again(Again),
    Refused(String),
}

/// What a value says, unless the same must be asked again: then nothing was executed, or nobody knows.
fn answer(value: &Value) -> Result<Answer, Again> {
    let Value::ServerError(error) = value else { return Ok(Ok(())) };
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    match error.code() {
        "UNKNOWN" | "TRYAGAIN" | "NOREPLICAS" | "LOADING" | "BUSY" => Err(Again(text)),
        _ => Ok(Err(text)),
    }
}

/// Bytes of a name, for people.
pub(crate) fn readable(name: &[u8]) -> String {
    let shown: String = name.escape_ascii().take(200).map(char::from).collect();
    if name.len() > 200 { format!("\"{shown}…\"") } else { format!("\"{shown}\"") }
}
