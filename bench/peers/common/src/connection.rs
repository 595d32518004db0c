//! The three paths, for a connection that is a stream and a sink of messages, as most libraries have it.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

/// How many messages a batch has at most.
const MAX_BATCH: usize = 32;

/// What is to be done with a received message.
#[derive(Clone, Copy, PartialEq)]
pub enum What {
    /// It is for the application.
    Data,
    /// It is the library's business.
    Control,
    /// It was the last one.
    Close,
}

/// What a handler that answers in batches does first. Only one of them makes batches with some libraries: tokio-websockets
/// flushes whenever it is asked for the next message, yawc when it is given one after the next was not at hand.
#[derive(Clone, Copy, PartialEq)]
pub enum Batching {
    /// It queues the answer to each message before it takes the next one.
    AnswerFirst,
    /// It takes all messages before it queues answers.
    ReadFirst,
}

/// Serves an open connection as its path says.
pub async fn serve<S, M, E>(
    path: &str,
    mut ws: S,
    publisher: Sender<M>,
    what: fn(&M) -> What,
    batching: Batching,
) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Clone,
{
    match path {
        "/sub" => subscribe(&mut ws, publisher.subscribe()).await,
        "/pub" => publish(&mut ws, publisher, what).await,
        _ if crate::batch() => echo_in_batches(&mut ws, what, batching).await,
        _ => echo(&mut ws, what).await,
    }
}

async fn echo<S, M, E>(ws: &mut S, what: fn(&M) -> What) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = ws.next().await.transpose()? {
        match what(&message) {
            What::Data => ws.send(message).await?,
            What::Control => {}
            What::Close => break,
        }
    }
    Ok(())
}

/// Answers everything that is at hand with one flush.
async fn echo_in_batches<S, M, E>(ws: &mut S, what: fn(&M) -> What, order: Batching) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut unanswered = Vec::new();
    let mut open = true;
    while open {
        let mut next = ws.next().await;
        for more in (0..MAX_BATCH).rev() {
            let Some(message) = next.take().transpose()? else {
                open = false;
                break;
            };
            match (what(&message), order) {
                (What::Data, Batching::AnswerFirst) => ws.feed(message).await?,
                (What::Data, Batching::ReadFirst) => unanswered.push(message),
                (What::Control, _) => {}
                (What::Close, _) => {
                    open = false;
                    break;
                }
            }
            if more == 0 {
                break;
            }
            match ws.next().now_or_never() {
                Some(at_hand) => next = at_hand,
                None => break,
            }
        }
        for message in unanswered.drain(..) {
            ws.feed(message).await?;
        }
        ws.flush().await?;
    }
    Ok(())
}

async fn subscribe<S, M, E>(ws: &mut S, mut messages: Receiver<M>) -> Result<(), E>
where
    S: Sink<M, Error = E> + Unpin,
    M: Clone,
{
    loop {
        match messages.recv().await {
            Ok(message) => ws.feed(message).await?,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Ok(()),
        }
        while let Ok(message) = messages.try_recv() {
            ws.feed(message).await?;
        }
        ws.flush().await?;
    }
}

async fn publish<S, M, E>(ws: &mut S, publisher: Sender<M>, what: fn(&M) -> What) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Unpin,
{
    while let Some(message) = ws.next().await.transpose()? {
        match what(&message) {
            // Without subscribers nobody gets it.
            What::Data => drop(publisher.send(message)),
            What::Control => {}
            What::Close => break,
        }
    }
    Ok(())
}
