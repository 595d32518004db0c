//! The hub's side: one [`Session`] for each session of a device, the [`Links`] that the hub gives, and [`answer`]s that are
//! never larger than what they answer.
//!
//! What comes is handled like this:
//!
//! 1. [`Message::parse`](crate::Message::parse), or [`messages`](crate::messages) for a datagram. Its header names the
//!    device, whose key is looked up.
//! 2. [`Message::authenticate`](crate::Message::authenticate). What fails is counted, and nothing else is done with it.
//! 3. The session is looked up by device and session: in memory, or, for a hello and for a link that is right, in the
//!    store ([`Session::restore`]).
//! 4. [`Session::receive`] tells what to store and what to answer.
//! 5. When it is stored, [`Session::committed`], then [`Session::acknowledgement`].

mod answer;
mod links;
mod session;

pub use answer::answer;
pub use links::Links;
pub use session::{Received, Session};
