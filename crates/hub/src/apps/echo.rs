//! Everything comes back.

use tautline_proto::app::{App, ConnectionId, Io, Message};

/// Sends every message back as it came, type and payload, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl App for Echo {
    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        // What is queued keeps its order, and the driver reads no faster than the client takes its answers.
        io.send(id, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, text};

    #[test]
    fn type_and_payload_come_back_unchanged() {
        let (mut app, mut io) = (Echo, FakeIo::default());
        assert_eq!(connect(&mut app, &mut io, 1, "/"), []);
        assert_eq!(text(&mut app, &mut io, 1, "añ"), [Asked::Text(1, "añ".into())]);
        app.message(&mut io, ConnectionId(1), Message::Binary(&[0, 255]));
        assert_eq!(io.asked(), [Asked::Binary(1, vec![0, 255])]);
        assert_eq!(text(&mut app, &mut io, 1, ""), [Asked::Text(1, String::new())]);
    }
}
