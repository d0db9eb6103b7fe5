//! What can be typed while `onecopy dev` runs.

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Do something to a node.
    Node(Action, Target),
    /// Show the nodes.
    Status,
    /// Show the commands.
    Help,
    /// Stop everything.
    Quit,
}

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Kill,
    Stop,
    Continue,
    Start,
    Restart,
}

/// Which node it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Node(u32),
    /// Whichever is the primary now.
    Primary,
}

/// What `help` shows.
pub(super) const HELP: &[&str] = &[
    "kill N      end node N as a crash does (SIGKILL); `kill primary` ends the primary",
    "stop N      pause node N (SIGSTOP)",
    "cont N      let a paused node go on (SIGCONT)",
    "start N     start a dead node again",
    "restart N   start a node again; one that runs is stopped cleanly first",
    "status      show the nodes",
    "quit        stop everything (also Ctrl-C)",
];

impl Command {
    /// Understands a line. A blank line is no command.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let mut words = line.split_whitespace();
        let Some(verb) = words.next() else { return Ok(None) };
        let command = match verb.to_ascii_lowercase().as_str() {
            "kill" => Self::Node(Action::Kill, target(verb, words.next())?),
            "stop" => Self::Node(Action::Stop, target(verb, words.next())?),
            "cont" => Self::Node(Action::Continue, target(verb, words.next())?),
            "start" => Self::Node(Action::Start, target(verb, words.next())?),
            "restart" => Self::Node(Action::Restart, target(verb, words.next())?),
            "status" => Self::Status,
            "help" | "?" => Self::Help,
            "quit" | "exit" | "q" => Self::Quit,
            _ => return Err(format!("there is no command {verb:?}; `help` shows all")),
        };
        match words.next() {
            None => Ok(Some(command)),
            Some(word) => Err(format!("{word:?} is too much for {verb}; `help` shows all commands")),
        }
    }
}

fn target(verb: &str, word: Option<&str>) -> Result<Target, String> {
    match word {
        None => Err(format!("{verb} which node? For example `{verb} 1`")),
        Some("primary") => Ok(Target::Primary),
        Some(word) => word
            .parse()
            .map(Target::Node)
            .map_err(|_| format!("{word:?} is not a node: give its number, or `primary`, as in `{verb} 1`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        assert_eq!(Command::parse("  "), Ok(None));
        assert_eq!(Command::parse("kill 2"), Ok(Some(Command::Node(Action::Kill, Target::Node(2)))));
        assert_eq!(
            Command::parse("CONT primary"),
            Ok(Some(Command::Node(Action::Continue, Target::Primary)))
        );
        assert_eq!(Command::parse("q"), Ok(Some(Command::Quit)));
    }

    #[test]
    fn mistakes_are_explained() {
        assert!(Command::parse("kill").unwrap_err().contains("kill 1"));
        assert!(Command::parse("kill all").unwrap_err().contains("primary"));
        assert!(Command::parse("kill 1 2").unwrap_err().contains("too much"));
        assert!(Command::parse("kil 1").unwrap_err().contains("help"));
    }
}
