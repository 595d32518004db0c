//! What simulated worlds stand on: their time and their chance.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tautline_device::{Clock, Instant};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// A clock that stands still while anything happens.
#[derive(Clone)]
pub struct Time {
    pub now: Rc<Cell<Instant>>,
    /// The earliest time that somebody sleeps until.
    alarm: Rc<Cell<Option<Instant>>>,
    /// Whether the future was woken. It lasts, so that nobody gives its memory back while allocations are counted.
    flag: Arc<Woken>,
}

/// Whether a task was woken.
#[derive(Default)]
pub struct Woken(pub AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Time {
    pub fn new() -> Self {
        Self { now: Rc::new(Cell::new(Instant::from_millis(5_000))), alarm: Rc::default(), flag: Arc::default() }
    }

    /// Whether the future was woken since it was last polled.
    pub fn is_woken(&self) -> bool {
        self.flag.0.load(Relaxed)
    }

    /// Polls the future whenever there is reason to, until `end`. `turn` does what others do at this time, and answers when they next do
    /// something, or `None` if this is enough.
    pub fn run<T>(
        &self,
        end: Instant,
        turn: &mut dyn FnMut() -> Option<Option<Instant>>,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let waker = Waker::from(self.flag.clone());
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 10_000_000, "it turns without end");
            // Whoever sleeps says so again when polled.
            self.alarm.set(None);
            self.flag.0.store(false, Relaxed);
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(result);
            }
            let others = turn()?;
            if self.flag.0.load(Relaxed) {
                continue;
            }
            let next = [self.alarm.get(), others].into_iter().flatten().min();
            match next.filter(|&at| at <= end) {
                Some(at) => self.now.set(at.max(self.now())),
                None => {
                    self.now.set(end);
                    return None;
                }
            }
        }
    }
}

impl Clock for Time {
    fn now(&self) -> Instant {
        self.now.get()
    }

    async fn sleep_until(&self, at: Instant) {
        std::future::poll_fn(|_| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.alarm.set(Some(self.alarm.get().map_or(at, |alarm| alarm.min(at))));
            Poll::Pending
        })
        .await;
    }
}

/// What the first future gives, unless the other one ends before.
pub async fn select<T, U>(
    first: impl Future<Output = T>,
    second: &mut Pin<Box<dyn Future<Output = U> + '_>>,
) -> Option<T> {
    let mut first = std::pin::pin!(first);
    std::future::poll_fn(|cx| match (first.as_mut().poll(cx), second.as_mut().poll(cx)) {
        (Poll::Ready(result), _) => Poll::Ready(Some(result)),
        (_, Poll::Ready(_)) => Poll::Ready(None),
        _ => Poll::Pending,
    })
    .await
}

/// Random bytes, the same ones for the same seed.
pub fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut random = fastrand::Rng::with_seed(seed);
    move |bytes: &mut [u8]| random.fill(bytes)
}
