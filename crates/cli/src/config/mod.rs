//! What `tautline serve` is configured by: a file, the environment and the command line.
//!
//! Every key is defined once, in `keys`. `load` takes each value from where it counts, and knows where that was.

mod command;
mod define;
mod file;
mod keys;
mod options;
mod print;
mod raw;
mod reader;
mod setting;
mod types;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tautline_rooms::RoomSettings;

use file::File;
use keys::{Room, Rooms};
use reader::{Origin, Reader, Settled};

pub(crate) use command::{Args, run};
pub(crate) use keys::{Access, Listen, Log, Storage, Telemetry, Tls, WebSocket};
pub(crate) use options::{Options, Unlisted};
pub(crate) use setting::Choice;
pub(crate) use types::{Encrypted, LogFormat, Place};

/// The file that is read if there is one and no other was named.
const USUAL_FILE: &str = "tautline.toml";

/// The variable that names a file.
const FILE_VARIABLE: &str = "TAUTLINE_CONFIG";

/// A configuration that is good.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where clients connect.
    pub(crate) listen: Listen,
    /// Certificates; without any, there is no TLS.
    pub(crate) tls: Option<Tls>,
    /// Who may use the API.
    pub(crate) access: Access,
    pub(crate) telemetry: Telemetry,
    /// How connections behave.
    pub(crate) websocket: WebSocket,
    /// What survives a restart.
    pub(crate) store: Storage,
    /// How rooms behave.
    pub(crate) rooms: tautline_rooms::Settings,
    /// What goes to the standard error.
    pub(crate) log: Log,
    /// The file that was read.
    pub(crate) file: Option<ReadFile>,
    settled: Vec<Settled>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct ReadFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether nobody has named it.
    pub(crate) found: bool,
}

/// What is wrong with a configuration: one line each, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// All of them, a line each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// As a command's failure, in one line.
    pub(crate) fn into_failure(self) -> crate::Failure {
        let first = self.0.first().map_or("", String::as_str);
        crate::Failure::usage(match self.0.len() {
            0 | 1 => first.to_owned(),
            all => format!("{first} (and {} more: `tautline config --check` tells all)", all - 1),
        })
    }
}

impl Config {
    /// Puts together what the command line, the environment and the file say.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn load(options: &Options, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let from_environment = || environment(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual = || Path::new(USUAL_FILE).is_file().then(|| PathBuf::from(USUAL_FILE));
        let named = options.file.clone().or_else(from_environment);
        let read = match named {
            Some(path) => Some(ReadFile { path, found: false }),
            None => usual().map(|path| ReadFile { path, found: true }),
        };
        let file = read.as_ref().and_then(|read| File::read(&read.path, &mut problems));
        Self::of(options, environment, file.as_ref(), problems).map(|config| Self { file: read, ..config })
    }

    fn of(
        options: &Options,
        environment: &dyn Fn(&str) -> Option<OsString>,
        file: Option<&File>,
        problems: Vec<String>,
    ) -> Result<Self, Problems> {
        let mut reader = Reader::new(&options.words, environment, file, problems);
        let sections = (
            Listen::read(&mut reader),
            Tls::read(&mut reader),
            Access::read(&mut reader),
            Telemetry::read(&mut reader),
            WebSocket::read(&mut reader),
            Storage::read(&mut reader),
            Rooms::read(&mut reader),
            Room::read(&mut reader),
            Log::read(&mut reader),
        );
        let mut named = BTreeMap::new();
        for name in file.map_or(&[][..], |file| &file.rooms) {
            reader.enter_room(name);
            named.insert(name.clone(), Room::read(&mut reader));
        }
        let Reader { settled, mut problems, .. } = reader;
        let (
            Some(listen),
            Some(mut tls),
            Some(access),
            Some(telemetry),
            Some(websocket),
            Some(store),
            Some(rooms),
            Some(room),
            Some(log),
        ) = sections
        else {
            return Err(Problems(problems));
        };
        if options.only_tls {
            tls.port = None;
        }
        if tls.port.is_some_and(|port| port == listen.port && port != 0) {
            problems.push(format!("[listen] and [tls] both have port {}: each needs its own", listen.port));
        }
        if access.require_authentication && access.insecure {
            problems.push("[access] has both require_authentication and insecure: they exclude each other".into());
        }
        let certified = options.only_tls || tls.is_set();
        if telemetry.enabled && telemetry.tls == Encrypted::Required && !certified {
            problems.push("[telemetry] requires TLS, and there are no certificates: set the keys of [tls]".into());
        }
        let default = settings(None, &room, &settled, &mut problems);
        let named = named.into_iter().filter_map(|(name, room)| Some((name, room?)));
        let named = named.map(|(name, room)| {
            let settings = settings(Some(&name), &room, &settled, &mut problems);
            (name, settings)
        });
        let named = named.collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self {
            tls: certified.then_some(tls),
            rooms: tautline_rooms::Settings { rooms: rooms.limit, default, named },
            listen,
            access,
            telemetry,
            websocket,
            store,
            log,
            file: None,
            settled,
        })
    }

    /// Whether this level was asked for by who started the program, and not by a file.
    pub(crate) fn level_is_explicit(&self) -> bool {
        let mut levels = self.settled.iter().filter(|settled| settled.key.is(Log::SECTION.path, "level"));
        levels.any(|settled| matches!(settled.origin, Origin::Option(_) | Origin::Variable(_)))
    }
}

impl Tls {
    /// Whether anything differs from what it is by itself. One whose clients were to show certificates must not be
    /// served in the open only because some other key was forgotten.
    fn is_set(&self) -> bool {
        let Self { port, certificate, key, key_password, client_auth, client_ca, .. } = self;
        let Self { allowed_clients, crl, max_fragment_size, .. } = self;
        let files = [certificate, key, client_ca, crl];
        port.is_some()
            || key_password.is_some()
            || allowed_clients.is_some()
            || max_fragment_size.is_some()
            || *client_auth != tautline_identity::ClientAuth::None
            || files.into_iter().any(Option::is_some)
    }
}

/// A room's settings. What is wrong with them as a whole is added to `problems`.
fn settings(name: Option<&str>, room: &Room, settled: &[Settled], problems: &mut Vec<String>) -> Arc<RoomSettings> {
    let settings = room.settings();
    if let Err(error) = settings.validate() {
        let of = |settled: &&Settled| settled.room.as_deref() == name && settled.key.name == error.setting;
        let origin = settled.iter().find(of).map_or(Origin::Default, |settled| settled.origin.clone());
        let section = name.map_or_else(|| Room::SECTION.path.to_owned(), |name| format!("{}.\"{name}\"", file::NAMED));
        problems.push(format!("{origin}: [{section}]: {error}"));
    }
    Arc::new(settings)
}

impl Room {
    fn settings(&self) -> RoomSettings {
        let bytes = |bytes: setting::Bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        RoomSettings {
            durable: self.durable,
            history_messages: self.history_messages,
            history_bytes: bytes(self.history_bytes),
            history_age: self.history_age,
            deduplication_messages: self.deduplication_messages,
            deduplication_age: self.deduplication_age,
            duplicates: self.duplicates,
            probe_timeout: self.probe_timeout,
            slow: self.slow,
            queue_bytes: self.queue_bytes.map(bytes),
            compression: self.compression,
            members: self.members,
            presence_interval: self.presence_interval,
            presence_names: self.presence_names,
            pending: self.pending,
        }
    }
}

#[cfg(test)]
mod tests;
