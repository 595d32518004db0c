//! A counter that everybody shares.

use std::collections::HashSet;

use serde_json::Value;
use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Slow};

/// The longest action that is looked at, in bytes. The ones there are have 20.
const LONGEST_ACTION: usize = 4096;

/// A number that every client sees and can change.
///
/// | when | message | to |
/// |---|---|---|
/// | a client connects or leaves | `{"type": "users", "count": 1}` | all |
/// | a client connects | `{"type": "state", "value": 0}` | it |
/// | `{"action": "plus"}` or `{"action": "minus"}` comes | `{"type": "state", "value": 1}` | all |
/// | anything else comes | `{"type": "error", "message": "..."}` | who sent it |
///
/// The messages have, byte for byte, the form that Python's `json.dumps` gives them. The number stays where it is at
/// the ends of the range of `i64`.
#[derive(Debug, Default)]
pub struct Counter {
    value: i64,
    users: HashSet<ConnectionId>,
    /// Those whose bad input has been logged: once is enough to find them, and nobody can fill the log.
    logged: HashSet<ConnectionId>,
}

impl Counter {
    /// A counter at zero, without users.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> String {
        format!(r#"{{"type": "state", "value": {}}}"#, self.value)
    }

    fn publish_users(&self, io: &mut dyn Io) {
        let users = format!(r#"{{"type": "users", "count": {}}}"#, self.users.len());
        io.publish(&mut self.users.iter().copied(), Message::Text(&users), Slow::Disconnect);
    }
}

impl App for Counter {
    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.users.insert(id);
        self.publish_users(io);
        io.send(id, Message::Text(&self.state()));
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        match Action::parse(message.as_bytes()) {
            Ok(Action::Plus) => self.value = self.value.saturating_add(1),
            Ok(Action::Minus) => self.value = self.value.saturating_sub(1),
            Err(problem) => {
                if self.logged.insert(id) {
                    let sent = String::from_utf8_lossy(message.as_bytes());
                    tracing::info!(peer = super::peer(io, id), "counter: {problem}: {}", super::quote(&sent));
                }
                let error = format!(r#"{{"type": "error", "message": "{problem}"}}"#);
                io.send(id, Message::Text(&error));
                return;
            }
        }
        io.publish(&mut self.users.iter().copied(), Message::Text(&self.state()), Slow::Disconnect);
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, _: Option<Ended>) {
        self.logged.remove(&id);
        if self.users.remove(&id) {
            self.publish_users(io);
        }
    }
}

enum Action {
    Plus,
    Minus,
}

impl Action {
    /// What a message asks for, or what is wrong with it, fit to stand in a JSON string.
    fn parse(message: &[u8]) -> Result<Self, &'static str> {
        if message.len() > LONGEST_ACTION {
            return Err("the message is too long for an action");
        }
        let json: Value = serde_json::from_slice(message).map_err(|_| "the message is not JSON")?;
        match json.get("action").and_then(Value::as_str) {
            Some("plus") => Ok(Self::Plus),
            Some("minus") => Ok(Self::Minus),
            Some(_) => Err("unknown action: there are plus and minus"),
            None => Err("the message is not an object with an action"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, disconnect, text};

    fn users(to: &[u64]) -> Asked {
        Asked::PublishText(to.to_vec(), format!(r#"{{"type": "users", "count": {}}}"#, to.len()))
    }

    fn state(to: &[u64], value: i64) -> Asked {
        Asked::PublishText(to.to_vec(), format!(r#"{{"type": "state", "value": {value}}}"#))
    }

    #[test]
    fn a_newcomer_is_announced_to_all_and_then_told_the_state() {
        let (mut app, mut io) = (Counter::new(), FakeIo::default());
        let zero = |id| Asked::Text(id, r#"{"type": "state", "value": 0}"#.into());
        assert_eq!(connect(&mut app, &mut io, 1, "/"), [users(&[1]), zero(1)]);
        assert_eq!(connect(&mut app, &mut io, 2, "/"), [users(&[1, 2]), zero(2)]);
        assert_eq!(disconnect(&mut app, &mut io, 1), [users(&[2])]);
    }

    #[test]
    fn actions_change_the_state_for_all() {
        let (mut app, mut io) = (Counter::new(), FakeIo::default());
        connect(&mut app, &mut io, 1, "/");
        connect(&mut app, &mut io, 2, "/");
        assert_eq!(text(&mut app, &mut io, 1, r#"{"action":"plus"}"#), [state(&[1, 2], 1)]);
        assert_eq!(text(&mut app, &mut io, 2, r#"{"more": [1], "action": "minus"}"#), [state(&[1, 2], 0)]);
        app.message(&mut io, ConnectionId(2), Message::Binary(br#"{"action":"minus"}"#));
        assert_eq!(io.asked(), [state(&[1, 2], -1)]);
    }

    #[test]
    fn bad_input_changes_nothing_and_is_answered_with_an_error() {
        let (mut app, mut io) = (Counter::new(), FakeIo::default());
        connect(&mut app, &mut io, 1, "/");
        connect(&mut app, &mut io, 2, "/");
        let long = format!(r#"{{"action":"plus","x":"{}"}}"#, "x".repeat(LONGEST_ACTION));
        let deep = "[".repeat(4000);
        for bad in ["", "plus", "{}", "[]", "17", r#"{"action":1}"#, r#"{"action":"reset"}"#, &long, &deep] {
            let asked = text(&mut app, &mut io, 1, bad);
            let [Asked::Text(1, error)] = &asked[..] else { panic!("{bad}: {asked:?}") };
            let error: Value = serde_json::from_str(error).expect("valid JSON");
            assert_eq!(error["type"], "error");
            assert!(error["message"].is_string());
        }
        assert_eq!(text(&mut app, &mut io, 1, r#"{"action":"plus"}"#), [state(&[1, 2], 1)]);
    }

    #[test]
    fn the_value_saturates() {
        let (mut app, mut io) = (Counter { value: i64::MAX, ..Counter::new() }, FakeIo::default());
        connect(&mut app, &mut io, 1, "/");
        assert_eq!(text(&mut app, &mut io, 1, r#"{"action":"plus"}"#), [state(&[1], i64::MAX)]);
        app.value = i64::MIN;
        assert_eq!(text(&mut app, &mut io, 1, r#"{"action":"minus"}"#), [state(&[1], i64::MIN)]);
    }

    #[test]
    fn a_client_that_never_opened_is_nobody() {
        let (mut app, mut io) = (Counter::new(), FakeIo::default());
        connect(&mut app, &mut io, 1, "/");
        app.closed(&mut io, ConnectionId(2), None);
        assert_eq!(io.asked(), []);
    }
}
