//! Settings given by flags and environment variables.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::list::{SETTINGS, Setting};

/// What flags and environment variables say about the settings. As an argument group of a command, it has one
/// flag for every setting.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub(super) given: Vec<Given>,
}

/// A setting that was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) text: String,
    /// Whether it was a flag, rather than an environment variable.
    pub(super) by_flag: bool,
}

impl Args for Overrides {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { given: SETTINGS.iter().filter_map(|setting| given(setting, matches)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The same for all nodes of a cluster together: only those settings that are not each node's own.
#[derive(Clone, Debug, Default)]
pub struct CommonOverrides(pub(super) Overrides);

impl Args for CommonOverrides {
    fn augment_args(command: Command) -> Command {
        let common = SETTINGS.iter().filter(|setting| !setting.is_own());
        command.args(common.map(|setting| argument(setting).help_heading("Settings of all nodes")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CommonOverrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let common = SETTINGS.iter().filter(|setting| !setting.is_own());
        Ok(Self(Overrides { given: common.filter_map(|setting| given(setting, matches)).collect() }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &'static Setting) -> Arg {
    Arg::new(setting.key)
        .long(setting.flag())
        .env(setting.variable())
        // The help would show passwords.
        .hide_env_values(true)
        .value_name(setting.kind.placeholder())
        .help(setting.meaning)
        .help_heading("Settings, which count more than the file")
}

fn given(setting: &'static Setting, matches: &ArgMatches) -> Option<Given> {
    let text = matches.get_one::<String>(setting.key)?.clone();
    let by_flag = matches.value_source(setting.key) == Some(ValueSource::CommandLine);
    Some(Given { setting, text, by_flag })
}
