//! The server of a chip, on this machine: a page with a lamp, JSON by POST, and WebSockets, for three clients at most.
//!
//! ```text
//! cargo run --example small_server                      then open http://127.0.0.1:8080/ in two windows
//! cargo run --example small_server -- 8443 CERT KEY     the same with TLS; the files are PEM
//! ```
//!
//! Takes the place of the libwebsockets servers of an SDK: it echoes at every path but `/lamp`, and answers every POST. What is
//! above `main` runs on a microcontroller as it is. To be reached from other machines: `-- '[::]:8080'`, for IPv6 and IPv4.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tautline::rustls::ServerConfig;
use tautline::rustls::crypto::ring;
use tautline::rustls::pki_types::pem::PemObject;
use tautline::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tautline_device_server::host::{Listener, TokioClock};
use tautline_device_server::{
    Asset, ClientId, Gather, Gathered, Handler, Io, Method, Outcome, Request, Respond, Responded, Server, Settings,
};
use tautline_proto::Data;
use tautline_proto::app::{Message, Opening, Slow};

const CLIENTS: usize = 3;

/// Bytes of a request's head, and of what may wait for a client.
const BUFFER: usize = 2048;

static SETTINGS: Settings = Settings::new().subprotocols(&["echo_server"]);

static PAGES: [Asset; 1] = [Asset::new("/", "text/html; charset=utf-8", include_bytes!("pages/lamp.html"))
    .tagged(concat!("\"", env!("CARGO_PKG_VERSION"), "\""))];

const RECEIVED: &str = r#"{"status": "success", "message": "Received your request."}"#;

#[derive(Default)]
struct Lamp {
    on: bool,
    /// For each place: whether its client watches the lamp, and what it is saying.
    watches: [bool; CLIENTS],
    input: [Gather<64>; CLIENTS],
    posts_to_lamp: [bool; CLIENTS],
}

impl Lamp {
    fn switch(&mut self, io: &mut dyn Io, on: bool) {
        self.on = on;
        let watches = self.watches;
        io.publish(&mut |client| watches[client.slot()], Message::Text(self.state()), Slow::KeepLatest);
    }

    fn state(&self) -> &'static str {
        if self.on { "on" } else { "off" }
    }
}

impl Handler for Lamp {
    fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        let slot = request.client().slot();
        self.input[slot].clear();
        self.posts_to_lamp[slot] = request.path() == "/lamp";
        match (request.method(), request.path()) {
            (Method::Post, "/lamp") => Outcome::Json { limit: 64 },
            (Method::Post, _) => Outcome::Body { limit: 64 * 1024 },
            (_, "/lamp") => respond.json(200, self.on).into(),
            (_, path) => match Asset::find(&PAGES, path) {
                Some(page) => respond.asset(page).into(),
                None => respond.not_found().into(),
            },
        }
    }

    fn body(&mut self, _: &mut dyn Io, client: ClientId, piece: &[u8]) {
        self.input[client.slot()].push(piece);
    }

    fn complete(&mut self, io: &mut dyn Io, client: ClientId, respond: Respond<'_>) -> Responded {
        match self.input[client.slot()].bytes() {
            _ if !self.posts_to_lamp[client.slot()] => return respond.json(200, RECEIVED),
            Some(b"true") => self.switch(io, true),
            Some(b"false") => self.switch(io, false),
            _ => return respond.error(422),
        }
        respond.json(200, self.on)
    }

    fn open(&mut self, io: &mut dyn Io, client: ClientId, opening: &Opening<'_>) {
        self.watches[client.slot()] = opening.path == "/lamp";
        if opening.path == "/lamp" {
            let _ = io.send(client, Message::Text(self.state())); // there is room for the first message
        }
    }

    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        if !self.watches[client.slot()] {
            // Piece by piece, so that messages may be larger than our memory. What comes always fits back.
            let _ = io.send_part(client, data.part(), data.bytes());
            return;
        }
        match self.input[client.slot()].message(data) {
            Gathered::Whole(Message::Text("on")) => self.switch(io, true),
            Gathered::Whole(Message::Text("off")) => self.switch(io, false),
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let address = arguments.first().map_or("8080", String::as_str);
    let address: SocketAddr = match address.parse::<u16>() {
        Ok(port) => ([127, 0, 0, 1], port).into(),
        Err(_) => address.parse().context("a port, or an address with a port")?,
    };
    let mut listener = Listener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    if let [_, cert, key] = &arguments[..] {
        listener = listener.tls(tls(cert, key)?);
    }
    println!("listening {}", listener.local_addr()?.port());

    let server = Server::<_, _, CLIENTS, BUFFER, BUFFER>::new(&SETTINGS, Lamp::default(), TokioClock::new());
    let ctrl_c = async {
        tokio::signal::ctrl_c().await.expect("signals work");
        server.stop();
    };
    // One acceptor more than clients: it tells those who find no place.
    tokio::join!(server.serve(listener.acceptors::<{ CLIENTS + 1 }>()), ctrl_c);
    Ok(())
}

fn tls(cert: &str, key: &str) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(Arc::new(config))
}
