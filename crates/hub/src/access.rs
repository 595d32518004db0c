//! Who may do what by HTTP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;

use crate::http::problem::{Kind, Problem};
use crate::tokens::{Token, Tokens};

/// Decides who may do what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Everybody may do everything.
    pub(crate) insecure: bool,
    /// Nobody may do anything without a token, also on this machine.
    pub(crate) authentication_required: bool,
    pub(crate) tokens: Tokens,
}

/// What somebody may do. Each is of its own but the last, which contains the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// See rooms, their members and messages, counters and events.
    Read,
    /// Publish in rooms; with `Read` also change counters and documents.
    Publish,
    /// Have devices do something.
    Command,
    /// See and change everything else.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// What it has shown.
    pub(crate) token: Option<Arc<Token>>,
}

impl Caller {
    /// The proven name; `None` if there is none.
    pub(crate) fn name(&self) -> Option<&str> {
        self.token.as_deref().map(Token::name)
    }

    /// Waits until it may not do any longer what it was permitted.
    pub(crate) async fn ended(&self) {
        match &self.token {
            Some(token) => token.ended().await,
            None => std::future::pending().await,
        }
    }
}

impl Access {
    /// Whether the sender of a request may do something: whoever shows a token that permits it, and without one whoever is on
    /// this machine. `rooms` are those that it is about; `None` if it is about more.
    ///
    /// # Errors
    ///
    /// The answer that says why not.
    pub(crate) fn check(&self, parts: &Parts, right: Right, rooms: Option<&[String]>) -> Result<Caller, Problem> {
        let peer = parts.extensions.get::<SocketAddr>();
        self.decide(parts, peer, right, rooms).inspect_err(|problem| {
            tracing::info!(
                peer = peer.map(tracing::field::display),
                ?right,
                reason = problem.detail(),
                "API request refused"
            );
        })
    }

    fn decide(
        &self,
        parts: &Parts,
        peer: Option<&SocketAddr>,
        right: Right,
        rooms: Option<&[String]>,
    ) -> Result<Caller, Problem> {
        let shown = self.tokens.of_request(&parts.headers, parts.uri.query()).map_err(|denied| {
            let kind = if denied.status() == 400 { Kind::BadRequest } else { Kind::Unauthorized };
            Problem::new(kind, denied.to_string())
        })?;
        self.permit(shown, peer.map(SocketAddr::ip), right, rooms)
    }

    /// The same for somebody on this address who has shown this token, or none.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn permit(
        &self,
        shown: Option<Arc<Token>>,
        peer: Option<IpAddr>,
        right: Right,
        rooms: Option<&[String]>,
    ) -> Result<Caller, Problem> {
        if let Some(token) = shown {
            let permissions = token.permissions();
            if !permissions.allow(right) {
                return Err(Problem::new(Kind::Refused, right.missing()));
            }
            if permissions.rooms.is_some()
                && !rooms.is_some_and(|rooms| rooms.iter().all(|room| permissions.include(room)))
            {
                return Err(Problem::new(
                    Kind::Refused,
                    "the access token is for certain rooms, and this is about others or more",
                ));
            }
            return Ok(Caller { token: Some(token) });
        }
        // An IPv4 address arrives as an IPv6 one at a listener for both.
        let is_here = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        if !self.authentication_required && (is_here || self.insecure) {
            return Ok(Caller::default());
        }
        let detail = if self.authentication_required {
            "an access token is needed: `tautline token add` makes one"
        } else {
            "only this machine itself may use the API without an access token: `tautline token add` makes one (to let everybody \
             use the API, start with --insecure)"
        };
        Err(Problem::new(Kind::Unauthorized, detail))
    }
}

impl Right {
    /// What somebody is told who does not have it.
    fn missing(self) -> &'static str {
        match self {
            Self::Read => "the access token does not permit to subscribe, nor to see this",
            Self::Publish => "the access token does not permit to publish, nor to change this",
            Self::Command => "the access token does not permit to give commands",
            Self::Admin => "the access token is not for administration",
        }
    }
}

#[cfg(test)]
mod tests {
    use tautline_identity::TokenText;

    use super::*;

    /// What somebody at `peer` is answered who shows a token, or none; its proven name if it may do what it wants.
    fn check(
        access: &Access,
        peer: Option<&str>,
        token: Option<&TokenText>,
        right: Right,
        rooms: Option<&[&str]>,
    ) -> Result<Option<String>, Kind> {
        let mut request = http::Request::new(());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer.parse::<SocketAddr>().unwrap());
        }
        if let Some(token) = token {
            let bearer = format!("Bearer {}", token.reveal());
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer.parse().unwrap());
        }
        let rooms: Option<Vec<String>> = rooms.map(|rooms| rooms.iter().map(|&room| room.to_owned()).collect());
        let checked = access.check(&request.into_parts().0, right, rooms.as_deref());
        checked.map(|caller| caller.name().map(str::to_owned)).map_err(|problem| problem.kind())
    }

    const FAR: Option<&str> = Some("192.168.1.5:9");
    const NEAR: Option<&str> = Some("127.0.0.1:9");
    const NOBODY: Result<Option<String>, Kind> = Ok(None);

    fn with_token(permissions: &str) -> (Access, TokenText) {
        let text = TokenText::random();
        let access = Access::default();
        let kept = tautline_store::Token {
            id: text.id().into(),
            name: "page".into(),
            hash: text.hash(),
            permissions: permissions.into(),
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
        };
        access.tokens.set(vec![kept], 0);
        (access, text)
    }

    #[test]
    fn without_a_token_only_this_machine_may_use_the_api() {
        let access = Access::default();
        let check = |peer| check(&access, peer, None, Right::Publish, None);
        for here in ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(check(Some(here)), NOBODY, "{here}");
        }
        for elsewhere in ["192.168.1.5:9", "[fe80::1]:9", "[::ffff:192.168.1.5]:9"] {
            assert_eq!(check(Some(elsewhere)), Err(Kind::Unauthorized), "{elsewhere}");
        }
        assert_eq!(check(None), Err(Kind::Unauthorized));
    }

    #[test]
    fn with_insecure_everybody_may() {
        let access = Access { insecure: true, ..Access::default() };
        assert_eq!(check(&access, FAR, None, Right::Publish, None), NOBODY);
    }

    #[test]
    fn where_authentication_is_required_nobody_may_without_a_token() {
        let (mut access, token) = with_token(r#"{"subscribe":true}"#);
        access.authentication_required = true;
        for peer in [NEAR, FAR, None] {
            assert_eq!(check(&access, peer, None, Right::Read, None), Err(Kind::Unauthorized), "{peer:?}");
            assert_eq!(check(&access, peer, Some(&token), Right::Read, None), Ok(Some("page".into())), "{peer:?}");
        }
    }

    #[test]
    fn a_token_is_good_from_anywhere_for_what_it_permits_and_no_more() {
        let (access, token) = with_token(r#"{"subscribe":true,"command":true}"#);
        for peer in [NEAR, FAR] {
            for (right, may) in
                [(Right::Read, true), (Right::Command, true), (Right::Publish, false), (Right::Admin, false)]
            {
                let expected = if may { Ok(Some("page".into())) } else { Err(Kind::Refused) };
                assert_eq!(check(&access, peer, Some(&token), right, None), expected, "{peer:?} {right:?}");
            }
            let unknown = TokenText::random();
            let refused = check(&access, peer, Some(&unknown), Right::Read, None);
            assert_eq!(refused, Err(Kind::Unauthorized), "a wrong one is worse than none");
        }
    }

    #[test]
    fn a_token_for_rooms_is_good_for_nothing_else() {
        let (access, token) = with_token(r#"{"subscribe":true,"rooms":["lab","hall"]}"#);
        let may = |rooms: Option<&[&str]>| check(&access, FAR, Some(&token), Right::Read, rooms).is_ok();
        assert!(may(Some(&["lab"])) && may(Some(&["hall", "lab"])));
        assert!(!may(None) && !may(Some(&["lab", "cellar"])) && !may(Some(&["LAB"])));
    }
}
