//! Asking a client whether it is still there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tautline::{Ended, SendError, Sender};
use tokio::time::{Instant, Sleep, sleep_until};

/// A question to a client; ready with what came of it. The client is pinged when this is polled first.
///
/// To be polled by the task that receives from the client, behind the receiving: whatever arrives wakes that task.
pub(super) struct Probe {
    sender: Sender,
    asked: Instant,
    pong: Pin<Box<dyn Future<Output = Result<Duration, SendError>> + Send>>,
    until: Pin<Box<Sleep>>,
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The client has been heard from.
    Alive,
    /// Its time is over.
    GivenUp(Ended),
    /// The connection is closing, and its end will tell everything.
    Closing,
}

impl Probe {
    /// Asks, with time for an answer `until` then.
    pub(super) fn new(sender: &Sender, until: Instant) -> Self {
        let sender = sender.clone();
        let pinging = sender.clone();
        Self {
            sender,
            asked: Instant::now(),
            pong: Box::pin(async move { pinging.ping().await }),
            until: Box::pin(sleep_until(until)),
        }
    }

    /// Leaves no more time than `until`.
    pub(super) fn hurry(&mut self, until: Instant) {
        if until < self.until.deadline() {
            self.until.as_mut().reset(until);
        }
    }

    /// Whether anything has arrived since the question. The clock is read first, so that what came before it never looks
    /// like an answer.
    fn heard(&self) -> bool {
        let now = Instant::now();
        now.checked_sub(self.sender.silence()).is_some_and(|heard| heard > self.asked)
    }
}

impl Future for Probe {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = &mut *self;
        let pong = this.pong.as_mut().poll(cx);
        if let Poll::Ready(Err(_)) = pong {
            return Poll::Ready(Answer::Closing);
        }
        if pong.is_ready() || this.heard() {
            return Poll::Ready(Answer::Alive);
        }
        ready!(this.until.as_mut().poll(cx));
        // A ping waits only behind what the transport does not take.
        let stuck = this.sender.queued() > 0;
        Poll::Ready(Answer::GivenUp(if stuck { Ended::SendStuck } else { Ended::PeerSilent }))
    }
}
