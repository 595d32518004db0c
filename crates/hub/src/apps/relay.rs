//! Messages between clients.

use std::collections::{BTreeMap, HashMap};

use percent_encoding::percent_decode_str;
use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening, Slow};
use tautline_proto::handshake::server::Rejection;

/// The longest client id, in bytes after decoding.
const LONGEST_ID: usize = 128;

/// When a client whose id is taken should try again, in seconds: an old connection of the same device that is dead is
/// found out by pings soon.
const RETRY_AFTER: u32 = 5;

/// Passes each message on to all other clients, type and payload unchanged, as one unfragmented frame.
///
/// A client's id is the last segment of the path that it asks for, percent-decoded; where that is empty it gets a random
/// one. An id that is already connected is refused with 409. Ids of more than 128 bytes, and ones with control
/// characters, are refused too.
#[derive(Debug, Default)]
pub struct Relay {
    ids: HashMap<String, ConnectionId>,
    clients: BTreeMap<ConnectionId, Client>,
}

#[derive(Debug)]
struct Client {
    id: String,
    open: bool,
}

impl Relay {
    /// A relay without clients.
    pub fn new() -> Self {
        Self::default()
    }

    fn random_id(&self, io: &mut dyn Io) -> String {
        loop {
            let id = format!("{:08x}{:08x}", io.random(), io.random());
            if !self.ids.contains_key(&id) {
                return id;
            }
        }
    }
}

impl App for Relay {
    fn admit(&mut self, io: &mut dyn Io, connection: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let id = match client_id(opening.path)? {
            id if id.is_empty() => self.random_id(io),
            id => id,
        };
        if self.ids.contains_key(&id) {
            // Who was refused is logged with the answer; which id it was may be of interest too.
            tracing::debug!("{} is connected already", super::quote(&id));
            return Err(Rejection::CONFLICT.with_retry_after(RETRY_AFTER));
        }
        self.ids.insert(id.clone(), connection);
        self.clients.insert(connection, Client { id, open: false });
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, connection: ConnectionId) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.open = true;
            tracing::info!(peer = super::peer(io, connection), "New client: {}", client.id);
        }
    }

    fn message(&mut self, io: &mut dyn Io, from: ConnectionId, message: Message<'_>) {
        let mut others = self.clients.iter().filter(|(id, client)| client.open && **id != from).map(|(id, _)| *id);
        io.publish(&mut others, message, Slow::Disconnect);
    }

    fn closed(&mut self, io: &mut dyn Io, connection: ConnectionId, ended: Option<Ended>) {
        let Some(client) = self.clients.remove(&connection) else { return };
        self.ids.remove(&client.id);
        if ended.is_some() {
            tracing::info!(peer = super::peer(io, connection), "Client left: {}", client.id);
        }
    }
}

/// The client id in a path.
fn client_id(path: &str) -> Result<String, Rejection> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segment = path.rsplit('/').next().unwrap_or_default();
    let id = percent_decode_str(segment).decode_utf8().map_err(|_| Rejection::new(400))?;
    if id.len() > LONGEST_ID {
        return Err(Rejection::new(414));
    }
    // They would make a mess of every log and list.
    if id.chars().any(char::is_control) {
        return Err(Rejection::new(400));
    }
    Ok(id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, disconnect, opening, text};

    #[test]
    fn messages_go_to_all_others_unchanged() {
        let (mut app, mut io) = (Relay::new(), FakeIo::default());
        for (connection, path) in [(1, "/1"), (2, "/2"), (3, "/3")] {
            assert_eq!(connect(&mut app, &mut io, connection, path), []);
        }
        assert_eq!(text(&mut app, &mut io, 2, "hi"), [Asked::PublishText(vec![1, 3], "hi".into())]);
        app.message(&mut io, ConnectionId(1), Message::Binary(&[0, 255]));
        assert_eq!(io.asked(), [Asked::PublishBinary(vec![2, 3], vec![0, 255])]);
        assert_eq!(disconnect(&mut app, &mut io, 3), []);
        assert_eq!(text(&mut app, &mut io, 2, ""), [Asked::PublishText(vec![1], String::new())]);
    }

    #[test]
    fn an_id_is_taken_from_the_handshake_to_the_end() {
        let (mut app, mut io) = (Relay::new(), FakeIo::default());
        let conflict = Err(Rejection::CONFLICT.with_retry_after(RETRY_AFTER));
        let mut admit =
            |app: &mut Relay, connection, path| app.admit(&mut io, ConnectionId(connection), &opening(path));
        assert_eq!(admit(&mut app, 1, "/esp"), Ok(()));
        assert_eq!(admit(&mut app, 2, "/esp"), conflict, "taken before it is open");
        app.open(&mut FakeIo::default(), ConnectionId(1));
        assert_eq!(admit(&mut app, 3, "/%65sp"), conflict, "the same id, written in another way");
        assert_eq!(admit(&mut app, 4, "/ESP"), Ok(()));
        app.closed(&mut FakeIo::default(), ConnectionId(1), Some(Ended::PeerSilent));
        assert_eq!(admit(&mut app, 5, "/esp"), Ok(()));
        app.closed(&mut FakeIo::default(), ConnectionId(5), None);
        assert_eq!(admit(&mut app, 6, "/esp"), Ok(()), "the one before never opened");
    }

    #[test]
    fn a_client_gets_nothing_before_it_is_open() {
        let (mut app, mut io) = (Relay::new(), FakeIo::default());
        connect(&mut app, &mut io, 1, "/1");
        app.admit(&mut io, ConnectionId(2), &opening("/2")).unwrap();
        assert_eq!(text(&mut app, &mut io, 1, "hi"), [Asked::PublishText(vec![], "hi".into())]);
    }

    #[test]
    fn without_an_id_a_client_gets_a_random_one_that_is_free() {
        let (mut app, mut io) = (Relay::new(), FakeIo::default());
        io.random.extend([1, 2, 1, 2, 3, 4]);
        connect(&mut app, &mut io, 1, "/");
        connect(&mut app, &mut io, 2, "/");
        assert!(app.ids.contains_key("0000000100000002") && app.ids.contains_key("0000000300000004"));
    }

    #[test]
    fn ids_are_decoded_and_checked() {
        for (path, id) in [
            ("/7", "7"),
            ("/a%20b", "a b"),
            ("/%C3%B1", "ñ"),
            ("/a%2Fb", "a/b"),
            ("/a/", "a"),
            ("/ws/7", "7"),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(client_id(path).as_deref(), Ok(id), "{path}");
        }
        assert_eq!(client_id("/%ff"), Err(Rejection::new(400)));
        assert_eq!(client_id("/a%0Ab"), Err(Rejection::new(400)));
        assert_eq!(client_id(&format!("/{}", "x".repeat(LONGEST_ID))).unwrap().len(), LONGEST_ID);
        assert_eq!(client_id(&format!("/{}", "x".repeat(LONGEST_ID + 1))), Err(Rejection::new(414)));
    }
}
