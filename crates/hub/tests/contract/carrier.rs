//! A server's connections on an event loop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tautline::{Carrier, CloseCode, Handover, Refusal, Request};
use tautline_engine::{Admitted, Engine, Host};
use tautline_proto::handshake::server;

/// Carries all connections by one app.
pub(crate) struct OneApp {
    host: Host,
    engine: Mutex<Option<Engine>>,
}

impl OneApp {
    pub(crate) fn new(engine: Engine, host: Host) -> Self {
        Self { host, engine: Mutex::new(Some(engine)) }
    }
}

impl Carrier for OneApp {
    type Admitted = Admitted;

    async fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        let opening = tautline_engine::Request {
            path: request.path().to_owned(),
            query: request.query().map(str::to_owned),
            subprotocol: request.subprotocol().map(str::to_owned),
            peer: Some(request.peer()),
            identity: None,
            attached: None,
            secure: false,
            deflate: request.deflate(),
            profile: Arc::default(),
        };
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.host.admit(opening, |answer| drop(reply.send(answer)));
        answer.await.unwrap().map_err(|rejection| server::Refusal::from(rejection).into())
    }

    fn carry(&self, admitted: Admitted, handover: Handover) {
        let Handover { socket, tls, leftover, .. } = handover;
        admitted.adopt(tautline_engine::Handover { socket, tls, leftover: leftover.into() });
    }

    fn open(&self) -> usize {
        self.engine.lock().unwrap().as_ref().map_or(0, |engine| engine.connections() as usize)
    }

    async fn drain(&self, code: CloseCode, timeout: Duration) {
        let engine = self.engine.lock().unwrap().take().unwrap();
        let dropped = tokio::task::spawn_blocking(move || engine.drain(code, timeout)).await.unwrap().unwrap();
        assert_eq!(dropped, 0);
    }
}
