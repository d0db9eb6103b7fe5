//! `onecopy database`, `onecopy group`, `onecopy level`, `onecopy node` and `onecopy view`: what operators do
//! to a running cluster.

mod add;
mod database;
mod group;
mod level;
mod node;
mod view;

use std::time::Duration;

use clap::Args;
use onecopy_node::{Operated, Operation, OperationOutcome};

use crate::addressees::Addressees;
use crate::status::ask::{self, Answer};
use crate::{DONE, FAILED, UNKNOWN};

pub use database::Arguments as DatabaseArguments;
pub(crate) use database::run as run_database;
pub use group::Arguments as GroupArguments;
pub(crate) use group::run as run_group;
pub use level::Arguments as LevelArguments;
pub(crate) use level::run as run_level;
pub use node::Arguments as NodeArguments;
pub(crate) use node::run as run_node;
pub use view::Arguments as ViewArguments;
pub(crate) use view::run as run_view;

/// A node answers within five seconds, whatever became of it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whom to ask, and how to say what came of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(crate) addressees: Addressees,
    /// Print JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Asking {
    /// What all nodes say of themselves.
    fn ask_all(&self) -> anyhow::Result<Vec<Answer>> {
        let authorization = self.addressees.authorization()?;
        Ok(ask::cluster(&self.addressees.addresses()?, authorization.as_deref()))
    }

    /// Has an operation done, and says what came of it.
    fn operate(&self, operation: Operation) -> anyhow::Result<u8> {
        let operated: Operated = self.addressees.post("/operate", &operation, PATIENCE)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&operated)?);
        } else if operated.outcome == OperationOutcome::Done {
            println!("{}", operated.message);
        } else {
            eprintln!("onecopy: {}", operated.message);
        }
        Ok(match operated.outcome {
            OperationOutcome::Done => DONE,
            OperationOutcome::Refused => FAILED,
            OperationOutcome::Unknown => UNKNOWN,
        })
    }
}
