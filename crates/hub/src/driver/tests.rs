//! Timers in virtual time, and what of the driver needs no connection. The rest: `tests/contract`.

use std::time::Duration;

use tautline_proto::Instant;
use tautline_proto::app::{ConnectionId, Io};
use tokio::sync::mpsc;

use super::*;

mod probing;

type Behaviour = Box<dyn FnMut(&mut dyn Io, u64) + Send>;

/// Tells of its timers, and does in each what it is told. The query of a client says which timers to set, as
/// `timer=milliseconds` pairs.
struct Timed {
    fired: mpsc::UnboundedSender<(u64, u64)>,
    behaviour: Behaviour,
}

impl App for Timed {
    fn admit(&mut self, io: &mut dyn Io, _: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        for pair in opening.query.into_iter().flat_map(|query| query.split('&')) {
            let (timer, at) = pair.split_once('=').unwrap();
            io.set_timer(timer.parse().unwrap(), Instant::from_millis(at.parse().unwrap()));
        }
        Ok(())
    }

    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        let _ = self.fired.send((timer, io.now().as_micros() / 1000));
        (self.behaviour)(io, timer);
    }
}

fn start(behaviour: impl FnMut(&mut dyn Io, u64) + Send + 'static) -> (Driver, mpsc::UnboundedReceiver<(u64, u64)>) {
    let (fired, receiver) = mpsc::unbounded_channel();
    (Driver::new(Timed { fired, behaviour: Box::new(behaviour) }), receiver)
}

fn set(driver: &Driver, timers: &str) -> Admitted {
    let opening = Opening { path: "/", query: Some(timers), ..Opening::default() };
    Admitted::new(&driver.0, &opening).unwrap()
}

#[tokio::test(start_paused = true)]
async fn timers_fire_when_they_are_due_and_in_order() {
    let (driver, mut fired) = start(|_, _| {});
    let _client = set(&driver, "3=3000&1=1000&2=2000&22=2000");
    for expected in [(1, 1000), (2, 2000), (22, 2000), (3, 3000)] {
        assert_eq!(fired.recv().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_set_for_earlier_than_the_others_is_not_slept_over() {
    let (driver, mut fired) = start(|_, _| {});
    let _first = set(&driver, "1=60000");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _second = set(&driver, "2=5000");
    assert_eq!(fired.recv().await, Some((2, 5000)));
    assert_eq!(fired.recv().await, Some((1, 60000)));
}

#[tokio::test(start_paused = true)]
async fn a_timer_can_move_and_take_back_others_that_are_due() {
    let (driver, mut fired) = start(|io, timer| {
        if timer == 1 {
            io.cancel_timer(2);
            io.set_timer(3, Instant::from_millis(500));
        }
    });
    let _client = set(&driver, "1=100&2=100&3=100");
    assert_eq!(fired.recv().await, Some((1, 100)));
    assert_eq!(fired.recv().await, Some((3, 500)));
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_sets_itself_for_now_lets_others_run() {
    let (driver, mut fired) = start(|io, timer| io.set_timer(timer, io.now()));
    let _client = set(&driver, "1=0");
    for _ in 0..10_000 {
        assert_eq!(fired.recv().await.unwrap().0, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_panics_is_the_only_one_to_suffer() {
    let (driver, mut fired) = start(|_, timer| assert_ne!(timer, 1, "on purpose"));
    let _client = set(&driver, "1=100&2=200");
    assert_eq!(fired.recv().await, Some((1, 100)));
    assert_eq!(fired.recv().await, Some((2, 200)));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_time_is_never() {
    let (driver, mut fired) = start(|_, _| {});
    let _client = set(&driver, &format!("1={}&2=100", u64::MAX));
    assert_eq!(fired.recv().await, Some((2, 100)));
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert!(fired.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_app_is_dropped_with_the_driver_and_its_last_client() {
    let (driver, mut fired) = start(|_, _| {});
    let client = set(&driver, "1=1000");
    drop(driver);
    assert_eq!(fired.recv().await, Some((1, 1000)), "alive with its client");
    drop(client);
    assert_eq!(fired.recv().await, None);
}
