//! What the device does with what the client tells it.

use core::fmt::{self, Write};

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_device::rooms::{Command, Content, Incoming, Room, SUBPROTOCOL};
use tautline_device::{Event, Handler, Text};
use tautline_proto::Data;

use crate::Board;

/// What the device does with what the client tells it: one of two ways to hear, in one type, so that there is one client.
#[derive(Debug)]
pub(crate) enum Ears<R, E> {
    /// Messages are printed.
    Raw(R),
    /// Envelopes are opened first.
    Envelopes(E),
}

impl<R: Handler, E: Handler> Handler for Ears<R, E> {
    fn event(&mut self, event: Event<'_>) {
        match self {
            Self::Raw(raw) => raw.event(event),
            Self::Envelopes(envelopes) => envelopes.event(event),
        }
    }

    fn query(&mut self, query: &mut Text<'_>) {
        match self {
            Self::Raw(raw) => raw.query(query),
            Self::Envelopes(envelopes) => envelopes.query(query),
        }
    }
}

/// Prints what happens to the link, and messages.
pub(crate) fn told(board: &dyn Board, event: &Event<'_>) {
    match event {
        Event::BeforeConnect { attempt } => board.print(format_args!("connecting, attempt {attempt}")),
        Event::Connected(_) => board.print(format_args!("connected")),
        Event::Data(data) => board.print(format_args!("received {}", Shown(data))),
        Event::Error(cause) => board.print(format_args!("error: {cause}")),
        Event::Closed { code, reason, clean } => {
            let how = if *clean { "" } else { ", not cleanly" };
            board.print(format_args!("closed with {code}{how} {}", OneLine(reason)));
        }
        Event::Disconnected { cause, retry_in } => {
            board.print(format_args!("{}", board.punctuality()));
            match retry_in {
                Some(wait) => board.print(format_args!("disconnected: {cause}; again in {} ms", wait.as_millis())),
                None => board.print(format_args!("disconnected: {cause}")),
            }
        }
        // Pings and pongs come all the time.
        _ => {}
    }
}

/// Prints what others in the room say, and obeys commands.
pub(crate) fn heard<M: RawMutex>(board: &dyn Board, room: Room<'_, '_, M>, incoming: &Incoming<'_>) {
    match incoming {
        Incoming::Link(event) => {
            told(board, event);
            if let Event::Connected(answer) = event
                && answer.subprotocol() != Some(SUBPROTOCOL)
            {
                board.print(format_args!("this server knows no envelopes: for it the plan is to have `speaks raw`"));
            }
        }
        Incoming::Welcome { client, room, count, .. } => {
            board.print(format_args!("welcome, {}, to {}: {count} here", OneLine(client), OneLine(room)));
        }
        Incoming::Message { content: Content::Text(text) | Content::Data(text) | Content::Base64(text), .. } => {
            board.print(format_args!("received {}", OneLine(text)));
        }
        Incoming::Command(command) => {
            // One that is not taken comes again: the hub has no answer.
            let _ = room.answer(command.id, obey(board, command));
        }
        Incoming::Error { code, message, .. } => {
            board.print(format_args!("the hub says {}: {}", OneLine(code), OneLine(message)));
        }
        Incoming::Unreadable => board.print(format_args!("received what is too long or no text")),
        _ => {}
    }
}

/// Does what a command says; the answer, or why not. Doing it twice does no harm.
fn obey(board: &dyn Board, command: &Command<'_>) -> Result<&'static str, &'static str> {
    if command.name != "led" {
        return Err("this device only knows led");
    }
    let payload = || command.payload.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let on = if payload().eq(*br#"{"on":true}"#) {
        true
    } else if payload().eq(*br#"{"on":false}"#) {
        false
    } else {
        return Err(r#"the payload of led is {"on": true} or {"on": false}"#);
    };
    board.lamp(on);
    Ok("null")
}

/// A message, or a piece of one, as it is printed.
struct Shown<'a, 'b>(&'a Data<'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.0;
        if !data.is_whole() {
            let end = data.offset() + data.bytes().len() as u64;
            write!(f, "bytes {} to {end} of {} ", data.offset(), data.payload_len())?;
        }
        match data.text() {
            Some(text) => OneLine(text).fmt(f),
            None => write!(f, "{:02x?}", data.bytes()),
        }
    }
}

/// Text of others in one line, whatever it is.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| f.write_char(if char.is_control() { ' ' } else { char }))
    }
}
