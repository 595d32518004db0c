//! The command line's share of the configuration.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::define::{CommandLine, Fallback, Key, Section};
use super::keys::{Access, Log, SECTIONS, Storage, Tls};

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The file to read.
    pub(crate) file: Option<PathBuf>,
    /// The keys that are set, and to what.
    pub(crate) words: Vec<(&'static Key, String)>,
    /// Whether the only port is to speak TLS: so it is with uvicorn as soon as it is given any option about it.
    pub(crate) only_tls: bool,
}

/// As [`Options`], for a command whose help does not list them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unlisted(pub(crate) Options);

const FILE: &str = "config";
const NO_STORE: &str = "no-store";
const SSL: &str = "ssl";
const INSECURE: &str = "insecure";

impl Options {
    fn arguments() -> Vec<Arg> {
        let mut arguments = vec![
            Arg::new(FILE)
                .long(FILE)
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Configuration file [default: tautline.toml, if there is one] [env: TAUTLINE_CONFIG]"),
        ];
        for (key, option) in SECTIONS.iter().flat_map(|section| section.keys).filter_map(own) {
            arguments.push(argument(key, option));
            if key.section == Storage::SECTION.path {
                let no_store = Arg::new(NO_STORE).long(NO_STORE).action(ArgAction::SetTrue);
                arguments.push(no_store.conflicts_with(option.name).help("Keep nothing: as --data memory"));
            }
        }
        let help = "Let everybody who reaches the hub use the API and the dashboard, and give commands to devices";
        arguments.push(Arg::new(INSECURE).long(INSECURE).action(ArgAction::SetTrue).help(help));
        let help = "Speak TLS on the only port, as any option that begins with --ssl has it";
        arguments.push(Arg::new(SSL).long(SSL).action(ArgAction::SetTrue).help(help).help_heading("TLS"));
        arguments
    }

    fn take(matches: &ArgMatches) -> Self {
        let mut options = Self { file: matches.get_one::<PathBuf>(FILE).cloned(), ..Self::default() };
        options.only_tls = matches.get_flag(SSL);
        for (key, option) in SECTIONS.iter().flat_map(|section| section.keys).filter_map(own) {
            let Some(word) = matches.get_one::<String>(option.name) else { continue };
            options.only_tls |= option.name.starts_with("ssl");
            options.words.push((key, word.clone()));
        }
        if matches.get_flag(NO_STORE) {
            options.words.extend(find(&Storage::SECTION, "path").map(|key| (key, "memory".to_owned())));
        }
        if matches.get_flag(INSECURE) {
            options.words.extend(find(&Access::SECTION, "insecure").map(|key| (key, "true".to_owned())));
        }
        // Every command has it, and a variable for it, which is no option.
        if matches.value_source("log_level") == Some(ValueSource::CommandLine) {
            let word = matches.get_raw("log_level").and_then(|mut words| words.next()?.to_str());
            options.words.extend(find(&Log::SECTION, "level").zip(word.map(str::to_owned)));
        }
        // Both ports, if the second one is asked for as well.
        options.only_tls &= !options.words.iter().any(|(key, _)| key.is(Tls::SECTION.path, "port"));
        options
    }
}

fn find(section: &Section, name: &str) -> Option<&'static Key> {
    section.keys.iter().find(|key| key.name == name)
}

/// The option that a key has to itself.
fn own(key: &'static Key) -> Option<(&'static Key, CommandLine)> {
    key.option.filter(|_| key.section != Log::SECTION.path).map(|option| (key, option))
}

fn argument(key: &'static Key, option: CommandLine) -> Arg {
    let default = match key.fallback {
        Fallback::Value(value) => value.trim_matches('"'),
        Fallback::Unset { meaning, .. } => meaning,
    };
    let help = format!("{} [default: {default}] [env: {}]", key.text().trim_end_matches('.'), key.variable);
    let argument = Arg::new(option.name).long(option.name).value_name(option.value).aliases(option.aliases).help(help);
    // The others are among those of the command.
    if key.section == Tls::SECTION.path { argument.help_heading("TLS") } else { argument }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::take(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::take(matches);
        Ok(())
    }
}

impl clap::Args for Options {
    fn augment_args(command: Command) -> Command {
        command.args(Self::arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Unlisted {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Options::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl clap::Args for Unlisted {
    fn augment_args(command: Command) -> Command {
        command.args(Options::arguments().into_iter().map(|argument| {
            let hidden = argument.get_id() != FILE;
            argument.hide(hidden)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
