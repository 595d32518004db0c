//! Bodies of requests: read to an end, in time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::BoxError;
use super::problem::{Kind, Problem};

/// How many bytes a body may have.
pub(super) const LARGEST: usize = 1024 * 1024;

/// How much of a body that nobody wants is read all the same: a client that is still sending when the connection is closed
/// may never see the answer.
const LARGEST_DISCARDED: usize = 1024 * 1024;

/// How many bytes of bodies there may be at once, of all clients together.
static ROOM: Semaphore = Semaphore::const_new(64 * LARGEST);

/// When to come back to a hub that has no room for a body, in seconds.
const RETRY_AFTER: u32 = 2;

/// How long a body may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// What stands in a JSON body.
///
/// # Errors
///
/// It is not declared as JSON, too large, too slow, one too many, or not what is asked for; where, is said.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    if media_type(headers) != "application/json" {
        return Err(Problem::new(Kind::NotJson, "send `Content-Type: application/json`"));
    }
    let (bytes, _room) = whole(body).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // serde_json says what and at which line and column.
        Problem::new(Kind::BadRequest, format!("the body is not what it should be: {error}"))
    })
}

/// A body, in full, and the room that it takes up until that is dropped.
///
/// # Errors
///
/// It is too large, too slow, or one too many.
pub(super) async fn whole(body: Body) -> Result<(Vec<u8>, SemaphorePermit<'static>), Problem> {
    read(body, &ROOM).await
}

async fn read(body: Body, room: &Semaphore) -> Result<(Vec<u8>, SemaphorePermit<'_>), Problem> {
    let too_late = |_| {
        let detail = format!("the body did not arrive within {} s", TIMEOUT.as_secs());
        Problem::new(Kind::TimedOut, detail)
    };
    tokio::time::timeout(TIMEOUT, collect(body, room)).await.map_err(too_late)?
}

async fn collect(body: Body, room: &Semaphore) -> Result<(Vec<u8>, SemaphorePermit<'_>), Problem> {
    let unreadable = |error: BoxError| {
        if error.is::<LengthLimitError>() {
            return Problem::new(Kind::TooLarge, format!("the body has more than {LARGEST} bytes"));
        }
        Problem::new(Kind::BadRequest, format!("the body cannot be read: {error}"))
    };
    let take = |bytes: usize| {
        let busy = |_| Problem::new(Kind::Busy, "too many large bodies at once").retry_after(RETRY_AFTER);
        // Never more than one body may have.
        room.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX)).map_err(busy)
    };
    let mut body = Limited::new(body, LARGEST);
    let (mut bytes, mut taken) = (Vec::new(), take(0)?);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(unreadable)?.into_data() {
            taken.merge(take(data.len())?);
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes, taken))
}

/// What a body is declared as, in lower case and without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body that is lent to whoever answers, so that what is left of it can be read afterwards.
pub(super) struct Lent<B>(Arc<Mutex<Pin<Box<B>>>>);

impl<B> Lent<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    pub(super) fn new(body: B) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(body))))
    }

    pub(super) fn lend(&self) -> Self {
        Self(self.0.clone())
    }

    /// Reads what is left, up to where there is no point in it.
    pub(super) async fn discard(self) {
        let rest = async {
            let mut rest = Limited::new(self, LARGEST_DISCARDED);
            while let Some(Ok(_)) = rest.frame().await {}
        };
        // Who is that slow has no right to an answer.
        let _ = tokio::time::timeout(TIMEOUT, rest).await;
    }

    fn body(&self) -> MutexGuard<'_, Pin<Box<B>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> http_body::Body for Lent<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.body().as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn json_is_declared_with_or_without_parameters() {
        let declared =
            |value: &str| media_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]));
        for json in ["application/json", "Application/JSON ; charset=utf-8"] {
            assert_eq!(declared(json), "application/json");
        }
        assert_eq!((declared("text/plain"), media_type(&HeaderMap::new())), ("text/plain".into(), String::new()));
    }

    /// A body that does not come.
    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_refused_in_time() {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())]);
        let started = tokio::time::Instant::now();
        let refused = json::<serde_json::Value>(&headers, Body::new(Never)).await.unwrap_err();
        assert_eq!((refused.kind(), started.elapsed()), (Kind::TimedOut, TIMEOUT));
    }

    #[tokio::test]
    async fn all_bodies_together_have_so_much_room() {
        let room = Semaphore::new(5);
        let (first, taken) = read(Body::from("abc"), &room).await.unwrap();
        assert_eq!((&first[..], room.available_permits()), (&b"abc"[..], 2));
        assert_eq!(read(Body::from("def"), &room).await.unwrap_err().kind(), Kind::Busy);
        drop(taken);
        assert!(read(Body::from("def"), &room).await.is_ok());
        assert_eq!(room.available_permits(), 5, "what is done takes up none");
    }

    #[tokio::test]
    async fn what_is_left_of_a_body_is_read() {
        let body = Lent::new(Full::new(Bytes::from_static(b"{}")));
        let rest = body.lend();
        assert!(!http_body::Body::is_end_stream(&body));
        rest.discard().await;
        assert!(http_body::Body::is_end_stream(&body));
    }
}
