//! Readings as they are stored, for those who listen by WebSocket.
//!
//! Each has a queue of its own, which takes what it wants to hear: so one that is slow, or hears everything, takes nothing from the
//! others, and is told exactly how much it has missed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::selection::Selection;
use crate::senml::Value;

/// How many can listen at once.
const LISTENERS: usize = 64;

/// How many bytes of readings wait for one, each counted with 64 more.
const WAITING: usize = 256 * 1024;

/// A reading that is stored, as others are told of it.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a> {
    pub(crate) device: &'a Arc<str>,
    pub(crate) sensor: &'a Arc<str>,
    #[serde(skip_serializing_if = "str_is_empty")]
    pub(crate) unit: &'a str,
    pub(crate) at_ms: i64,
    pub(crate) value: &'a Value,
}

fn str_is_empty(text: &&str) -> bool {
    text.is_empty()
}

/// Who listens. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Live(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How many there are, for those who only want to know that.
    count: AtomicUsize,
    /// By number.
    listeners: Mutex<BTreeMap<u64, Arc<Listener>>>,
}

struct Listener {
    wanted: Selection,
    queue: Mutex<Queue>,
    /// Says that there is something in the queue.
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Queue {
    /// JSON.
    readings: VecDeque<Arc<str>>,
    bytes: usize,
    /// How many were too many for it since it was last asked.
    missed: u64,
    /// It was said that there is something.
    told: bool,
}

/// What a listener hears next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// So many readings are missing here.
    Missed(u64),
    /// JSON.
    Reading(Arc<str>),
}

/// Somebody who listens, until this is dropped.
pub(super) struct Listening {
    live: Live,
    number: u64,
    listener: Arc<Listener>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("wanted", &self.listener.wanted).finish_non_exhaustive()
    }
}

impl Live {
    /// Listens from now on. `wake` is called when there is something after there was nothing, by whoever stores readings: it must not
    /// block. `None`: as many listen as can.
    pub(super) fn listen(&self, wanted: Selection, wake: impl Fn() + Send + Sync + 'static) -> Option<Listening> {
        let mut listeners = self.listeners();
        if listeners.len() >= LISTENERS {
            return None;
        }
        let number = listeners.last_key_value().map_or(0, |(last, _)| last + 1);
        let listener = Arc::new(Listener { wanted, queue: Mutex::default(), wake: Box::new(wake) });
        listeners.insert(number, listener.clone());
        self.0.count.store(listeners.len(), Ordering::Relaxed);
        Some(Listening { live: self.clone(), number, listener })
    }

    /// Whether anybody listens.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// A reading is stored.
    pub(super) fn tell(&self, told: &Told<'_>) {
        let mut written: Option<Arc<str>> = None;
        for listener in self.listeners().values() {
            if listener.wanted.includes(Some(told.device), Some(told.sensor)) {
                // There are no maps with other keys than strings, and no writer that can fail.
                let json = written.get_or_insert_with(|| serde_json::to_string(told).unwrap_or_default().into());
                if listener.queue().push(json.clone()) {
                    (listener.wake)();
                }
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Listener>>> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Adds a reading; the oldest make room. Answers whether that has to be said.
    fn push(&mut self, reading: Arc<str>) -> bool {
        self.bytes += weight(&reading);
        self.readings.push_back(reading);
        while self.bytes > WAITING {
            let Some(oldest) = self.readings.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.missed += 1;
        }
        !std::mem::replace(&mut self.told, true)
    }

    fn take(&mut self) -> Option<Heard> {
        if self.missed > 0 {
            return Some(Heard::Missed(std::mem::take(&mut self.missed)));
        }
        let Some(reading) = self.readings.pop_front() else {
            self.told = false;
            return None;
        };
        self.bytes -= weight(&reading);
        Some(Heard::Reading(reading))
    }
}

fn weight(reading: &str) -> usize {
    reading.len() + 64
}

impl Listening {
    /// What comes next. After `None` the next one is told by `wake`.
    pub(super) fn next(&self) -> Option<Heard> {
        self.listener.queue().take()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.live.listeners();
        listeners.remove(&self.number);
        self.live.0.count.store(listeners.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(live: &Live, device: &str, value: Value) {
        let (device, sensor) = (device.into(), "heat".into());
        live.tell(&Told { device: &device, sensor: &sensor, unit: "", at_ms: 7, value: &value });
    }

    fn woken() -> (Arc<AtomicUsize>, impl Fn() + Send + Sync + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        (count.clone(), move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[test]
    fn a_listener_hears_what_it_wants_and_is_woken_once_for_it() {
        let live = Live::default();
        assert!(!live.is_wanted());
        let (count, wake) = woken();
        let listening = live.listen(Selection::of(Some("device=lamp")), wake).unwrap();
        for (device, value) in [("lamp", 1), ("door", 2), ("lamp", 3)] {
            tell(&live, device, Value::Integer(value));
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        for value in [1, 3] {
            let json = format!(r#"{{"device":"lamp","sensor":"heat","at_ms":7,"value":{value}}}"#);
            assert_eq!(listening.next(), Some(Heard::Reading(json.into())));
        }
        assert_eq!(listening.next(), None);
        tell(&live, "lamp", Value::Integer(4));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        drop(listening);
        assert!(!live.is_wanted());
    }

    #[test]
    fn a_listener_that_is_slow_is_told_how_many_it_has_missed() {
        let live = Live::default();
        let slow = live.listen(Selection::default(), || {}).unwrap();
        let total = 10_000;
        for value in 0..total {
            tell(&live, "lamp", Value::Integer(value));
        }
        let Some(Heard::Missed(missed)) = slow.next() else { panic!() };
        let mut heard = Vec::new();
        while let Some(Heard::Reading(json)) = slow.next() {
            heard.push(serde_json::from_str::<serde_json::Value>(&json).unwrap()["value"].as_i64().unwrap());
        }
        assert_eq!(heard, (missed as i64..total).collect::<Vec<_>>());
        // One that does not fit at all.
        tell(&live, "lamp", Value::Text("x".repeat(WAITING)));
        assert_eq!((slow.next(), slow.next()), (Some(Heard::Missed(1)), None));
    }

    #[test]
    fn so_many_can_listen() {
        let live = Live::default();
        let all: Vec<_> = (0..LISTENERS).map_while(|_| live.listen(Selection::default(), || {})).collect();
        assert_eq!(all.len(), LISTENERS);
        assert!(live.listen(Selection::default(), || {}).is_none());
        drop(all);
        assert!(live.listen(Selection::default(), || {}).is_some());
    }
}
