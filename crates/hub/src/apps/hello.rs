//! A greeting.

use tautline_proto::CloseCode;
use tautline_proto::app::{App, ConnectionId, Io, Message};

/// Takes a name, answers `Hello NAME!` and closes with 1000.
///
/// A binary name is taken as UTF-8, or written in hexadecimal if it is not. (The Python program that this replaces
/// answers with Python's notation for bytes, which loses nothing but helps nobody.)
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello;

impl App for Hello {
    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        let greeting = match message {
            Message::Text(name) => format!("Hello {name}!"),
            Message::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(name) => format!("Hello {name}!"),
                Err(_) => format!("Hello {}!", hex(bytes)),
            },
        };
        io.send(id, Message::Text(&greeting));
        // After this nothing of the client comes any more, whatever it sends.
        io.close(id, CloseCode::NORMAL, "");
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, text};

    fn greeting_of(message: Message<'_>) -> Vec<Asked> {
        let (mut app, mut io) = (Hello, FakeIo::default());
        assert_eq!(connect(&mut app, &mut io, 1, "/"), []);
        app.message(&mut io, ConnectionId(1), message);
        io.asked()
    }

    fn answered(greeting: &str) -> [Asked; 2] {
        [Asked::Text(1, greeting.into()), Asked::Close(1, CloseCode::NORMAL)]
    }

    #[test]
    fn a_name_is_greeted_and_the_connection_closed() {
        let (mut app, mut io) = (Hello, FakeIo::default());
        assert_eq!(text(&mut app, &mut io, 1, "Ada"), answered("Hello Ada!"));
    }

    #[test]
    fn a_binary_name_loses_nothing() {
        assert_eq!(greeting_of(Message::Binary("Íñigo".as_bytes())), answered("Hello Íñigo!"));
        assert_eq!(greeting_of(Message::Binary(&[0xff, 0x0a])), answered("Hello ff0a!"));
    }
}
