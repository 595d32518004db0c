//! Who may do what by HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::http::problem::{Kind, Problem};

/// Decides who may do what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    insecure: bool,
}

/// What somebody may do. Each is of its own: one does not contain another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// See rooms, their members and messages, counters and events.
    Read,
    /// Publish in rooms and change counters.
    Publish,
    /// Have devices do something.
    Command,
    /// See and change everything else.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The proven name; `None` if there is none.
    pub(crate) name: Option<Arc<str>>,
}

impl Access {
    /// With `insecure` everybody may do everything.
    pub(crate) fn new(insecure: bool) -> Self {
        Self { insecure }
    }

    /// Whether the sender of a request may do something: whoever is on this machine may.
    ///
    /// # Errors
    ///
    /// The answer that says why not.
    pub(crate) fn check(&self, parts: &Parts, right: Right) -> Result<Caller, Problem> {
        let peer = parts.extensions.get::<SocketAddr>();
        // An IPv4 address arrives as an IPv6 one at a listener for both.
        let is_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        if is_here || self.insecure {
            return Ok(Caller { name: None });
        }
        tracing::info!(peer = peer.map(tracing::field::display), ?right, "API request refused");
        let detail = "refused: no authentication is set up, so only this machine itself may use the API (to let everybody use \
                      it, start with --insecure)";
        Err(Problem::new(Kind::Refused, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: &Access, peer: Option<&str>) -> Result<Caller, Kind> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.extensions.extend(
            peer.map(|peer| {
                let mut extensions = http::Extensions::new();
                extensions.insert(peer.parse::<SocketAddr>().unwrap());
                extensions
            })
            .unwrap_or_default(),
        );
        access.check(&parts, Right::Publish).map_err(|problem| problem.kind())
    }

    #[test]
    fn only_this_machine_may_use_the_api() {
        let access = Access::default();
        for here in ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(check(&access, Some(here)), Ok(Caller { name: None }), "{here}");
        }
        for elsewhere in ["192.168.1.5:9", "[fe80::1]:9", "[::ffff:192.168.1.5]:9"] {
            assert_eq!(check(&access, Some(elsewhere)), Err(Kind::Refused), "{elsewhere}");
        }
        assert_eq!(check(&access, None), Err(Kind::Refused));
    }

    #[test]
    fn with_insecure_everybody_may() {
        assert_eq!(check(&Access::new(true), Some("192.168.1.5:9")), Ok(Caller { name: None }));
    }
}
