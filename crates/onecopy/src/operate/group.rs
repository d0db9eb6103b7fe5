//! `onecopy group`

use clap::{Args, Subcommand};
use onecopy_node::Operation;

use super::Asking;

/// Hand over, change the number of copies, or recover from a disaster.
///
/// Any node that answers takes the command to whoever can execute it, and says what became of it. The exit
/// code is 0 if it was done, 1 if it was refused, and 2 if nobody said within 5 s: then it may be done yet.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy group handover --to 2\n  onecopy group handover --group 2\n  onecopy group copies 3\n  \
    onecopy group recover --node 3 --accept-data-loss"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which group a command is about.
#[derive(Clone, Copy, Debug, Args)]
struct Which {
    /// The group; `onecopy status` shows all. 1 holds the database main.
    #[arg(long, value_name = "GROUP", default_value_t = 1)]
    group: u32,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make another member the primary. Nothing fails and nothing is lost: clients see a pause of some
    /// milliseconds.
    Handover {
        #[command(flatten)]
        group: Which,
        /// The next primary; the member with the least to catch up if nobody is named.
        #[arg(long, value_name = "NODE")]
        to: Option<u32>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Change how many copies of the data there are. Nodes are recruited or dropped while clients are served.
    Copies {
        #[command(flatten)]
        group: Which,
        /// How many there are to be.
        #[arg(value_name = "N")]
        copies: u32,
        #[command(flatten)]
        asking: Asking,
    },
    /// Go on with what one node has, because the other members will never return. LOSES DATA.
    ///
    /// The group waits as long as nobody who is alive is sure to have every acknowledged write. This command
    /// ends the waiting: the copy of the named node becomes the only one, whatever it lacks. Acknowledged
    /// writes that it does not have are lost for good, and members that return later are overwritten. Use it
    /// only when every other member of the view has lost its disk, and choose the node with the highest
    /// durable index (`onecopy status`). It is refused while another member is alive, and for a node that has
    /// nothing. A node that was restored from an old image of its disk has to begin a new life first:
    /// `onecopy node new-life`.
    Recover {
        #[command(flatten)]
        group: Which,
        /// Whose copy counts from now on.
        #[arg(long, value_name = "NODE")]
        node: u32,
        /// Yes, acknowledged writes may be lost.
        #[arg(long)]
        accept_data_loss: bool,
        #[command(flatten)]
        asking: Asking,
    },
}

/// Runs the command.
///
/// # Errors
/// No node answers.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Handover { group, to, asking } => {
            asking.operate(Operation::Handover { group: group.group, to: *to })
        }
        Command::Copies { group, copies, asking } => {
            asking.operate(Operation::Copies { group: group.group, copies: *copies })
        }
        Command::Recover { node, accept_data_loss: false, .. } => anyhow::bail!(
            "nothing was done: with the copy of node {node} as the only one, every acknowledged write that it does not have is \
             lost for good. Start the other members if they can return at all. If they cannot, repeat the command with \
             --accept-data-loss"
        ),
        Command::Recover { group, node, accept_data_loss, asking } => {
            let (group, node, accept_data_loss) = (group.group, *node, *accept_data_loss);
            asking.operate(Operation::Recover { group, node, accept_data_loss })
        }
    }
}
