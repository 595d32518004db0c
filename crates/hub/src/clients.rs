//! Who clients prove to be, and ending their sessions when that does not hold any longer.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, Weak};

use rustls::ServerConnection;
use tautline::{CloseCode, PeerCertificates, Refusal, Request};
use tautline_identity::client_name;

use crate::site::Site;

/// Which clients with certificates may come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// `None`: all whose certificates are trusted.
    pub(crate) allowed: Option<Arc<BTreeSet<String>>>,
}

impl Clients {
    /// The name in a client's certificate; `None` if it has shown none.
    pub(crate) fn identify(&self, request: &Request) -> Result<Option<String>, Refusal> {
        let Some(PeerCertificates(chain)) = request.extensions().get() else { return Ok(None) };
        let Some(leaf) = chain.first() else { return Ok(None) };
        let name = client_name(leaf).map_err(|error| Refusal::new(403, error.to_string()))?;
        match &self.allowed {
            Some(allowed) if !allowed.contains(&name) => {
                let reason = format!("the client certificate of {name:?} is not among those that may connect");
                Err(Refusal::new(403, reason))
            }
            _ => Ok(Some(name)),
        }
    }
}

/// The TLS sessions of a running hub, for ending those whose certificate is not good any longer: give it to
/// [`Hub::sessions`](crate::Hub::sessions), and keep a clone.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<OnceLock<Weak<Site>>>);

impl Sessions {
    /// Of a hub that is not running yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&self, site: &Arc<Site>) {
        // A second hub with the same handle is not reached by it.
        let _ = self.0.set(Arc::downgrade(site));
    }

    /// Closes the WebSockets of the clients whose own certificate (in DER) is revoked, with 1008. `is_revoked` is called by
    /// the event loops and must not block.
    pub fn end_revoked(&self, is_revoked: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        let Some(site) = self.0.get().and_then(Weak::upgrade) else { return };
        let which = move |session: &ServerConnection| {
            session.peer_certificates().and_then(<[_]>::first).is_some_and(|leaf| is_revoked(leaf))
        };
        site.close_sessions(which, CloseCode::POLICY_VIOLATION, "the client's certificate is revoked");
    }
}
