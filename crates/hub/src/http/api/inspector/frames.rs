//! The frames of a connection, as server-sent events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State as Given;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use tautline_engine::{Frame, Inspection, Shown};
use tautline_proto::{Direction, OpCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection_id;
use crate::access::Caller;
use crate::http::api::events::{KEEP_ALIVE, WAITING, event_stream};
use crate::http::api::extract::{ConnectionName, MayAdmin};
use crate::http::api::{RETRY_AFTER, State, maybe_in_time};
use crate::http::problem::{Kind, Problem};
use crate::inspector::WATCHED;
use crate::rooms::now_ms;

/// How many frames wait for who looks. Each has up to some 400 bytes.
const FRAMES: usize = 512;

/// After how many frames it ends.
const MOST: u64 = 10_000;

/// After what time it ends.
const LASTING: Duration = Duration::from_secs(600);

/// How many frames go at once.
const AT_ONCE: usize = 32;

/// A connection's frames
///
/// A stream of server-sent events, each with JSON as its data: `begun` first, then a `frame` for each that begins from then on, in both
/// directions, as it is on the wire (inside of TLS, where there is TLS), with up to 256 bytes of its payload. Who takes them more
/// slowly than they come is told how many are missing (`dropped`). It ends with `ended`: when the connection does, when somebody else
/// looks at it, after 10,000 frames or 10 minutes. Eight connections can be looked at at once.
#[utoipa::path(get, path = "/api/inspector/connections/{connection}/frames", tag = "inspector",
    params(("connection" = String, Path, description = "Which one: 16 hexadecimal digits.")),
    responses((status = 200, description = "The stream.", content_type = "text/event-stream", body = String)))]
pub(in crate::http::api) async fn stream(
    MayAdmin(caller): MayAdmin,
    ConnectionName(connection): ConnectionName,
    Given(state): Given<State>,
) -> Result<Response, Problem> {
    let id = connection_id(&connection)?;
    let place = state.site.inspector().place().ok_or_else(|| {
        let detail = format!("{WATCHED} connections are being looked at, which is as many as can be");
        Problem::new(Kind::Full, detail).retry_after(RETRY_AFTER)
    })?;
    let (begun, begins) = oneshot::channel();
    let (frames, queue) = mpsc::channel(FRAMES);
    let count = Arc::new(AtomicU64::new(0));
    let inspection = state.site.inspect(id, note(begun, frames, count.clone())).ok_or_else(missing)?;
    // The loop says that it begins, or drops what it would be told with.
    maybe_in_time(begins).await?.ok_or_else(missing)?;
    tracing::info!(connection, "somebody looks at a connection's frames");
    let (pieces, body) = mpsc::channel(WAITING);
    tokio::spawn(tell(Watching { queue, count, told: 0, _held: Some((inspection, place)) }, pieces, caller));
    Ok(event_stream(body))
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "there is no such connection: it may have ended")
}

/// A frame with its number and its time.
type Noted = (u64, i64, Frame);

/// Takes note of what is shown. What does not fit the queue is only counted.
fn note(begun: oneshot::Sender<()>, frames: mpsc::Sender<Noted>, count: Arc<AtomicU64>) -> impl FnMut(Shown) + Send {
    let mut begun = Some(begun);
    move |shown| match shown {
        Shown::Begun => {
            // Who has asked may have left.
            let _ = begun.take().map(|begun| begun.send(()));
        }
        Shown::Frame(frame) => {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            let _ = frames.try_send((number, now_ms(), frame));
        }
    }
}

/// What somebody who looks is told from.
struct Watching {
    queue: mpsc::Receiver<Noted>,
    /// How many frames there were, those included that did not fit the queue.
    count: Arc<AtomicU64>,
    /// How many of them were told, or told to be missing.
    told: u64,
    /// Ends the inspection, and leaves its place.
    _held: Option<(Inspection, OwnedSemaphorePermit)>,
}

/// Tells of frames until one of the sides ends, or it has been enough.
async fn tell(mut watching: Watching, pieces: mpsc::Sender<Bytes>, caller: Caller) {
    let ends = Instant::now() + LASTING;
    let mut piece = event("begun", &Begun { frames: MOST, seconds: LASTING.as_secs() });
    loop {
        if pieces.send(piece.into()).await.is_err() {
            return;
        }
        let mut frames = Vec::with_capacity(AT_ONCE);
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, watching.queue.recv_many(&mut frames, AT_ONCE)) => heard,
            () = sleep_until(ends) => break piece = watching.end("it has been 10 minutes"),
            () = pieces.closed() => return,
            () = caller.ended() => break piece = watching.end("the access token is not valid any longer"),
        };
        piece = match heard {
            Err(_) => ": still here\n\n".to_owned(),
            Ok(0) => break piece = watching.end("the connection has ended, or somebody else looks at it now"),
            Ok(_) => watching.written(&frames),
        };
        if watching.told >= MOST {
            piece += &watching.end("it has been 10,000 frames");
            break;
        }
    }
    // Whether it arrives or not: it was the last.
    let _ = pieces.send(piece.into()).await;
}

impl Watching {
    fn written(&mut self, frames: &[Noted]) -> String {
        let mut text = String::new();
        for (number, at_ms, frame) in frames {
            text += &self.missing(number - 1);
            text += &event("frame", &Told::new(*number, *at_ms, frame));
            self.told = *number;
        }
        text
    }

    fn end(&mut self, reason: &'static str) -> String {
        let missing = self.missing(self.count.load(Ordering::Relaxed));
        missing + &event("ended", &Ended { reason })
    }

    /// Tells how many frames up to a number were not told of, if there are any.
    fn missing(&mut self, number: u64) -> String {
        let count = number.saturating_sub(self.told);
        self.told += count;
        if count == 0 { String::new() } else { event("dropped", &Dropped { count }) }
    }
}

fn event(kind: &str, data: &impl Serialize) -> String {
    // There are no maps with other keys than strings, and no writer that can fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

#[derive(Serialize)]
struct Begun {
    /// After how many frames it ends.
    frames: u64,
    /// After what time it ends.
    seconds: u64,
}

#[derive(Serialize)]
struct Dropped {
    count: u64,
}

#[derive(Serialize)]
struct Ended {
    reason: &'static str,
}

/// A frame as it is told. Bytes are in hexadecimal.
#[derive(Serialize)]
struct Told {
    number: u64,
    at_ms: i64,
    direction: &'static str,
    head: String,
    fin: bool,
    rsv1: bool,
    rsv2: bool,
    rsv3: bool,
    opcode: u8,
    name: &'static str,
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<String>,
    length: u64,
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<&'static str>,
}

#[derive(Serialize)]
struct Close {
    code: u16,
    reason: String,
}

impl Told {
    fn new(number: u64, at_ms: i64, frame: &Frame) -> Self {
        let [rsv1, rsv2, rsv3] = frame.reserved;
        let opcode = OpCode::new(frame.opcode);
        let close = frame.payload.split_first_chunk().filter(|_| opcode == Some(OpCode::Close));
        Self {
            number,
            at_ms,
            direction: if frame.direction == Direction::Sent { "sent" } else { "received" },
            head: hex(&frame.head),
            fin: frame.fin,
            rsv1,
            rsv2,
            rsv3,
            opcode: frame.opcode,
            name: match opcode {
                Some(OpCode::Continuation) => "continuation",
                Some(OpCode::Text) => "text",
                Some(OpCode::Binary) => "binary",
                Some(OpCode::Close) => "close",
                Some(OpCode::Ping) => "ping",
                Some(OpCode::Pong) => "pong",
                None => "reserved",
            },
            masked: frame.mask.is_some(),
            mask: frame.mask.map(|mask| hex(&mask)),
            length: frame.len,
            payload: hex(&frame.payload),
            close: close.map(|(code, reason)| Close {
                code: u16::from_be_bytes(*code),
                reason: String::from_utf8_lossy(reason).into_owned(),
            }),
            violation: frame.violation.map(|violation| violation.as_str()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn frame(opcode: u8, payload: &[u8]) -> Frame {
        Frame {
            direction: Direction::Received,
            head: vec![0x80 | opcode, 0x80 | payload.len() as u8, 1, 2, 3, 4],
            fin: true,
            reserved: [false; 3],
            opcode,
            mask: Some([1, 2, 3, 4]),
            len: payload.len() as u64,
            payload: payload.to_vec(),
            violation: None,
        }
    }

    /// The events of a piece.
    fn events(piece: &[u8]) -> Vec<(String, Value)> {
        let text = std::str::from_utf8(piece).unwrap();
        let parts = |block: &str| {
            let (kind, data) = block.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((kind.to_owned(), serde_json::from_str(data).unwrap()))
        };
        text.split_terminator("\n\n").filter_map(parts).collect()
    }

    /// Who looks, and what the loop would tell with.
    fn watching() -> (Watching, impl FnMut(Shown)) {
        let (frames, queue) = mpsc::channel(FRAMES);
        let count = Arc::new(AtomicU64::new(0));
        let note = note(oneshot::channel().0, frames, count.clone());
        (Watching { queue, count, told: 0, _held: None }, note)
    }

    #[test]
    fn a_frame_is_told_with_everything_that_is_in_its_header() {
        let told = serde_json::to_value(Told::new(7, 9, &frame(8, b"\x03\xe8bye"))).unwrap();
        let expected = json!({
            "number": 7, "at_ms": 9, "direction": "received", "head": "888501020304", "fin": true,
            "rsv1": false, "rsv2": false, "rsv3": false, "opcode": 8, "name": "close", "masked": true,
            "mask": "01020304", "length": 5, "payload": "03e8627965", "close": {"code": 1000, "reason": "bye"},
        });
        assert_eq!(told, expected);
        let odd = Frame { violation: Some(tautline_proto::Violation::ReservedOpCode), ..frame(3, b"") };
        let told = serde_json::to_value(Told::new(1, 1, &odd)).unwrap();
        assert_eq!((&told["name"], &told["violation"]), (&json!("reserved"), &json!("reserved opcode (RFC 6455 5.2)")));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_is_told_how_much_is_missing() {
        let (watching, mut note) = watching();
        for _ in 0..FRAMES + 100 {
            note(Shown::Frame(frame(1, b"x")));
        }
        let (pieces, mut body) = mpsc::channel(WAITING);
        let telling = tokio::spawn(tell(watching, pieces, Caller::default()));
        let mut told = Vec::new();
        while told.len() <= FRAMES {
            told.extend(events(&body.recv().await.unwrap()));
        }
        note(Shown::Frame(frame(1, b"y")));
        drop(note);
        while let Some(piece) = body.recv().await {
            told.extend(events(&piece));
        }
        telling.await.unwrap();
        assert_eq!(told[0], ("begun".to_owned(), json!({"frames": MOST, "seconds": 600})));
        assert_eq!(told[FRAMES].1["number"], FRAMES);
        assert_eq!(told[FRAMES + 1], ("dropped".to_owned(), json!({"count": 100})));
        assert_eq!(told[FRAMES + 2].1["payload"], "79");
        assert_eq!((told[FRAMES + 3].0.as_str(), told.len()), ("ended", FRAMES + 4));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself_after_some_time_and_says_meanwhile_that_it_is_there() {
        let (watching, note) = watching();
        let (pieces, mut body) = mpsc::channel(WAITING);
        let began = Instant::now();
        tokio::spawn(tell(watching, pieces, Caller::default()));
        let mut told = Vec::new();
        while let Some(piece) = body.recv().await {
            told.push(String::from_utf8(piece.to_vec()).unwrap());
        }
        assert_eq!(began.elapsed(), LASTING);
        assert!(told[1..40].iter().all(|piece| piece.starts_with(": still here")), "{told:?}");
        assert!(told.last().unwrap().contains("10 minutes"), "{told:?}");
        drop(note);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself_after_many_frames() {
        let (watching, mut note) = watching();
        let (pieces, mut body) = mpsc::channel(WAITING);
        tokio::spawn(tell(watching, pieces, Caller::default()));
        let mut told = Vec::new();
        while let Some(piece) = body.recv().await {
            told.extend(events(&piece));
            for _ in 0..50 {
                note(Shown::Frame(frame(2, b"x")));
            }
        }
        assert_eq!(told.last().unwrap().1["reason"], "it has been 10,000 frames");
        assert!(told.len() as u64 <= MOST + 50);
    }
}
