//! Readings by WebSocket, at `/readings/{device}` or `/readings`: handed in, or heard.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tautline_engine::Host;
use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening, Sent};
use tautline_proto::handshake::server::Rejection;

use super::{Heard, Listening, Measured, NotTaken, Owner, Telemetry, from_json, from_senml};
use crate::rooms::{BadPath, name, now_ms};
use crate::selection::{self, Selection};
use crate::senml;
use crate::tokens::Token;

/// Where it is.
pub(crate) const ROOT: &str = "/readings";

/// How many messages of a client may wait to be stored.
const WAITING: u32 = 64;

/// How many readings leave in one turn of the loop at most, and how many bytes of them. Then others have theirs.
const AT_ONCE: (usize, usize) = (64, 64 * 1024);

/// After how many seconds to come back when as many listen as can.
const RETRY_AFTER: u32 = 5;

/// Whether who opens a WebSocket here wants to hear readings, and not to hand them in.
pub(crate) fn is_live(query: Option<&str>) -> bool {
    selection::has(query, "live")
}

/// Takes readings: each text message is SenML in JSON or, if it is an object, the simple form; each binary message is SenML in CBOR.
/// Each is answered, with its number, once it is stored. With `live` in the query it is the other way round: a client is told
/// of readings, each as an object in a text message, as they are stored.
pub(crate) struct Readings {
    telemetry: Telemetry,
    home: Option<Host<Self>>,
    clients: HashMap<ConnectionId, Client>,
    listeners: HashMap<ConnectionId, Listener>,
}

#[derive(Debug)]
struct Client {
    /// `None`: its readings say whose they are.
    device: Option<Arc<str>>,
    /// How many messages have come.
    messages: u64,
    waiting: u32,
}

/// A client that hears readings.
#[derive(Debug)]
struct Listener {
    listening: Listening,
    /// Whether it can be sent to: it is open, and what it was sent has left.
    ready: bool,
    /// How many messages have come, which have no business here.
    messages: u64,
}

/// What became of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    Stored {
        /// Which message of the connection, from 1 on.
        message: u64,
        /// How many readings.
        stored: usize,
    },
    Error {
        message: u64,
        error: &'static str,
        detail: String,
    },
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").field("clients", &self.clients.len()).finish_non_exhaustive()
    }
}

impl Readings {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        Self { telemetry, home: None, clients: HashMap::new(), listeners: HashMap::new() }
    }

    /// Where it is. To be called before anything else.
    pub(crate) fn set_home(&mut self, home: Host<Self>) {
        self.home = Some(home);
    }

    /// A message is stored, or is not.
    fn stored(&mut self, io: &mut dyn Io, id: ConnectionId, message: u64, outcome: Result<usize, NotTaken>) {
        // It may have left.
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.waiting -= 1;
        answer(
            io,
            id,
            &match outcome {
                Ok(stored) => Answer::Stored { message, stored },
                Err(why) => not_taken(message, why),
            },
        );
    }
}

impl Readings {
    /// Somebody wants to hear readings. What it may hear is decided before it comes here.
    fn listen(&mut self, id: ConnectionId, device: Option<Arc<str>>, query: Option<&str>) -> Result<(), Rejection> {
        let mut wanted = Selection::of(query);
        if let Some(device) = device {
            wanted.devices = Some(vec![device.as_ref().to_owned()]);
        }
        let Some(home) = self.home.clone() else { return Err(Rejection::new(503)) };
        let wake = move || {
            let _ = home.visit(move |app, io| app.deliver(io, id));
        };
        let full = || Rejection::new(503).with_retry_after(RETRY_AFTER);
        let listening = self.telemetry.listen(wanted, wake).ok_or_else(full)?;
        self.listeners.insert(id, Listener { listening, ready: false, messages: 0 });
        Ok(())
    }

    /// Tells a listener what waits for it, as far as it takes it.
    fn deliver(&mut self, io: &mut dyn Io, id: ConnectionId) {
        // It may have left.
        let Some(listener) = self.listeners.get_mut(&id).filter(|listener| listener.ready) else { return };
        let (count, mut bytes) = AT_ONCE;
        for _ in 0..count {
            let sent = match listener.listening.next() {
                None => return,
                Some(Heard::Missed(missed)) => io.send(id, Message::Text(&format!("{{\"missed\":{missed}}}"))),
                Some(Heard::Reading(json)) => {
                    bytes = bytes.saturating_sub(json.len());
                    io.send(id, Message::Text(&json))
                }
            };
            if sent != Sent::Written {
                // What comes meanwhile waits in its queue, which is bounded.
                listener.ready = false;
                return;
            }
            if bytes == 0 {
                break;
            }
        }
        if let Some(home) = &self.home {
            let _ = home.visit(move |app, io| app.deliver(io, id));
        }
    }

    /// A listener can be sent to.
    fn ready(&mut self, io: &mut dyn Io, id: ConnectionId) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.ready = true;
            self.deliver(io, id);
        }
    }
}

impl App for Readings {
    fn admit(&mut self, _: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let device = device(opening.path).map_err(|problem| Rejection::new(problem.status()))?;
        if is_live(opening.query) {
            return self.listen(id, device, opening.query);
        }
        if Token::of(opening.attached).is_some_and(|token| !token.rights().publish) {
            return Err(Rejection::new(403));
        }
        self.clients.insert(id, Client { device, messages: 0, waiting: 0 });
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.ready(io, id);
    }

    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.ready(io, id);
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.messages += 1;
            let detail = "this connection is for listening: open one without `live`".to_owned();
            return answer(io, id, &Answer::Error { message: listener.messages, error: "bad-request", detail });
        }
        let (Some(client), Some(home)) = (self.clients.get_mut(&id), &self.home) else { return };
        client.messages += 1;
        let number = client.messages;
        if client.waiting >= WAITING {
            return answer(io, id, &not_taken(number, NotTaken::Busy));
        }
        let owner = client.device.as_deref().map_or(Owner::Told, Owner::Device);
        let measured = match parse(message, owner) {
            Ok(measured) => measured,
            Err(detail) => return answer(io, id, &Answer::Error { message: number, error: "bad-request", detail }),
        };
        let (count, home) = (measured.len(), home.clone());
        let submitted = self.telemetry.hand_in(measured, move |result| {
            let _ = home.visit(move |app, io| app.stored(io, id, number, result.map(|()| count)));
        });
        match submitted {
            Ok(()) => client.waiting += 1,
            Err(why) => answer(io, id, &not_taken(number, why)),
        }
    }

    fn closed(&mut self, _: &mut dyn Io, id: ConnectionId, _: Option<Ended>) {
        self.clients.remove(&id);
        self.listeners.remove(&id);
    }
}

/// The device of a path, if it names one.
fn device(path: &str) -> Result<Option<Arc<str>>, BadPath> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) {
        None => Ok(None),
        Some(segment) if segment.contains('/') => Err(BadPath::Form),
        Some(segment) => name(segment).map(|name| Some(name.into())),
    }
}

fn parse(message: Message<'_>, owner: Owner<'_>) -> Result<Vec<Measured>, String> {
    let now = now_ms();
    let pack = match message {
        Message::Text(text) if text.trim_start().starts_with('{') => {
            return from_json(text.as_bytes(), owner, now).map_err(|bad| bad.to_string());
        }
        Message::Text(text) => senml::parse_json(text.as_bytes()),
        Message::Binary(bytes) => senml::parse_cbor(bytes),
    };
    from_senml(&pack.map_err(|bad| bad.to_string())?, owner, now).map_err(|bad| bad.to_string())
}

fn not_taken(message: u64, why: NotTaken) -> Answer {
    let error = match why {
        NotTaken::NoStore => "no-store",
        NotTaken::TooManySensors => "full",
        NotTaken::Busy => "busy",
        NotTaken::NotStored => "not-stored",
    };
    Answer::Error { message, error, detail: why.to_string() }
}

fn answer(io: &mut dyn Io, to: ConnectionId, answer: &Answer) {
    // There are no maps with other keys than strings.
    io.send(to, Message::Text(&serde_json::to_string(answer).unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_device_or_none() {
        assert_eq!(device("/readings"), Ok(None));
        assert_eq!(device("/readings/"), Ok(None));
        assert_eq!(device("/readings/a%20b"), Ok(Some("a b".into())));
        assert_eq!(device("/readings/a/b"), Err(BadPath::Form));
        assert_eq!(device("/readings/a%0A"), Err(BadPath::Name));
    }
}
