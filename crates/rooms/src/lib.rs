//! What happens in rooms, without I/O: who is there, who gets what, what is remembered, and whose a client id is.
//!
//! [`Rooms`] knows no sockets, no bytes on the wire, no clock and no randomness. It is told what happened, and answers with
//! [`Effect`]s. **After every call, drain:** take effects with [`Rooms::poll_effect`] until there is none, then ask
//! [`Rooms::poll_timeout`] when to call [`Rooms::handle_timeout`].
//!
//! ```
//! use tautline_rooms::{Effect, Form, Join, Member, Payload, Rights, Rooms, Settings, Timestamp};
//!
//! let now = Timestamp(0);
//! let mut rooms = Rooms::new(Settings::default(), 7);
//! for (member, client) in [(Member(1), "esp"), (Member(2), "page")] {
//!     let (form, rights) = (Form::Raw, Rights::ALL);
//!     let join = Join { member, room: "main", client, form, anonymous: false, identity: None, replaces: true, rights, resume: None };
//!     rooms.admit(&join).unwrap();
//!     rooms.open(now, member);
//! }
//! rooms.publish(now, Member(1), None, Payload::Text("SOS".into()));
//!
//! let Some(Effect::Deliver { room, message, except }) = rooms.poll_effect() else { panic!() };
//! assert_eq!((&*message.from, message.offset, except), ("esp", 1, Some(Member(1))));
//! assert_eq!(rooms.raw_members(room), [Member(1), Member(2)]);
//! ```

mod commands;
mod deduplication;
mod documents;
mod effect;
mod history;
mod message;
mod presence;
mod room;
mod rooms;
mod settings;
mod twins;

pub use commands::{
    Command, CommandAnswer, CommandEffect, CommandProblem, CommandSettings, CommandState, Commands, NewCommand,
};
pub use documents::{
    ChangeAnswer, ChangeProblem, Delta, Document, DocumentEffect, DocumentKey, DocumentSettings, Documents, Update,
    merge_patch,
};
pub use effect::{CloseReason, Effect, Problem, Recovery, Refusal, Resume, Welcome};
pub use message::{Message, Payload, Timestamp};
pub use presence::PresenceChange;
pub use rooms::{Form, Join, Known, Member, Publisher, Restored, Rights, RoomId, RoomView, Rooms};
pub use settings::{Compression, Duplicates, RoomSettings, Settings, SettingsError, SlowConsumer};
pub use twins::{TwinEffect, TwinPart, TwinSettings, TwinView, Twins};
