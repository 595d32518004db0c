//! Rooms by WebSocket: what `tautline_rooms` decides, in the forms that clients understand.

mod app;
mod delivery;
mod devices;
mod documents;
mod durability;
mod envelope;
mod latest;
mod outside;
mod path;
#[cfg(test)]
mod tests;
mod wall;

pub use app::Rooms;
pub(crate) use devices::Registry;
pub(crate) use documents::{KeptDocument, restore_documents};
pub(crate) use durability::{Durability, restore};
pub(crate) use envelope::device;
pub(crate) use envelope::{Change, DEEPEST, is_too_deep, payload};
pub use envelope::{RAW_SUBPROTOCOL, SUBPROTOCOL};
pub(crate) use outside::{Outcome, RoomDetail, Seen};
pub(crate) use path::{API, BadPath, MAIN, Place, is_name, name};
pub(crate) use wall::{Wall, millis, now_ms, timestamp};
