//! Who clients prove to be, and ending their sessions when that does not hold any longer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use rustls::ServerConnection;
use tautline::{CloseCode, PeerCertificates, Refusal, Request};
use tautline_identity::client_name;
use tokio::sync::watch;

use crate::site::Site;
use crate::tokens::{CHALLENGE, Denied, Token, Tokens};

/// Which clients with certificates may come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// `None`: all whose certificates are trusted.
    pub(crate) allowed: Option<Arc<BTreeSet<String>>>,
    /// Who knows which certificates are revoked: a TLS session may be older than that.
    pub(crate) sessions: Sessions,
    /// What clients without certificates may show.
    pub(crate) tokens: Tokens,
    /// Whether a client has to show something.
    pub(crate) authentication_required: bool,
}

/// Who a client has proven to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// The name in its certificate, or that of its token.
    pub(crate) name: Option<String>,
    /// It restricts what the client may do, whatever else it has shown.
    pub(crate) token: Option<Arc<Token>>,
}

impl Clients {
    /// Who a client is.
    pub(crate) fn identify(&self, request: &Request) -> Result<Identity, Refusal> {
        let token = self.tokens.of_request(request.headers(), request.query()).map_err(refusal)?;
        let leaf = request.extensions().get().and_then(|PeerCertificates(chain)| chain.first());
        let name = leaf.map(|leaf| self.certified(leaf)).transpose()?;
        if name.is_none() && token.is_none() && self.authentication_required {
            let reason = "clients have to show a certificate or an access token here";
            return Err(Refusal::new(401, reason).header("WWW-Authenticate", CHALLENGE));
        }
        let name = name.or_else(|| token.as_ref().map(|token| token.name().to_owned()));
        Ok(Identity { name, token })
    }

    /// The name in a client's own certificate (in DER), which TLS has found to be trusted.
    ///
    /// # Errors
    ///
    /// It may not come in with it.
    pub(crate) fn certified(&self, leaf: &[u8]) -> Result<String, Refusal> {
        if self.sessions.is_revoked(leaf) {
            return Err(Refusal::new(403, "the client's certificate is revoked"));
        }
        let name = client_name(leaf).map_err(|error| Refusal::new(403, error.to_string()))?;
        match &self.allowed {
            Some(allowed) if !allowed.contains(&name) => {
                let reason = format!("the client certificate of {name:?} is not among those that may connect");
                Err(Refusal::new(403, reason))
            }
            _ => Ok(name),
        }
    }
}

/// A token that is not accepted, by WebSocket.
pub(crate) fn refusal(denied: Denied) -> Refusal {
    let refusal = Refusal::new(denied.status(), denied.to_string());
    if denied.status() == 401 { refusal.header("WWW-Authenticate", CHALLENGE) } else { refusal }
}

/// The TLS sessions of a running hub, for ending those whose certificate is not good any longer: give it to
/// [`Hub::sessions`](crate::Hub::sessions), and keep a clone.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    site: OnceLock<Weak<Site>>,
    revoked: RwLock<Option<Arc<IsRevoked>>>,
    /// There is news of who is revoked.
    news: watch::Sender<()>,
}

type IsRevoked = dyn Fn(&[u8]) -> bool + Send + Sync;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Of a hub that is not running yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&self, site: &Arc<Site>) {
        // A second hub with the same handle is not reached by it.
        let _ = self.0.site.set(Arc::downgrade(site));
    }

    fn is_revoked(&self, leaf: &[u8]) -> bool {
        let revoked = self.0.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.as_ref().is_some_and(|is_revoked| is_revoked(leaf))
    }

    /// Waits until a certificate is revoked. Cancel safe.
    pub(crate) async fn revoked(&self, leaf: &[u8]) {
        let mut news = self.0.news.subscribe();
        while !self.is_revoked(leaf) {
            // The sender is this one's own.
            let _ = news.changed().await;
        }
    }

    /// Closes the connections of the clients whose own certificate (in DER) is revoked, WebSockets with 1008, and opens no more for
    /// them, also where a TLS session is older. `is_revoked` is called by the event loops and must not block.
    pub fn end_revoked(&self, is_revoked: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        let is_revoked: Arc<IsRevoked> = Arc::new(is_revoked);
        *self.0.revoked.write().unwrap_or_else(PoisonError::into_inner) = Some(is_revoked.clone());
        self.0.news.send_replace(());
        let Some(site) = self.0.site.get().and_then(Weak::upgrade) else { return };
        let which = move |session: &ServerConnection| {
            session.peer_certificates().and_then(<[_]>::first).is_some_and(|leaf| is_revoked(leaf))
        };
        site.close_sessions(which, CloseCode::POLICY_VIOLATION, "the client's certificate is revoked");
    }
}
