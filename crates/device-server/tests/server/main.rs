//! The small server over simulated connections in virtual time.

mod http;
mod places;
mod program;
mod slow;
mod smuggling;
mod support;
mod websocket;
mod ws;
