//! Which server, what is asked for, and how long things may take.

use core::fmt;
use core::time::Duration;

use tautline_proto::handshake::Limits;
use tautline_proto::{Backoff, Config};

/// What stands for the client's id in [`Settings::path`].
pub(crate) const CLIENT_ID: &str = "{client_id}";

/// What a client asks for, and its limits. The setters are `const` and panic on values out of bounds.
///
/// ```
/// use core::time::Duration;
/// use tautline_device::Settings;
///
/// static SETTINGS: Settings<'static> = Settings::new("192.168.1.10", 8000).path("/rooms/lab/{client_id}").client_id("esp32-1");
/// ```
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) secure: bool,
    pub(crate) path: &'a str,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) subprotocols: &'a [&'a str],
    pub(crate) origin: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) connect_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) backoff: Backoff,
}

impl<'a> Settings<'a> {
    /// A link to `host`, a name or an address, at `port`: without encryption, with the path `/{client_id}`, under a random client id.
    pub const fn new(host: &'a str, port: u16) -> Self {
        Self {
            host,
            port,
            secure: false,
            path: "/{client_id}",
            client_id: None,
            subprotocols: &[],
            origin: None,
            authorization: None,
            user_agent: None,
            headers: &[],
            config: Config::new().close_timeout(Duration::from_secs(3)),
            limits: Limits::DEFAULT,
            connect_timeout: Duration::from_secs(15),
            send_timeout: Duration::from_secs(10),
            backoff: Backoff::DEFAULT,
        }
    }

    /// Whether the connector does TLS (`wss`). It only decides which port goes without saying in the request. Default: no.
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Path and query, percent-encoded. Where `{client_id}` stands the client's id will. Default: `/{client_id}`.
    pub const fn path(mut self, path: &'a str) -> Self {
        self.path = path;
        self
    }

    /// The client's id; it is percent-encoded where it is needed. By default 16 random hexadecimal digits, drawn once and kept over
    /// reconnects.
    pub const fn client_id(mut self, id: &'a str) -> Self {
        self.client_id = Some(id);
        self
    }

    /// Subprotocols to offer, the preferred one first. Default: none.
    pub const fn subprotocols(mut self, subprotocols: &'a [&'a str]) -> Self {
        self.subprotocols = subprotocols;
        self
    }

    /// The value of Origin. Default: none.
    pub const fn origin(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The whole value of Authorization, such as `Bearer ...`. Default: none.
    pub const fn authorization(mut self, value: &'a str) -> Self {
        self.authorization = Some(value);
        self
    }

    /// The value of User-Agent. Default: none.
    pub const fn user_agent(mut self, value: &'a str) -> Self {
        self.user_agent = Some(value);
        self
    }

    /// Further headers of the request. Default: none.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Ping interval, pong timeout, close timeout, and how large messages may be. They cost no memory: large ones arrive in pieces.
    /// Default: the core's, with 3 s for closing.
    pub const fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Limits of the opening handshake; the server's answer also has to fit into the receive buffer. Default: the core's (10 s).
    pub const fn handshake(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long connecting may take, with lookup of the name and TLS. Default 15 s; 1 ms to an hour.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        check(timeout);
        self.connect_timeout = timeout;
        self
    }

    /// How long the transport may take nothing at all of what is to be sent before the connection is given up. Default 10 s; 1 ms to an hour.
    pub const fn send_timeout(mut self, timeout: Duration) -> Self {
        check(timeout);
        self.send_timeout = timeout;
        self
    }

    /// How long to wait between attempts. Default: [`Backoff::DEFAULT`].
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

impl fmt::Debug for Settings<'_> {
    /// Without the query and the headers, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("secure", &self.secure)
            .field("path", &self.path.split('?').next())
            .field("client_id", &self.client_id)
            .field("subprotocols", &self.subprotocols)
            .finish_non_exhaustive()
    }
}

pub(crate) const fn check(timeout: Duration) {
    assert!(timeout.as_millis() >= 1, "a timeout needs at least 1 ms");
    assert!(timeout.as_secs() <= 3600, "a timeout takes at most an hour");
}
