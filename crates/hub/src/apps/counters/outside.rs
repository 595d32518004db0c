//! Counters as they are seen and used by those who have no connection.

use std::fmt;
use std::sync::Arc;

use tautline_proto::app::{ConnectionId, Io, Message};

use super::{Action, Counters, MOST, error};

/// Why a counter has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// Too many changes wait to be stored.
    Busy,
    /// The value could not be stored.
    NotStored,
    /// There are as many counters as there can be.
    TooMany,
}

impl fmt::Display for Unchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many changes wait to be stored: try again later",
            Self::NotStored => "the value could not be stored: try again later",
            Self::TooMany => "there are as many counters as there can be",
        })
    }
}

impl Counters {
    /// Which counters these clients are at.
    pub(crate) fn of_clients(&self, ids: &[ConnectionId]) -> Vec<(ConnectionId, Arc<str>)> {
        ids.iter().filter_map(|id| Some((*id, self.clients.get(id)?.clone()))).collect()
    }
}

/// Who wants a counter to change.
pub(super) enum Asker {
    Client(ConnectionId),
    /// Somebody who waits for the outcome.
    Other(Box<dyn FnOnce(Result<i64, Unchanged>) + Send>),
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

impl Asker {
    /// It is done; the value is this now. Clients see it like everybody.
    pub(super) fn succeed(self, value: i64) {
        if let Self::Other(answer) = self {
            answer(Ok(value));
        }
    }

    pub(super) fn fail(self, io: &mut dyn Io, why: Unchanged) {
        match self {
            Self::Client(id) => {
                io.send(id, Message::Text(&error(&why.to_string())));
            }
            Self::Other(answer) => answer(Err(why)),
        }
    }
}

impl Counters {
    /// Name, value and number of users of the counters with names behind `after`, by name, at most `limit` of them.
    pub(crate) fn list(&self, after: Option<&str>, limit: usize) -> Vec<(Arc<str>, i64, usize)> {
        let counters = self.counters.iter().filter(|(name, _)| Some(&***name) > after);
        let mut list: Vec<_> =
            counters.map(|(name, counter)| (name.clone(), counter.value, counter.users.len())).collect();
        list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        list.truncate(limit);
        list
    }

    /// Value and number of users of a counter: zero if there is none of this name.
    pub(crate) fn look(&self, name: &str) -> (i64, usize) {
        self.counters.get(name).map_or((0, 0), |counter| (counter.value, counter.users.len()))
    }

    /// Changes a counter for somebody without a connection. `answer` is told the new value once it is stored; it must not
    /// block.
    pub(crate) fn change_from_outside(
        &mut self,
        io: &mut dyn Io,
        name: &str,
        action: Action,
        answer: impl FnOnce(Result<i64, Unchanged>) + Send + 'static,
    ) {
        if self.counters.len() >= MOST && !self.counters.contains_key(name) {
            return answer(Err(Unchanged::TooMany));
        }
        let name: Arc<str> = name.into();
        self.counters.entry(name.clone()).or_default();
        self.change(io, &name, Asker::Other(Box::new(answer)), action);
        self.tidy(&name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect};

    #[test]
    fn who_has_no_connection_is_answered_when_the_value_is_stored() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        let (store, stored) = mpsc::channel();
        app.set_store(move |name, value| store.send((name.clone(), value)).unwrap());
        connect(&mut app, &mut io, 1, "/state/x");
        let (answer, answers) = mpsc::channel();
        for action in [Action::Add(2), Action::Add(3), Action::Set(9)] {
            let answer = answer.clone();
            app.change_from_outside(&mut io, "x", action, move |outcome| answer.send(outcome).unwrap());
        }
        let (name, value) = stored.try_recv().unwrap();
        assert_eq!((value, answers.try_recv().is_err(), app.look("x")), (2, true, (0, 1)), "nothing is seen before");
        app.stored(&mut io, &name, true);
        assert_eq!(answers.try_recv(), Ok(Ok(2)));
        let state = r#"{"type": "state", "value": 2}"#;
        assert_eq!(io.asked(), [Asked::PublishText(vec![1], state.into())]);
        app.stored(&mut io, &name, false);
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Err(Unchanged::NotStored), Err(Unchanged::NotStored)]);
        assert_eq!(app.look("x"), (2, 1), "nothing has changed");
    }

    #[test]
    fn there_is_a_limit_to_counters_and_to_what_waits() {
        let (mut app, mut io) = (Counters::new(), FakeIo::default());
        let (answer, answers) = mpsc::channel();
        let mut add = |app: &mut Counters, name: &str| {
            let answer = answer.clone();
            app.change_from_outside(&mut io, name, Action::Add(1), move |outcome| answer.send(outcome).unwrap());
        };
        (0..MOST).for_each(|number| add(&mut app, &number.to_string()));
        assert!(answers.try_iter().all(|outcome| outcome == Ok(1)));
        add(&mut app, "new");
        assert_eq!(answers.try_recv(), Ok(Err(Unchanged::TooMany)));
        app.set_store(|_, _| ());
        // One is being stored besides those that wait.
        (0..=super::super::MOST_WAITING).for_each(|_| add(&mut app, "1"));
        assert!(answers.try_recv().is_err());
        add(&mut app, "1");
        assert_eq!(answers.try_recv(), Ok(Err(Unchanged::Busy)));
    }
}
