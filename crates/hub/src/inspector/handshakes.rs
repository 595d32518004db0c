//! The heads of the last handshakes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Version};
use serde::Serialize;
use tautline::{PeerCertificates, TlsSession};
use tautline_identity::client_name;
use utoipa::ToSchema;

use super::{redact, tls_names};
use crate::rooms::now_ms;

/// How many handshakes are kept.
const KEPT: usize = 64;

/// How many bytes of them are kept, each string counted with some overhead.
const KEPT_BYTES: usize = 256 * 1024;

/// The longest value that is kept in full, in bytes.
const LONGEST: usize = 1024;

/// A request for a WebSocket, and its answer. Secrets are redacted, and long values cut.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Handshake {
    /// When it was answered, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The client's address.
    #[schema(value_type = String)]
    pub(crate) peer: SocketAddr,
    /// `GET`, if all is well.
    method: String,
    /// What it asks for: path and query.
    target: String,
    /// `HTTP/1.1`, if all is well.
    version: &'static str,
    /// The request's headers.
    headers: Vec<Header>,
    /// What was answered: 101 opens the connection.
    status: u16,
    /// The answer's headers, without `Date` and those of its body.
    answer: Vec<Header>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refused: Option<String>,
    /// How it was encrypted, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tls: Option<Tls>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tls {
    #[schema(example = "TLS 1.3")]
    version: String,
    #[schema(example = "TLS_AES_256_GCM_SHA384")]
    cipher: String,
    /// The name in the client's certificate, if it showed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client: Option<String>,
}

impl Handshake {
    pub(super) fn new(handshake: &tautline::Handshake<'_>) -> Self {
        let tautline::Handshake { request, peer, status, headers, refused, .. } = *handshake;
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        let leaf = request.extensions.get().and_then(|PeerCertificates(chain)| chain.first());
        Self {
            at_ms: u64::try_from(now_ms()).unwrap_or_default(),
            // As everywhere else: an IPv4 address arrives as an IPv6 one at a listener for both.
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            method: cut(request.method.as_str().to_owned()),
            target: cut(redact::target(target)),
            version: match request.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_11 => "HTTP/1.1",
                _ => "another version",
            },
            headers: list(&request.headers),
            status: status.as_u16(),
            answer: list(headers),
            refused: refused.map(|reason| cut(reason.to_owned())),
            tls: request.extensions.get::<TlsSession>().map(|session| {
                let (version, cipher) = tls_names(session.version, session.cipher);
                Tls { version, cipher, client: leaf.and_then(|leaf| client_name(leaf).ok()) }
            }),
        }
    }

    /// About how much memory it takes.
    fn weight(&self) -> usize {
        let header = |header: &Header| header.name.len() + header.value.len() + size_of::<Header>();
        let headers: usize = self.headers.iter().chain(&self.answer).map(header).sum();
        size_of::<Self>() + headers + self.target.len() + self.method.len()
    }
}

/// The last handshakes, as many as fit.
#[derive(Debug, Default)]
pub(super) struct Ring {
    handshakes: VecDeque<Arc<Handshake>>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&mut self, handshake: Handshake) {
        self.bytes += handshake.weight();
        self.handshakes.push_back(Arc::new(handshake));
        while self.handshakes.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.handshakes.pop_front() else { return };
            self.bytes -= oldest.weight();
        }
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<Handshake>> {
        self.handshakes.iter().rev().cloned().collect()
    }
}

fn list(headers: &HeaderMap) -> Vec<Header> {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
        value: cut(redact::header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))),
        name: name.as_str().to_owned(),
    };
    headers.iter().map(header).collect()
}

/// Of a long text its beginning, and how long it was.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let len = text.len();
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str(&format!(" … ({len} bytes)"));
    }
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, StatusCode};

    use super::*;

    fn handshake(target: &str, headers: &[(&'static str, &str)]) -> Handshake {
        let (mut request, ()) = Request::builder().uri(target).body(()).unwrap().into_parts();
        for (name, value) in headers {
            request.headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut answer = HeaderMap::new();
        answer.insert("upgrade", HeaderValue::from_static("websocket"));
        let peer = "[::ffff:192.0.2.1]:4242".parse().unwrap();
        let (status, headers) = (StatusCode::SWITCHING_PROTOCOLS, &answer);
        Handshake::new(&tautline::Handshake { request: &request, peer, status, headers, refused: None })
    }

    #[test]
    fn a_handshake_is_kept_without_its_secrets() {
        let kept = handshake(
            "http://hub.test/esp?token=sesame",
            &[("host", "hub.test"), ("cookie", "sesame"), ("authorization", "Bearer sesame")],
        );
        let json = serde_json::to_value(&kept).unwrap();
        assert!(!json.to_string().contains("sesame"), "{json}");
        assert_eq!((&json["target"], &json["peer"]), (&"/esp?token=[redacted]".into(), &"192.0.2.1:4242".into()));
        assert_eq!(json["headers"][0], serde_json::json!({"name": "host", "value": "hub.test"}));
        assert_eq!((&json["status"], &json["answer"][0]["value"]), (&101.into(), &"websocket".into()));
        assert!(json.get("tls").is_none() && json.get("refused").is_none());
    }

    #[test]
    fn the_ring_is_bounded_by_number() {
        let mut ring = Ring::default();
        for number in 0..3 * KEPT {
            ring.push(handshake(&format!("/{number}"), &[]));
        }
        let targets: Vec<_> = ring.newest_first().iter().map(|handshake| handshake.target.clone()).collect();
        assert_eq!((targets.len(), &*targets[0], &*targets[KEPT - 1]), (KEPT, "/191", "/128"));
    }

    #[test]
    fn the_ring_is_bounded_by_bytes_and_values_are_cut() {
        let mut ring = Ring::default();
        let long = "ü".repeat(5_000);
        let headers: Vec<_> = (0..40).map(|_| ("x-long", long.as_str())).collect();
        for _ in 0..KEPT {
            ring.push(handshake("/", &headers));
        }
        assert!(ring.bytes <= KEPT_BYTES && (4..KEPT).contains(&ring.handshakes.len()), "{}", ring.handshakes.len());
        let value = &ring.newest_first()[0].headers[0].value;
        assert!(value.ends_with("ü … (10000 bytes)") && value.len() < 1100, "{value}");
        let sum: usize = ring.handshakes.iter().map(|handshake| handshake.weight()).sum();
        assert_eq!(ring.bytes, sum);
    }
}
