//! Taking each value from where it counts: the command line, else the environment, else the file, else the default.

use std::ffi::OsString;
use std::fmt;

use toml::de::DeValue;

use super::define::{Fallback, Key};
use super::file::File;
use super::raw::Raw;
use super::setting::Setting;

/// How the environment is asked for a variable.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody has set it.
    Default,
    /// A line of a file.
    File(String, usize),
    /// A variable.
    Variable(&'static str),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name, line) => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Option(name) => write!(f, "--{name}"),
        }
    }
}

/// A value that counts.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// Whose it is, if it is in the section of a room.
    pub(crate) room: Option<String>,
    /// Its key.
    pub(crate) key: &'static Key,
    /// The value as it stands in a file; `None` if it is not set.
    pub(crate) toml: Option<String>,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Reads all keys, one after the other.
pub(crate) struct Reader<'a> {
    words: &'a [(&'static Key, String)],
    environment: Environment<'a>,
    file: Option<&'a File>,
    room: Option<String>,
    /// What has been read.
    pub(crate) settled: Vec<Settled>,
    /// What was wrong with it.
    pub(crate) problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of `words`, which the command line says, of the environment, and of a file.
    pub(crate) fn new(
        words: &'a [(&'static Key, String)],
        environment: Environment<'a>,
        file: Option<&'a File>,
        problems: Vec<String>,
    ) -> Self {
        Self { words, environment, file, room: None, settled: Vec::new(), problems }
    }

    /// Reads the section of a room from now on. What it does not say is as for all rooms.
    pub(crate) fn enter_room(&mut self, room: &str) {
        self.room = Some(room.to_owned());
    }

    /// The value of a key. `None` if it does not fit, which is noted.
    pub(crate) fn read<T: Setting>(&mut self, key: &'static Key) -> Option<T> {
        let (raw, origin) = self.find(key)?;
        let value = match &raw {
            Some(raw) => T::read(raw, key),
            None => T::unset(),
        };
        match (&value, raw) {
            (Some(value), _) => {
                self.settled.push(Settled { room: self.room.clone(), key, toml: value.toml(), origin });
            }
            (None, Some(raw)) => self.refuse(key, &origin, &raw.to_string()),
            (None, None) => self.refuse(key, &origin, "nothing"),
        }
        value
    }

    fn find(&mut self, key: &'static Key) -> Option<(Option<Raw>, Origin)> {
        let entry = |room: Option<&str>| {
            let file = self.file?;
            let entry = file.find(room, key)?;
            Some((Some(entry.raw.clone()), Origin::File(file.name.clone(), entry.line)))
        };
        if let Some(found) = self.room.as_deref().and_then(|room| entry(Some(room))) {
            return Some(found);
        }
        if let Some((_, word)) = self.words.iter().find(|(set, _)| set.is(key.section, key.name)) {
            let option = key.option.map_or("", |option| option.name);
            return Some((Some(Raw::Word(word.clone())), Origin::Option(option)));
        }
        if let Some(value) = (self.environment)(key.variable) {
            let origin = Origin::Variable(key.variable);
            return match value.into_string() {
                Ok(word) => Some((Some(Raw::Word(word)), origin)),
                Err(_) => {
                    self.refuse(key, &origin, "what is not UTF-8");
                    None
                }
            };
        }
        let unset = || match key.fallback {
            // One that could not be read would be found out by the first test.
            Fallback::Value(text) => DeValue::parse(text).ok().map(|value| Raw::of(value.get_ref())),
            Fallback::Unset { .. } => None,
        };
        Some(entry(None).unwrap_or_else(|| (unset(), Origin::Default)))
    }

    fn refuse(&mut self, key: &Key, origin: &Origin, shown: &str) {
        let shown = if key.secret { "this" } else { shown };
        let form = (key.form)(key);
        let place = match origin {
            Origin::File(..) => format!("{origin}: {}", key.name),
            _ => origin.to_string(),
        };
        let problem = format!("{place} cannot be {shown}: {form} is needed");
        // A room that inherits it need not say so again.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
