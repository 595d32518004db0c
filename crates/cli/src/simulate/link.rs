//! Connections that readings are handed in over: HTTP, and WebSocket.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tautline::WebSocket;
use tokio::net::TcpStream;

use super::poster::Reading;

/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How a device hands in its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    WebSocket,
}

/// Where readings are handed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) way: Way,
    pub(super) hub: SocketAddr,
    /// As the hub is called.
    pub(super) host: &'a str,
}

/// A connection.
pub(super) enum Link {
    Http { connection: SendRequest<Full<Bytes>>, host: String, path: String },
    WebSocket(Box<WebSocket>),
}

/// What became of readings.
#[derive(Debug)]
pub(super) enum Outcome {
    Stored,
    /// They never will be, and why.
    Refused(String),
    /// Perhaps later, and why not now.
    Later(String),
}

impl Link {
    /// Connects; `None` if that fails.
    pub(super) async fn open(place: Place<'_>, device: &str) -> Option<Self> {
        let Place { way, hub, host } = place;
        let device = utf8_percent_encode(device, NON_ALPHANUMERIC);
        match way {
            Way::Http => {
                let stream = TcpStream::connect(hub).await.ok()?;
                stream.set_nodelay(true).ok()?;
                let (connection, driver) = handshake(TokioIo::new(stream)).await.ok()?;
                // It ends when the connection does.
                tokio::spawn(driver);
                Some(Self::Http { connection, host: host.to_owned(), path: format!("/api/devices/{device}/readings") })
            }
            Way::WebSocket => {
                let ws = tautline::connect(format!("ws://{hub}/readings/{device}")).await.ok()?;
                Some(Self::WebSocket(Box::new(ws)))
            }
        }
    }

    /// Whether it is known to have ended.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Http { connection, .. } => connection.is_closed(),
            Self::WebSocket(ws) => ws.ended().is_some(),
        }
    }

    /// Hands readings in, and waits for the answer; `None` if there is none.
    pub(super) async fn hand_in(&mut self, batch: &[Reading]) -> Option<Outcome> {
        match self {
            Self::Http { connection, host, path } => {
                connection.ready().await.ok()?;
                let request = Request::post(path.as_str())
                    .header(header::HOST, host.as_str())
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(simple(batch).into()))
                    .ok()?;
                let answer = connection.send_request(request).await.ok()?;
                let status = answer.status();
                let text = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await.ok()?.to_bytes();
                Some(of_status(status, &text))
            }
            Self::WebSocket(ws) => {
                ws.send(senml(batch)).await.ok()?;
                let answer = ws.recv().await?;
                Some(of_answer(&serde_json::from_str(answer.as_text()?).ok()?))
            }
        }
    }
}

/// The simple form.
fn simple(batch: &[Reading]) -> String {
    let one = |Reading { at_ms, values }: &Reading| json!({ "at_ms": at_ms, "readings": values });
    batch.iter().map(one).collect::<Value>().to_string()
}

/// SenML (RFC 8428).
fn senml(batch: &[Reading]) -> String {
    let of = |Reading { at_ms, values }: &Reading| {
        let seconds = *at_ms as f64 / 1000.0;
        let record = move |(name, value): (&String, &Value)| {
            let label = match value {
                Value::Bool(_) => "vb",
                Value::String(_) => "vs",
                _ => "v",
            };
            json!({ "n": name, "t": seconds, label: value })
        };
        values.iter().map(record).collect::<Vec<_>>()
    };
    batch.iter().flat_map(of).collect::<Value>().to_string()
}

fn of_status(status: StatusCode, body: &[u8]) -> Outcome {
    if status.is_success() {
        return Outcome::Stored;
    }
    // What a problem (RFC 9457) says, in one line.
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    let passes =
        status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if passes { Outcome::Later(status.to_string()) } else { Outcome::Refused(format!("{status}: {detail}")) }
}

fn of_answer(answer: &Value) -> Outcome {
    match answer["error"].as_str() {
        None => Outcome::Stored,
        Some(error @ ("busy" | "not-stored" | "full")) => Outcome::Later(error.to_owned()),
        Some(error) => Outcome::Refused(format!("{error}: {}", answer["detail"].as_str().unwrap_or_default())),
    }
}
