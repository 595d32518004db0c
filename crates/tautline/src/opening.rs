//! The client's opening handshake over a stream that is there.

use std::io;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, DATE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::Status;
use tautline_proto::Instant;
use tautline_proto::handshake::client::{Error, Handshake, Progress, Request, Response, Violation};
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::handshake::{Limits, WriteError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{ConnectError, Refused};
use crate::stream::Stream;

/// What a server answered.
pub(crate) enum Answer {
    /// The connection is open.
    Open {
        subprotocol: Option<String>,
        deflate: Option<Parameters>,
        /// The first bytes of the first frames.
        leftover: Vec<u8>,
    },
    /// There will be no connection. The refusal has no body yet; these are its first bytes.
    Refused(Box<Refused>, Vec<u8>),
}

/// The request as it goes over the wire.
pub(crate) fn encode(request: &Request<'_>) -> Result<Vec<u8>, WriteError> {
    let mut bytes = vec![0; 512];
    loop {
        match request.write(&mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                return Ok(bytes);
            }
            Err(WriteError::BufferTooSmall { needed }) => bytes.resize(needed, 0),
            Err(error) => return Err(error),
        }
    }
}

/// Sends the request and reads the head of the answer.
pub(crate) async fn exchange(
    stream: &mut Stream,
    request: &Request<'_>,
    encoded: &[u8],
    limits: &Limits,
) -> Result<Answer, ConnectError> {
    // In one write, which small servers take for granted.
    stream.write_all(encoded).await.map_err(ConnectError::Io)?;
    stream.flush().await.map_err(ConnectError::Io)?;

    // The core's clock stands still: the caller's deadline covers more than this exchange.
    const NOW: Instant = Instant::ZERO;
    let mut handshake = Handshake::new(NOW, request, limits);
    let mut received = Vec::new();
    loop {
        match handshake.receive(NOW, &received) {
            Progress::Incomplete => {}
            Progress::Complete(response) => {
                let subprotocol = response.subprotocol().map(str::to_owned);
                let deflate = response.deflate();
                let head_len = response.head_len();
                return Ok(Answer::Open { subprotocol, deflate, leftover: received.split_off(head_len) });
            }
            Progress::Refused(response) => {
                let refusal = Box::new(refusal(&response));
                let head_len = response.head_len();
                return Ok(Answer::Refused(refusal, received.split_off(head_len)));
            }
            Progress::Failed(error) => {
                let Error::Violation(violation) = error else { unreachable!("the core's clock stands still") };
                return Err(ConnectError::Handshake(violation));
            }
        }
        received.reserve(1024);
        match stream.read_buf(&mut received).await {
            Ok(0) if received.is_empty() => {
                let problem = "it closed the connection without an answer";
                return Err(ConnectError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, problem)));
            }
            Ok(0) => return Err(ConnectError::Handshake(Violation::Malformed)),
            Ok(_) => {}
            Err(error) => return Err(ConnectError::Io(error)),
        }
    }
}

/// Reads as much of a refusal's body as is kept. Whatever has come when the future is dropped stays in `body`.
pub(crate) async fn read_body(stream: &mut Stream, refusal: &Refused, body: &mut Vec<u8>) {
    /// The framing of a chunked body comes on top.
    const MOST: usize = 2 * Refused::MAX_BODY;
    while body.len() < MOST && !is_complete(&refusal.headers, body) {
        body.reserve(1024);
        if !matches!(stream.read_buf(body).await, Ok(1..)) {
            return;
        }
    }
}

/// The text of a body, as far as it was read.
pub(crate) fn body_text(refusal: &Refused, body: &[u8]) -> String {
    let decoded;
    let body = if is_chunked(&refusal.headers) {
        decoded = decode_chunks(body).0;
        &decoded
    } else {
        let len = content_length(&refusal.headers).unwrap_or(usize::MAX);
        body.get(..len).unwrap_or(body)
    };
    String::from_utf8_lossy(body.get(..Refused::MAX_BODY).unwrap_or(body)).into_owned()
}

fn refusal(response: &Response<'_>) -> Refused {
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let status = StatusCode::from_u16(response.status()).expect("the core takes three digits, the first of them not 0");
    let seconds = response.retry_after().map(|seconds| Duration::from_secs(seconds.into()));
    let retry_after = seconds.or_else(|| retry_date(&headers));
    Refused { status, headers, retry_after, body: String::new() }
}

/// Retry-After as a date (RFC 9110 section 10.2.3), counted by the server's own clock where it tells us.
fn retry_date(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let at = date(RETRY_AFTER)?;
    let now = date(DATE).unwrap_or_else(SystemTime::now);
    Some(at.duration_since(now).unwrap_or_default())
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    last.and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_end().to_ascii_lowercase().ends_with("chunked"))
}

fn is_complete(headers: &HeaderMap, body: &[u8]) -> bool {
    if is_chunked(headers) {
        let (decoded, last) = decode_chunks(body);
        return last || decoded.len() >= Refused::MAX_BODY;
    }
    body.len() >= content_length(headers).unwrap_or(usize::MAX).min(Refused::MAX_BODY)
}

/// As much as can be read of a chunked body, and whether the last chunk is there (RFC 9112 section 7.1).
fn decode_chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Ok(Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
        if size == 0 {
            return (body, true);
        }
        let end = start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        body.extend_from_slice(rest.get(start..end).or(rest.get(start..)).unwrap_or_default());
        rest = rest.get(end.saturating_add(2)..).unwrap_or_default();
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn rfc9110_s10_2_3_retry_after_may_be_a_date_by_the_servers_clock() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let wait = |later| retry_date(&headers(&[("date", date), ("retry-after", later)]));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_date(&headers(&[("retry-after", date)])), Some(Duration::ZERO));
        assert_eq!(retry_date(&headers(&[])), None);
    }

    #[test]
    fn rfc9112_s7_1_chunks_are_joined_as_far_as_they_came() {
        let whole = b"4;x=y\r\nfull\r\n3\r\n up\r\n0\r\n\r\n";
        assert_eq!(decode_chunks(whole), (b"full up".to_vec(), true));
        for cut in 0..whole.len() {
            let (body, _) = decode_chunks(&whole[..cut]);
            assert!(b"full up".starts_with(&body), "cut at {cut}");
        }
        assert_eq!(decode_chunks(b"ffffffffffffffff\r\nab"), (b"ab".to_vec(), false));
        assert_eq!(decode_chunks(b"no chunk"), (Vec::new(), false));
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        let headers = headers(&[("content-length", "3")]);
        assert!(!is_complete(&headers, b"ab"));
        assert!(is_complete(&headers, b"abc"));
        let refusal = Refused { status: StatusCode::OK, headers, retry_after: None, body: String::new() };
        assert_eq!(body_text(&refusal, b"abcdef"), "abc");
        assert_eq!(body_text(&refusal, b"a\xff"), "a\u{fffd}");
    }
}
