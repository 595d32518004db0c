//! What can be asked of the store.

use std::sync::Arc;

use crate::error::StoreError;
use crate::record::{Command, CommandState, Connection, Device, Document, Kind, Message, Token, Twin};
use crate::telemetry::{DeviceKey, DeviceSession, Reading, Secret, Sensor};

/// A change.
///
/// Where it can be refused, it says with which [`StoreError`](crate::StoreError); besides, every one of them can fail for
/// the environment's reasons. An offset or a version above `i64::MAX` is `Invalid`.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A room begins a new life under `epoch`: its messages and de-duplication entries are gone, its next offset is free.
    /// With the epoch that it has, only `durable` changes.
    OpenRoom {
        /// The room's name.
        room: Arc<str>,
        /// A random number, another one for each life.
        epoch: u64,
        /// For those who read it back; the store treats all rooms alike.
        durable: bool,
    },
    /// A room is forgotten, with its messages and de-duplication entries. Its documents stay. An unknown room is none to
    /// forget, and no error.
    DropRoom {
        /// The room's name.
        room: Arc<str>,
    },
    /// A message. With a message id it is remembered for de-duplication, in place of an older one with this id.
    ///
    /// `Missing`: the room was never opened. `Stale`: it has another epoch, or has had an offset as high as this. `Invalid`:
    /// text or JSON that is not UTF-8.
    Message(Message),
    /// A room's messages below an offset are removed, all in one transaction: trim as you go.
    TrimRoom {
        /// The room's name. An unknown room has nothing to trim.
        room: Arc<str>,
        /// The lowest offset that stays.
        below_offset: u64,
    },
    /// A room forgets de-duplication entries. It looks at `keep` of them, so not with every message.
    TrimDedup {
        /// The room's name. An unknown room has nothing to trim.
        room: Arc<str>,
        /// How many stay at most: those with the highest offsets.
        keep: u64,
        /// Those that are older do not stay.
        since_ms: i64,
    },
    /// A counter has a value, from now on if it is new.
    SetCounter {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: i64,
    },
    /// A document's new state, which may be its removal.
    ///
    /// `Stale`: its version is not above the stored one.
    Document(Document),
    /// A twin's new state.
    ///
    /// `Stale`: one of its versions is below the stored one, or none is above.
    Twin(Twin),
    /// A new command.
    ///
    /// `Exists`: there is one with this id.
    AddCommand(Command),
    /// A command has come further.
    ///
    /// `Missing`: there is none with this id.
    ChangeCommand {
        /// The command's id.
        id: Arc<str>,
        /// How far it has come.
        state: CommandState,
        /// JSON text: what the device answered.
        result: Option<String>,
        /// When.
        at_ms: i64,
    },
    /// A new token.
    ///
    /// `Exists`: there is one with this id or this hash.
    AddToken(Token),
    /// A token is no longer valid. A second time changes nothing.
    ///
    /// `Missing`: there is none with this id.
    RevokeToken {
        /// The token's id.
        id: Arc<str>,
        /// When.
        at_ms: i64,
    },
    /// A device was here.
    Device(Device),
    /// A connection has ended.
    Connection(Connection),
    /// A device's key, new or changed.
    ///
    /// `Exists`: its name belongs to another number.
    DeviceKey(DeviceKey),
    /// A device has used this key, so the one before it is not valid any longer. Nothing changes if it has another key by now.
    ForgetPreviousKey {
        /// The device's number.
        number: u32,
        /// The key that it has used.
        key: Secret,
    },
    /// How far a session has come. In one submission with the readings that it counts, or a crash comes between them.
    DeviceSession(DeviceSession),
    /// A session is forgotten, if it is known.
    ForgetSession {
        /// The device's number.
        device: u32,
        /// The session's.
        session: u64,
    },
    /// Sessions of devices that changed last before a time are forgotten, and those of a device that has too many; but for the last
    /// one of each device.
    ForgetSessions {
        /// Those that changed at this time or later stay,
        before_ms: i64,
        /// if no more of the same device changed later than these.
        most: u32,
    },
    /// A sensor, new or changed.
    ///
    /// `Exists`: another one of the device has its name. `Invalid`: it is kept for less than nothing, or for more than 2^48
    /// ms.
    Sensor(Sensor),
    /// Readings, in the order of their arrival.
    ///
    /// `Invalid`: a time or a real number that is not within its bounds.
    Readings(Box<[Reading]>),
}

impl Write {
    /// How many bytes it counts for while it waits, see [`Settings::waiting_bytes`](crate::Settings::waiting_bytes): its
    /// texts and payload, and what it takes up besides.
    pub fn size(&self) -> usize {
        let inside = match self {
            Self::OpenRoom { room, .. }
            | Self::DropRoom { room }
            | Self::TrimRoom { room, .. }
            | Self::TrimDedup { room, .. } => room.len(),
            Self::Message(message) => message.size(),
            Self::SetCounter { name, .. } => name.len(),
            Self::Document(document) => document.size(),
            Self::Twin(twin) => twin.size(),
            Self::AddCommand(command) => command.size(),
            Self::ChangeCommand { id, result, .. } => id.len() + result.as_ref().map_or(0, String::len),
            Self::AddToken(token) => token.size(),
            Self::RevokeToken { id, .. } => id.len(),
            Self::Device(device) => device.size(),
            Self::Connection(connection) => connection.size(),
            Self::DeviceKey(key) => key.name.len(),
            Self::ForgetPreviousKey { .. } | Self::DeviceSession(_) => 0,
            Self::ForgetSession { .. } | Self::ForgetSessions { .. } => 0,
            Self::Sensor(sensor) => sensor.size(),
            Self::Readings(readings) => readings.iter().map(Reading::size).sum(),
        };
        size_of::<Self>() + inside
    }

    /// Whether its values can be stored at all; every backend asks before it looks at what is there.
    ///
    /// # Errors
    ///
    /// [`Invalid`](StoreError::Invalid).
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Message(message) => {
                at_most_signed("offset", message.offset)?;
                if message.kind != Kind::Binary && str::from_utf8(&message.payload).is_err() {
                    let Message { room, offset, .. } = message;
                    return Err(StoreError::Invalid(format!("message {offset} of room {room} is not UTF-8")));
                }
                Ok(())
            }
            Self::TrimRoom { below_offset, .. } => at_most_signed("offset", *below_offset),
            Self::Document(document) => at_most_signed("version", document.version),
            Self::Twin(twin) => {
                at_most_signed("version", twin.desired_version)?;
                at_most_signed("version", twin.reported_version)
            }
            Self::Sensor(sensor) => sensor.check(),
            Self::Readings(readings) => readings.iter().try_for_each(Reading::check),
            _ => Ok(()),
        }
    }
}

/// What the integers of a database hold.
fn at_most_signed(what: &str, number: u64) -> Result<(), StoreError> {
    if i64::try_from(number).is_ok() {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("{what} {number} is above {}", i64::MAX)))
}
