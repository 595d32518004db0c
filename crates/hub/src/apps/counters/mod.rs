//! Numbers that people share.

mod action;
mod outside;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::sync::Arc;

use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening, Slow};
use tautline_proto::handshake::server::Rejection;

use crate::rooms::{BadPath, name};
use crate::tokens::Token;
use crate::watch::Watch;
pub(crate) use action::Action;
use outside::Asker;
pub(crate) use outside::Unchanged;

/// How many counters there can be on a loop.
const MOST: usize = 4096;

/// How many actions may wait for one counter's value to be stored.
const MOST_WAITING: usize = 4096;

/// The counter at `/counter`, and on every path where there is only one.
const DEFAULT: &str = "counter";

/// Numbers that every client sees and can change: at `/state/{name}`, and the one named `counter` at `/counter`.
///
/// | when | message | to |
/// |---|---|---|
/// | a client connects or leaves | `{"type": "users", "count": 1}` | all at this counter |
/// | a client connects | `{"type": "state", "value": 0}` | it |
/// | `{"action": "plus"}` or `"minus"` comes, `"by": N` or 1; or `{"action": "set", "value": N}` | `{"type": "state", "value": 1}` | all at this counter |
/// | anything else comes | `{"type": "error", "message": "..."}` | who sent it |
///
/// The messages have, byte for byte, the form that Python's `json.dumps` gives them. A number stays where it is at the ends
/// of the range of `i64`.
#[derive(Default)]
pub struct Counters {
    counters: HashMap<Arc<str>, Counter>,
    clients: HashMap<ConnectionId, Arc<str>>,
    any_path: bool,
    store: Option<Store>,
    watch: Watch,
    /// Clients that may not change anything.
    readers: HashSet<ConnectionId>,
    /// Those whose bad input has been logged: once is enough to find them, and nobody can fill the log.
    logged: HashSet<ConnectionId>,
}

/// Stores a counter's value, and has [`Counters::stored`] called with what became of it.
type Store = Box<dyn Fn(&Arc<str>, i64) + Send>;

#[derive(Debug, Default)]
struct Counter {
    /// What everybody may know.
    value: i64,
    users: HashSet<ConnectionId>,
    /// Clients that were admitted and are not users yet.
    coming: usize,
    /// Actions whose outcome is being stored, and who asked for them.
    storing: Vec<(Asker, Action)>,
    /// Actions that came meanwhile.
    waiting: Vec<(Asker, Action)>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Counters {
    /// All at zero, without users.
    pub fn new() -> Self {
        Self::default()
    }

    /// There is one counter, on any path.
    pub fn on_any_path(mut self) -> Self {
        self.any_path = true;
        self
    }

    /// Who hears what happens.
    pub(crate) fn watched_by(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// From now on a value is stored before anybody sees it.
    pub(crate) fn set_store(&mut self, store: impl Fn(&Arc<str>, i64) + Send + 'static) {
        self.store = Some(Box::new(store));
    }

    /// A value from before a restart.
    pub(crate) fn restore(&mut self, name: Arc<str>, value: i64) {
        self.counters.entry(name).or_default().value = value;
    }

    /// The value that was given to the store is stored, or is not.
    pub(crate) fn stored(&mut self, io: &mut dyn Io, name: &Arc<str>, stored: bool) {
        let Some(counter) = self.counters.get_mut(name) else { return };
        for (from, action) in mem::take(&mut counter.storing) {
            if stored {
                counter.act(io, action);
                self.watch.events.counter(name, counter.value);
                from.succeed(counter.value);
            } else {
                from.fail(io, Unchanged::NotStored);
            }
        }
        self.store_next(name);
        self.tidy(name);
    }

    /// Changes a counter, once that is stored.
    fn change(&mut self, io: &mut dyn Io, name: &Arc<str>, from: Asker, action: Action) {
        let Some(counter) = self.counters.get_mut(name) else { return };
        if self.store.is_none() {
            counter.act(io, action);
            self.watch.events.counter(name, counter.value);
            from.succeed(counter.value);
        } else if counter.waiting.len() >= MOST_WAITING {
            from.fail(io, Unchanged::Busy);
        } else {
            counter.waiting.push((from, action));
            self.store_next(name);
        }
    }

    /// Gives what waits to the store, if it has nothing of this counter.
    fn store_next(&mut self, name: &Arc<str>) {
        let (Some(store), Some(counter)) = (&self.store, self.counters.get_mut(name)) else { return };
        if counter.storing.is_empty() && !counter.waiting.is_empty() {
            counter.storing = mem::take(&mut counter.waiting);
            store(name, counter.storing.iter().fold(counter.value, |value, (_, action)| action.apply(value)));
        }
    }

    /// The counter of a path.
    pub(crate) fn name(&self, path: &str) -> Result<String, BadPath> {
        if self.any_path { Ok(DEFAULT.into()) } else { counter_name(path) }
    }

    /// Forgets a counter that is as if it had never been.
    fn tidy(&mut self, name: &Arc<str>) {
        if self.counters.get(name).is_some_and(Counter::is_new) {
            self.counters.remove(name);
        }
    }
}

/// The counter of a path: `/state/{name}`, or `/counter`.
pub(crate) fn counter_name(path: &str) -> Result<String, BadPath> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_prefix("/state/") {
        Some(segment) if !segment.contains('/') => match name(segment)? {
            empty if empty.is_empty() => Err(BadPath::Name),
            name => Ok(name),
        },
        None if path == "/counter" => Ok(DEFAULT.into()),
        _ => Err(BadPath::Form),
    }
}

impl Counter {
    fn is_new(&self) -> bool {
        let nobody = self.users.is_empty() && self.coming == 0;
        nobody && self.value == 0 && self.storing.is_empty() && self.waiting.is_empty()
    }

    fn state(&self) -> String {
        format!(r#"{{"type": "state", "value": {}}}"#, self.value)
    }

    fn publish(&self, io: &mut dyn Io, message: &str) {
        io.publish(&mut self.users.iter().copied(), Message::Text(message), Slow::Disconnect);
    }

    fn publish_users(&self, io: &mut dyn Io) {
        self.publish(io, &format!(r#"{{"type": "users", "count": {}}}"#, self.users.len()));
    }

    fn act(&mut self, io: &mut dyn Io, action: Action) {
        self.value = action.apply(self.value);
        self.publish(io, &self.state());
    }
}

fn error(problem: &str) -> String {
    format!(r#"{{"type": "error", "message": "{problem}"}}"#)
}

impl App for Counters {
    fn admit(&mut self, _: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        let name = self.name(opening.path).map_err(|problem| Rejection::new(problem.status()))?;
        if self.counters.len() >= MOST && !self.counters.contains_key(&*name) {
            return Err(Rejection::new(503));
        }
        let name: Arc<str> = name.into();
        self.counters.entry(name.clone()).or_default().coming += 1;
        self.clients.insert(id, name);
        if Token::of(opening.attached).is_some_and(|token| !token.rights().publish) {
            self.readers.insert(id);
        }
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        let Some(counter) = self.clients.get(&id).and_then(|name| self.counters.get_mut(name)) else { return };
        counter.coming -= 1;
        counter.users.insert(id);
        counter.publish_users(io);
        io.send(id, Message::Text(&counter.state()));
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        let Some(name) = self.clients.get(&id).cloned() else { return };
        if self.readers.contains(&id) {
            io.send(id, Message::Text(&error("this client may not change the counter")));
            return;
        }
        match Action::parse(message.as_bytes()) {
            Ok(action) => self.change(io, &name, Asker::Client(id), action),
            Err(problem) => {
                if self.logged.insert(id) {
                    let sent = String::from_utf8_lossy(message.as_bytes());
                    tracing::info!(peer = super::peer(io, id), "counter: {problem}: {}", super::quote(&sent));
                }
                io.send(id, Message::Text(&error(problem)));
            }
        }
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        self.logged.remove(&id);
        self.readers.remove(&id);
        if let Some(ended) = ended {
            let reason = self.watch.left(ended, io.vitals(id));
            tracing::debug!(peer = super::peer(io, id), reason, "a client of a counter left");
        }
        let Some(name) = self.clients.remove(&id) else { return };
        if let Some(counter) = self.counters.get_mut(&name) {
            if counter.users.remove(&id) {
                counter.publish_users(io);
            } else {
                counter.coming -= 1;
            }
        }
        self.tidy(&name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, disconnect, opening, text};

    fn users(to: &[u64]) -> Asked {
        Asked::PublishText(to.to_vec(), format!(r#"{{"type": "users", "count": {}}}"#, to.len()))
    }

    fn state(to: &[u64], value: i64) -> Asked {
        Asked::PublishText(to.to_vec(), format!(r#"{{"type": "state", "value": {value}}}"#))
    }

    fn told(id: u64, value: i64) -> Asked {
        Asked::Text(id, format!(r#"{{"type": "state", "value": {value}}}"#))
    }

    const PLUS: &str = r#"{"action":"plus"}"#;

    #[test]
    fn a_newcomer_is_announced_to_all_and_then_told_the_state() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        assert_eq!(connect(&mut app, &mut io, 1, "/counter"), [users(&[1]), told(1, 0)]);
        assert_eq!(connect(&mut app, &mut io, 2, "/state/counter"), [users(&[1, 2]), told(2, 0)]);
        assert_eq!(disconnect(&mut app, &mut io, 1), [users(&[2])]);
    }

    #[test]
    fn actions_change_the_state_for_all_at_the_same_counter() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        for (id, path) in [(1, "/counter/"), (2, "/counter"), (3, "/state/l%C3%A1mpara")] {
            connect(&mut app, &mut io, id, path);
        }
        assert_eq!(text(&mut app, &mut io, 1, PLUS), [state(&[1, 2], 1)]);
        assert_eq!(text(&mut app, &mut io, 2, r#"{"action":"minus","by":5}"#), [state(&[1, 2], -4)]);
        assert_eq!(text(&mut app, &mut io, 3, r#"{"action":"set","value":9}"#), [state(&[3], 9)]);
        app.message(&mut io, ConnectionId(2), Message::Binary(PLUS.as_bytes()));
        assert_eq!(io.asked(), [state(&[1, 2], -3)]);
        disconnect(&mut app, &mut io, 3);
        assert_eq!(connect(&mut app, &mut io, 4, "/state/l%C3%A1mpara")[1], told(4, 9), "it stays");
    }

    #[test]
    fn bad_input_changes_nothing_and_is_answered_with_an_error() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        connect(&mut app, &mut io, 1, "/counter");
        for bad in ["", "{}", r#"{"action":"reset"}"#, r#"{"action":"plus","by":"1"}"#] {
            let asked = text(&mut app, &mut io, 1, bad);
            let [Asked::Text(1, error)] = &asked[..] else { panic!("{bad}: {asked:?}") };
            let error: serde_json::Value = serde_json::from_str(error).expect("valid JSON");
            assert_eq!(error["type"], "error");
            assert!(error["message"].is_string());
        }
        assert_eq!(text(&mut app, &mut io, 1, PLUS), [state(&[1], 1)]);
    }

    #[test]
    fn nobody_sees_a_value_before_it_is_stored() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        let (store, stored) = mpsc::channel();
        app.set_store(move |name, value| store.send((name.clone(), value)).unwrap());
        app.restore("counter".into(), 40);
        connect(&mut app, &mut io, 1, "/counter");
        for _ in 0..3 {
            assert_eq!(text(&mut app, &mut io, 1, PLUS), []);
        }
        let (name, value) = stored.try_recv().unwrap();
        assert_eq!((&*name, value), ("counter", 41));
        assert!(stored.try_recv().is_err(), "one at a time");
        assert_eq!(connect(&mut app, &mut io, 2, "/counter")[1], told(2, 40));
        app.stored(&mut io, &name, true);
        assert_eq!(io.asked(), [state(&[1, 2], 41)]);
        assert_eq!(stored.try_recv(), Ok(("counter".into(), 43)), "what came meanwhile, together");
        app.stored(&mut io, &name, false);
        let asked = io.asked();
        assert!(matches!(&asked[..], [Asked::Text(1, _), Asked::Text(1, _)]), "{asked:?}");
        assert_eq!(connect(&mut app, &mut io, 3, "/counter")[1], told(3, 41), "nothing has changed");
    }

    #[test]
    fn a_client_that_never_opened_is_nobody() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        app.admit(&mut io, ConnectionId(2), &opening("/state/x")).unwrap();
        connect(&mut app, &mut io, 1, "/state/x");
        app.closed(&mut io, ConnectionId(2), None);
        assert_eq!(io.asked(), []);
        app.closed(&mut io, ConnectionId(1), Some(Ended::PeerSilent));
        assert!(app.counters.is_empty(), "and a counter that nobody used is none");
    }

    #[test]
    fn paths_that_name_no_counter_are_refused() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        for (path, status) in [("/", 404), ("/state", 404), ("/state/", 404), ("/state/a/b", 404), ("/state/%ff", 400)]
        {
            let admitted = app.admit(&mut io, ConnectionId(1), &opening(path));
            assert_eq!(admitted.map_err(|rejection| rejection.status()), Err(status), "{path}");
        }
        assert_eq!(app.on_any_path().admit(&mut io, ConnectionId(1), &opening("/")), Ok(()));
    }
}
