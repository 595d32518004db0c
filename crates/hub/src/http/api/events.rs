//! What happens, as server-sent events.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{RawQuery, State as Given};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use http_body::{Body, Frame};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::extract::{Asked, MayRead};
use super::{RETRY_AFTER, State};
use crate::access::Caller;
use crate::events::{Event, Events, Filter, Heard, Kind, Listener, Start};
use crate::http::problem::{self, Problem};
use crate::selection::Selection;

/// How long nothing is said at most.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many pieces wait for a client. Each has up to some 30 events.
pub(super) const WAITING: usize = 2;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only events of these rooms, by name, with commas in between.
    #[param(example = "main,lab")]
    rooms: Option<String>,
    /// Only events of these kinds, with commas in between: `message`, `presence`, `connected`, `disconnected`, `counter`,
    /// `reading`, `document`, `twin`.
    #[param(example = "connected,disconnected")]
    kinds: Option<String>,
}

/// What happens
///
/// A stream of server-sent events, each with JSON as its data: `message` (published in a room), `presence` (who came and
/// left lately, in rooms with clients that speak `tautline.v1.json`), `connected` and `disconnected` (a client of a room,
/// with the reason in plain words), `counter` (a shared number changed), `reading` (of a sensor, stored), `document` (one of a room
/// changed) and `twin` (a half of a device's), the last two without the value. A client that comes back with `Last-Event-ID`
/// gets what it missed, or the event `gap` if that is not known any longer. One that is too slow gets `slow`, and the stream
/// ends; so it does with `closed`, when the hub shuts down.
#[utoipa::path(get, path = "/api/events", tag = "events",
    params(Wanted,
        ("device" = Option<Vec<String>>, Query, description = "Only events of these devices: readings and twins. With commas in between, or repeated."),
        ("sensor" = Option<Vec<String>>, Query, description = "Only readings of these sensors, likewise."),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that the client has.")),
    responses((status = 200, description = "The stream.", content_type = "text/event-stream", body = String)))]
pub(super) async fn stream(
    MayRead(caller): MayRead,
    Given(state): Given<State>,
    Asked(wanted): Asked<Wanted>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let events = &state.site.watch().events;
    // One that is not even text is none of ours.
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let (listener, start) = events
        .listen(Filter { selection: Selection::of(query.as_deref()), ..wanted.filter()? }, last)
        .map_err(|_| {
            let detail = "as many listen to events as can";
            Problem::new(problem::Kind::Full, detail).retry_after(RETRY_AFTER)
        })?;
    let (pieces, body) = mpsc::channel(WAITING);
    tokio::spawn(tell(events.clone(), listener, start, pieces, caller));
    Ok(event_stream(body))
}

/// The answer whose events come through a channel.
pub(super) fn event_stream(body: mpsc::Receiver<Bytes>) -> Response {
    let mut response = Response::new(axum::body::Body::new(Pieces(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A proxy (nginx) that collects what it passes on would keep events from being seen.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Wanted {
    /// The rooms, if it is about certain ones only.
    pub(super) fn rooms(&self) -> Option<Vec<String>> {
        self.rooms.as_deref().map(list)
    }

    fn filter(self) -> Result<Filter, Problem> {
        let kind = |name: String| {
            let unknown = || {
                let detail = "`kinds` are message, presence, connected, disconnected, counter, reading, document and twin, with commas in \
                              between";
                Problem::new(problem::Kind::BadRequest, detail)
            };
            Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
        };
        let kinds = self.kinds.as_deref().map(|kinds| list(kinds).into_iter().map(kind).collect()).transpose()?;
        Ok(Filter { rooms: self.rooms(), kinds, selection: Selection::default() })
    }
}

fn list(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

/// Tells a client what its listener hears, until one of them ends.
async fn tell(events: Events, mut listener: Listener, start: Start, pieces: mpsc::Sender<Bytes>, caller: Caller) {
    // A client that comes back to a hub that was restarted should not wait for long.
    let mut piece = format!("retry: 2000\nid: {}\n\n", listener.id());
    if start == Start::Gap {
        piece += "event: gap\ndata: {\"message\":\"what happened in between is not known any longer\"}\n\n";
    }
    loop {
        if pieces.send(piece.into()).await.is_err() {
            return;
        }
        let heard = tokio::select! {
            heard = tokio::time::timeout(KEEP_ALIVE, listener.next()) => heard,
            () = pieces.closed() => return,
            // When it comes back it is told why.
            () = caller.ended() => return,
        };
        let last = matches!(heard, Ok(Heard::TooSlow | Heard::Closed));
        piece = match heard {
            Ok(Heard::Events(heard)) => heard.iter().fold(String::new(), |text, event| text + &written(&events, event)),
            // With it the client does not fall behind while nothing happens that it wants to hear.
            Err(_) => format!(": still here\nid: {}\n\n", listener.id()),
            Ok(Heard::TooSlow) => "event: slow\ndata: {\"message\":\"too slow for what happens\"}\n\n".into(),
            Ok(Heard::Closed) => "event: closed\ndata: {\"message\":\"the hub shuts down\"}\n\n".into(),
        };
        if last {
            // Whether it arrives or not: it was the last.
            let _ = pieces.send(piece.into()).await;
            return;
        }
    }
}

fn written(events: &Events, event: &Event) -> String {
    let mut text = String::with_capacity(event.data.len() + 80);
    // JSON of a client may have line breaks between its parts, which would end the line here.
    let data = event.data.replace(['\r', '\n'], " ");
    let _ = write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", events.id(event.number), event.kind.name());
    text
}

/// A body of what comes through a channel.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_on_which_nothing_happens_says_so_now_and_then() {
        let events = Events::default();
        let (listener, start) = events.listen(Filter::default(), None).unwrap();
        let (pieces, mut told) = mpsc::channel(WAITING);
        let telling = tokio::spawn(tell(events, listener, start, pieces, Caller::default()));
        let began = tokio::time::Instant::now();
        assert!(told.recv().await.unwrap().starts_with(b"retry: "));
        for count in 1..=3 {
            assert!(told.recv().await.unwrap().starts_with(b": still here\nid: "));
            assert_eq!(began.elapsed(), KEEP_ALIVE * count);
        }
        drop(told);
        telling.await.unwrap();
    }

    #[test]
    fn rooms_and_kinds_are_lists() {
        let filter = |rooms: Option<&str>, kinds: Option<&str>| {
            Wanted { rooms: rooms.map(Into::into), kinds: kinds.map(Into::into) }.filter()
        };
        let both = filter(Some("a,b c"), Some("message,counter")).unwrap();
        assert_eq!(both.rooms, Some(vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(both.kinds, Some(vec![Kind::Message, Kind::Counter]));
        assert_eq!(filter(None, Some("message,,")).unwrap_err().kind(), problem::Kind::BadRequest);
    }
}
