//! The program that the tests' servers run: pages, a POST of JSON, and WebSockets that are echoed.

use tautline_device_server::{Asset, ClientId, Handler, Io, Method, Outcome, Request, Respond, Responded};
use tautline_proto::app::Opening;
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{Data, Ended};

pub(crate) static PAGES: [Asset; 2] = [
    Asset::new("/", "text/html; charset=utf-8", b"<!doctype html><p>Hello").tagged("\"v1\""),
    Asset::new("/large", "application/octet-stream", &[b'x'; 5000]),
];

/// The most that a POST may have.
pub(crate) const LIMIT: u64 = 64;

/// What it was told, in order.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) told: Vec<String>,
    body: Vec<u8>,
    /// Whether messages are sent back.
    pub(crate) silent: bool,
    pub(crate) drained: usize,
    pub(crate) ids: Vec<ClientId>,
}

impl Handler for Program {
    fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        self.told.push(format!("{:?} {} {:?}", request.method(), request.path(), request.query()));
        self.body.clear();
        match (request.method(), request.path()) {
            (Method::Post, "/json") => Outcome::Json { limit: LIMIT },
            (Method::Post | Method::Put, "/any") => Outcome::Body { limit: LIMIT },
            (_, "/json" | "/any") => respond.not_allowed("POST").into(),
            (Method::Get | Method::Head, "/state") => respond.json(200, r#"{"led": true}"#).into(),
            (Method::Get, "/too/large") => respond.text(200, "x".repeat(2000)).into(),
            (Method::Get, "/moved") => respond.with_headers(&[("Location", "/")]).status(303).into(),
            (Method::Get, "/injected") => respond.with_headers(&[("Location", "/\r\nA: b")]).status(303).into(),
            (Method::Head, "/body") => Outcome::Body { limit: LIMIT },
            (Method::Delete, "/state") => respond.status(204).into(),
            (_, path) => match Asset::find(&PAGES, path) {
                Some(asset) => respond.asset(asset).into(),
                None => respond.not_found().into(),
            },
        }
    }

    fn body(&mut self, _: &mut dyn Io, _: ClientId, piece: &[u8]) {
        self.body.extend_from_slice(piece);
    }

    fn complete(&mut self, _: &mut dyn Io, _: ClientId, respond: Respond<'_>) -> Responded {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        self.told.push(format!("body {body}"));
        respond.json(200, body)
    }

    fn aborted(&mut self, _: &mut dyn Io, _: ClientId) {
        self.told.push("aborted".into());
    }

    fn admit(&mut self, _: &mut dyn Io, _: ClientId, opening: &Opening<'_>) -> Result<(), Rejection> {
        if opening.path == "/forbidden" { Err(Rejection::FORBIDDEN) } else { Ok(()) }
    }

    fn open(&mut self, _: &mut dyn Io, id: ClientId, opening: &Opening<'_>) {
        self.told.push(format!("open {} {:?} {:?}", opening.path, opening.query, opening.subprotocol));
        self.ids.push(id);
    }

    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        if self.silent {
            return;
        }
        io.send_part(client, data.part(), data.bytes()).expect("there is always room for an echo");
    }

    fn drained(&mut self, _: &mut dyn Io, _: ClientId) {
        self.drained += 1;
    }

    fn closed(&mut self, _: &mut dyn Io, _: ClientId, ended: Ended) {
        self.told.push(format!("closed: {ended}"));
    }
}
