//! Access tokens: which there are, who shows which, and when one is over.

mod permissions;
mod presented;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use http::HeaderMap;
use tautline_identity::TokenText;
use tautline_rooms::Rights;
use tautline_store::{Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::access::Right;
use crate::rooms::now_ms;
use crate::site::Site;
pub use permissions::Permissions;
pub(crate) use presented::SUBPROTOCOL;
use presented::presented;

/// How often the store is asked for tokens: `tautline token` changes them beside the hub.
const INTERVAL: Duration = Duration::from_secs(1);

/// The tokens that there are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(Arc<RwLock<HashMap<Arc<str>, Arc<Token>>>>);

/// A token. It stays what it is: one that changes becomes another, and this one is over.
#[derive(Debug)]
pub(crate) struct Token {
    kept: tautline_store::Token,
    permissions: Permissions,
    over: watch::Sender<bool>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The request shows several that differ.
    Several,
    Unknown,
    Expired,
    Revoked,
}

impl Denied {
    /// The HTTP status that says so.
    pub(crate) fn status(self) -> u16 {
        if self == Self::Several { 400 } else { 401 }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Several => "the request shows several access tokens that differ",
            Self::Unknown => "the access token is not known here",
            Self::Expired => "the access token has expired",
            Self::Revoked => "the access token is revoked",
        })
    }
}

/// What goes with a 401 (RFC 6750 section 3).
pub(crate) const CHALLENGE: &str = "Bearer realm=\"tautline\"";

impl Token {
    fn new(kept: tautline_store::Token, now: i64) -> Self {
        let permissions = Permissions::from_json(&kept.permissions).unwrap_or_else(|| {
            tracing::error!(token = &*kept.id, "what this token permits is not known here: it permits nothing");
            Permissions::default()
        });
        let over = watch::Sender::new(is_over(&kept, now));
        Self { kept, permissions, over }
    }

    /// It is over. Answers whether it was not before.
    fn end(&self) -> bool {
        !self.over.send_replace(true)
    }

    /// What people call whoever has it.
    pub(crate) fn name(&self) -> &str {
        &self.kept.name
    }

    pub(crate) fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// What a member of a room may do with it.
    pub(crate) fn rights(&self) -> Rights {
        let may = |right| self.permissions.allow(right);
        Rights { publish: may(Right::Publish), subscribe: may(Right::Read) }
    }

    /// Whether a client that has it may speak as a device: what a device says counts in all rooms, so with a token for some of
    /// them only as the one that the token is called after.
    pub(crate) fn permits_device(&self, id: &str) -> bool {
        self.permissions.allow(Right::Publish) && (self.permissions.rooms.is_none() || self.name() == id)
    }

    /// Whether it was revoked, or has expired, when that was looked at last.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&self) {
        // Its sender is this token's own.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// The token that was attached to a connection.
    pub(crate) fn of(attached: Option<&(dyn Any + Send + Sync)>) -> Option<&Self> {
        attached.and_then(|attached| attached.downcast_ref())
    }
}

fn is_over(kept: &tautline_store::Token, now: i64) -> bool {
    kept.revoked_ms.is_some() || kept.expires_ms.is_some_and(|expires| expires <= now)
}

impl Tokens {
    /// The token that a request shows, if it shows one.
    ///
    /// # Errors
    ///
    /// It is not accepted.
    pub(crate) fn of_request(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<Arc<Token>>, Denied> {
        let shown = presented(headers, query).map_err(|_| Denied::Several)?;
        shown.map(|text| self.find(text, now_ms())).transpose()
    }

    fn find(&self, text: &str, now: i64) -> Result<Arc<Token>, Denied> {
        let text = TokenText::parse(text).ok_or(Denied::Unknown)?;
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(text.id()).filter(|token| token.kept.hash == text.hash()).ok_or(Denied::Unknown)?;
        if token.kept.revoked_ms.is_some() {
            return Err(Denied::Revoked);
        }
        if is_over(&token.kept, now) { Err(Denied::Expired) } else { Ok(token.clone()) }
    }

    /// These are the tokens now. Answers whether one is over that was not before.
    pub(crate) fn set(&self, kept: Vec<tautline_store::Token>, now: i64) -> bool {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *tokens);
        let mut ended = false;
        for kept in kept {
            let token = match before.remove(&kept.id) {
                Some(token) if token.kept == kept => {
                    ended |= is_over(&kept, now) && token.end();
                    token
                }
                changed => {
                    ended |= changed.is_some_and(|changed| changed.end());
                    Arc::new(Token::new(kept, now))
                }
            };
            tokens.insert(token.kept.id.clone(), token);
        }
        for gone in before.values() {
            ended |= gone.end();
        }
        ended
    }

    /// Some tokens may have expired meanwhile. Answers whether one has.
    fn expire(&self, now: i64) -> bool {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Each of them, and not only up to the first.
        tokens.values().filter(|token| is_over(&token.kept, now) && token.end()).count() > 0
    }
}

/// Keeps up with the store, and closes the connections of tokens that are over, until the answer is dropped.
pub(crate) fn follow(tokens: Tokens, store: Store, site: Weak<Site>) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            interval.tick().await;
            let store = store.clone();
            let read = tokio::task::spawn_blocking(move || store.read(|reader| reader.tokens()));
            let read = read.await.unwrap_or_else(|error| Err(StoreError::Io(error.to_string())));
            let ended = match read {
                Ok(kept) => {
                    failing = false;
                    tokens.set(kept, now_ms())
                }
                // The hub shuts down.
                Err(StoreError::Closed) => return,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "access tokens cannot be read: those that were known count on");
                    }
                    tokens.expire(now_ms())
                }
            };
            if ended && let Some(site) = site.upgrade() {
                site.close_tokens_that_are_over();
            }
        }
    });
    task
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &TokenText) -> tautline_store::Token {
        tautline_store::Token {
            id: text.id().into(),
            name: "page".into(),
            hash: text.hash(),
            permissions: r#"{"publish":true}"#.into(),
            created_ms: 0,
            expires_ms: Some(100),
            revoked_ms: None,
        }
    }

    #[test]
    fn only_the_whole_token_is_accepted_and_only_in_its_time() {
        let (text, other) = (TokenText::random(), TokenText::random());
        let tokens = Tokens::default();
        assert!(!tokens.set(vec![kept(&text)], 0));
        assert_eq!(tokens.find(text.reveal(), 99).unwrap().name(), "page");
        assert_eq!(tokens.find(text.reveal(), 100).unwrap_err(), Denied::Expired);
        let forged = text.reveal()[..16].to_owned() + &other.reveal()[16..];
        for wrong in ["", "tl_", other.reveal(), &forged, &text.reveal()[1..]] {
            assert_eq!(tokens.find(wrong, 0).unwrap_err(), Denied::Unknown, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_over_once_when_it_is_revoked_or_changed_or_gone_or_expired() {
        let text = TokenText::random();
        let good = kept(&text);
        let revoked = tautline_store::Token { revoked_ms: Some(7), ..good.clone() };
        let changed = tautline_store::Token { permissions: "{}".into(), ..good.clone() };
        for (next, now, denied) in [
            (vec![revoked], 7, Some(Denied::Revoked)),
            (vec![changed], 7, None),
            (vec![], 7, Some(Denied::Unknown)),
            (vec![good.clone()], 100, Some(Denied::Expired)),
        ] {
            let tokens = Tokens::default();
            tokens.set(vec![good.clone()], 0);
            let token = tokens.find(text.reveal(), 0).unwrap();
            assert!(!tokens.set(vec![good.clone()], 1) && !token.is_over(), "nothing has changed");
            assert!(tokens.set(next.clone(), now) && token.is_over(), "{next:?}");
            assert_eq!(tokens.find(text.reveal(), now).err(), denied);
            assert!(!tokens.set(next, now), "that is known");
        }
        let tokens = Tokens::default();
        tokens.set(vec![good], 0);
        assert!(!tokens.expire(99) && tokens.expire(100) && !tokens.expire(101));
    }

    #[test]
    fn permissions_that_are_not_understood_permit_nothing() {
        let text = TokenText::random();
        let tokens = Tokens::default();
        tokens.set(vec![tautline_store::Token { permissions: r#"{"fly":true}"#.into(), ..kept(&text) }], 0);
        let token = tokens.find(text.reveal(), 0).unwrap();
        assert_eq!(token.rights(), Rights { publish: false, subscribe: false });
    }
}
