//! Sensor data over TCP and UDP.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod acknowledgement;
mod answer;
mod command;
mod cursor;
pub mod device;
mod error;
mod header;
mod hello;
pub mod hub;
mod key;
mod message;
mod random;
mod readings;
mod value;

pub use acknowledgement::{Acknowledgement, WINDOW};
pub use answer::{Busy, ErrorCode, Problem};
pub use command::{Command, MAX_RESULT, Outcome, Status};
pub use error::{Forged, Malformed, Unencodable};
pub use header::{Address, HEADER, Header, Kind, MAX_BODY, MAX_MESSAGE, MAX_TIME, MIN_HELLO, Side, message_length};
pub use hello::{Hello, Sensor, Sensors, Welcome};
pub use key::{Key, TAG};
pub use message::{Authentic, Body, Message, messages};
pub use readings::{Readings, Record, Records, Time};
pub use value::{Type, Value};
