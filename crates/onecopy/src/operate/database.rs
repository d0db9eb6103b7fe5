//! `onecopy database`

use anyhow::Context;
use clap::{Args, Subcommand};
use onecopy_node::Operation;
use serde::Serialize;

use super::Asking;
use crate::DONE;
use crate::status::report::GroupReport;
use crate::status::{Report, ids, of_cluster};
use crate::table::{aligned, row};

/// Create databases, list them, change how many copies they have and where, and drop them.
///
/// A database has a name, numbers by which clients select it (`SELECT 16`), and copies on nodes of its own
/// choice. main is there from the beginning, with the numbers 0 to 15. The exit code is 0 if it was done, 1
/// if it was refused, and 2 if nobody said within 5 s: then it may be done yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy database create carts --numbers 16\n  \
    onecopy database create stock --numbers 17-20 --copies 3\n  \
    onecopy database create locks --numbers 21 --replication raft --copies 3\n  onecopy database list\n  \
    onecopy database show carts\n  onecopy database set carts --copies 3\n  onecopy database move carts --nodes 1,2,4\n  \
    onecopy database drop carts carts")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a database. It is there at once, on every node.
    Create {
        /// Its name: 1 to 64 small letters, digits, - and _.
        name: String,
        /// Its number, or the first and the last of up to 16 in a row, between 16 and 16383.
        #[arg(long, visible_alias = "number", value_name = "N[-M]")]
        numbers: String,
        /// How it is replicated: all copies have what is acknowledged (primary-backup), or a majority of 1, 3
        /// or 5 (raft), or each takes writes by itself (optimistic).
        #[arg(long, value_name = "KIND", default_value = "primary-backup")]
        replication: String,
        /// How many copies it has; as many as the settings of the cluster say, if this is not given, and with
        /// raft the next odd number.
        #[arg(long, value_name = "N")]
        copies: Option<u32>,
        #[command(flatten)]
        asking: Asking,
    },
    /// List all databases.
    List {
        #[command(flatten)]
        asking: Asking,
    },
    /// Show one database: who holds it, and how much there is of it.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Drop a database, with all its data, for good. Say its name twice.
    Drop {
        /// Its name.
        name: String,
        /// Its name again: whoever has mistyped one drops nothing.
        again: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Have the copies of a database on these nodes, while clients are served.
    ///
    /// They stay there, until the database is moved again: if one of the nodes fails, its copy is made anew
    /// on another one of them, if there is one without a copy.
    Move {
        /// Its name.
        name: String,
        /// The nodes: at least as many as it has copies.
        #[arg(long, value_name = "N,N,…", value_delimiter = ',', required_unless_present = "anywhere")]
        nodes: Vec<u32>,
        /// Wherever there is room, as in the beginning.
        #[arg(long, conflicts_with = "nodes")]
        anywhere: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Change a database while clients are served.
    Set {
        /// Its name.
        name: String,
        /// How many copies it has from now on: nodes are recruited or dropped.
        #[arg(long, value_name = "N", required_unless_present_any = ["min_copies", "reads", "replication", "copies_before_ok"])]
        copies: Option<u32>,
        /// Refuse writes while it has fewer copies than this, whatever the settings of the nodes say.
        #[arg(long, value_name = "N")]
        min_copies: Option<u32>,
        /// Have each read confirmed by the other copies (confirm), whatever leases there are; or read as the
        /// settings of the nodes say (lease).
        #[arg(long, value_name = "lease|confirm")]
        reads: Option<String>,
        /// Of an optimistic database: answer a write once so many copies have it, the one that takes it among
        /// them.
        #[arg(long, value_name = "N", conflicts_with_all = ["copies", "min_copies", "reads", "replication"])]
        copies_before_ok: Option<u32>,
        /// Replicate it in another way from now on: clients see a pause. To say what it is already gives up a
        /// switch that is under way.
        #[arg(
            long,
            value_name = "primary-backup|raft",
            conflicts_with_all = ["copies", "min_copies", "reads"]
        )]
        replication: Option<String>,
        #[command(flatten)]
        asking: Asking,
    },
}

/// A database, as far as the nodes say. The names of the fields are those of `--json`: programs rely on them.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    name: String,
    /// `16`, or `16-19`.
    numbers: String,
    kind: String,
    group: u32,
    primary: u32,
    backups: Vec<u32>,
    learners: Vec<u32>,
    copies_wanted: u32,
    copies_have: u32,
    /// What is set for this database alone.
    min_copies: Option<u32>,
    confirms_reads: bool,
    copies_before_ok: Option<u32>,
    only_on: Vec<u32>,
    /// What the primary holds; null if it does not answer.
    keys: Option<u64>,
    memory_bytes: Option<u64>,
}

impl Listed {
    fn of(group: &GroupReport, report: &Report) -> Self {
        let (name, numbers) = group.database.split_once(':').unwrap_or((&group.database, ""));
        let primary = report.nodes.iter().find(|node| node.node == group.primary);
        let replicas = primary.into_iter().flat_map(|node| &node.replicas);
        let replica = replicas.into_iter().find(|replica| replica.group == group.group);
        Self {
            name: name.to_owned(),
            numbers: numbers.to_owned(),
            kind: group.kind.clone(),
            group: group.group,
            primary: group.primary,
            backups: group.backups.clone(),
            learners: group.learners.clone(),
            copies_wanted: group.copies_wanted,
            copies_have: group.copies_have,
            min_copies: group.min_copies,
            confirms_reads: group.confirms_reads,
            copies_before_ok: group.copies_before_ok,
            only_on: group.only_on.clone(),
            keys: replica.map(|replica| replica.keys),
            memory_bytes: replica.map(|replica| replica.memory_bytes),
        }
    }

    /// What is set for it alone, for people.
    fn of_its_own(&self) -> String {
        let parts = [
            self.min_copies.map(|least| format!("min_copies {least}")),
            self.confirms_reads.then(|| "reads confirm".to_owned()),
            self.copies_before_ok.filter(|of| *of > 1).map(|copies| format!("copies_before_ok {copies}")),
            (!self.only_on.is_empty()).then(|| format!("on {}", ids(&self.only_on))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
    }

    fn row(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        vec![
            self.name.clone(),
            self.numbers.clone(),
            self.kind.clone(),
            self.group.to_string(),
            self.primary.to_string(),
            ids(&self.backups),
            ids(&self.learners),
            format!("{} of {}", self.copies_have, self.copies_wanted),
            self.of_its_own(),
            number(self.keys),
            number(self.memory_bytes),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// No node answers, or there is no such database.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Create { name, numbers, replication, copies, asking } => {
            asking.operate(Operation::CreateDatabase {
                name: name.clone(),
                numbers: numbers.clone(),
                replication: Some(replication.clone()),
                copies: *copies,
            })
        }
        Command::Set { name, replication: Some(replication), asking, .. } => {
            asking.operate(Operation::SwitchDatabase { name: name.clone(), replication: replication.clone() })
        }
        Command::Set { name, copies_before_ok: Some(copies), asking, .. } => {
            asking.operate(Operation::SetCopiesBeforeOk { name: name.clone(), copies: *copies })
        }
        Command::Set { name, copies, min_copies, reads, asking, .. } => {
            asking.operate(Operation::SetDatabase {
                name: name.clone(),
                copies: *copies,
                min_copies: *min_copies,
                reads: reads.clone(),
                nodes: None,
            })
        }
        Command::Move { name, nodes, anywhere, asking } => asking.operate(Operation::SetDatabase {
            name: name.clone(),
            copies: None,
            min_copies: None,
            reads: None,
            nodes: Some(if *anywhere { Vec::new() } else { nodes.clone() }),
        }),
        Command::Drop { name, again, asking } => {
            asking.operate(Operation::DropDatabase { name: name.clone(), again: again.clone() })
        }
        Command::List { asking } => {
            let databases = listed(asking)?;
            match asking.json {
                true => println!("{}", serde_json::to_string_pretty(&databases)?),
                false => show(&databases),
            }
            Ok(DONE)
        }
        Command::Show { name, asking } => {
            let databases = listed(asking)?;
            let database = databases.into_iter().find(|database| database.name == *name);
            let database = database
                .with_context(|| format!("there is no database {name}: `onecopy database list` shows all"))?;
            match asking.json {
                true => println!("{}", serde_json::to_string_pretty(&database)?),
                false => show(&[database]),
            }
            Ok(DONE)
        }
    }
}

fn listed(asking: &Asking) -> anyhow::Result<Vec<Listed>> {
    let report = of_cluster(&asking.addressees)?;
    Ok(report.groups.iter().map(|group| Listed::of(group, &report)).collect())
}

fn show(databases: &[Listed]) {
    let mut rows = vec![row([
        "database",
        "numbers",
        "replication",
        "group",
        "primary",
        "backups",
        "learners",
        "copies",
        "of its own",
        "keys",
        "bytes",
    ])];
    rows.extend(databases.iter().map(Listed::row));
    aligned(&rows).iter().for_each(|line| println!("{line}"));
}
