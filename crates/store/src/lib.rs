//! What the hub keeps: rooms and their history, state, twins, commands, tokens, devices, sensor data.
//!
//! Every decision (versions, offsets, who may do what) is made elsewhere, in memory. The store makes decisions durable, in
//! the order of their submission, and gives them back at the next start. It knows no clock: times are arguments, in
//! milliseconds since 1970 (UTC), in fields whose names end in `_ms`.
//!
//! ```
//! use tautline_store::{Settings, Store, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = Store::open(directory.path(), Settings::new())?;
//! let set = Write::SetCounter { name: "counter".into(), value: 41 };
//! store.submit(vec![set], |committed| println!("from now on it survives a crash: {committed:?}"))?;
//! store.flush();
//! assert_eq!(store.read(|reader| reader.counters())?[0].value, 41);
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! - [`Store`] is a handle to a commit thread. [`submit`](Store::submit) never blocks; everything that waits when a
//!   commit ends is committed next, in one transaction: one flush to the disk for all of it.
//! - A submission is all or nothing. One that the backend refuses fails alone, whatever shares its transaction.
//! - What is acknowledged is on the disk (`synchronous=FULL`): a crash takes back nothing that `done` was told.
//! - What waits is bounded, see [`Settings`].
//! - [`read`](Store::read) and [`backup`](Store::backup) block the caller's thread, and no commit.
//!
//! The tables are described in `docs/reference/store.md`; any SQLite tool opens them.

mod backend;
mod committer;
mod error;
mod memory;
mod record;
mod settings;
mod sqlite;
mod store;
mod telemetry;
mod write;

pub use backend::{Backend, Reader, Retention, Source, Step};
pub use error::{StoreError, SubmitError};
pub use memory::Memory;
pub use record::{
    Command, CommandState, Connection, Counter, Dedup, Device, Document, Kind, Message, PastConnection, Room, Token,
    Twin,
};
pub use settings::Settings;
pub use sqlite::{Beside, Sqlite, backup};
pub use store::{Counters, Retained, Store};
pub use telemetry::{
    Bucket, DeviceKey, DeviceSession, PastReading, Reading, ReadingAge, Readings, Secret, Sensor, SensorKind, Value,
};
pub use write::Write;
