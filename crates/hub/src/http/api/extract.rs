//! What handlers take from a request.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query};
use http::Request;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::State;
use crate::access::{Caller, Right};
use crate::http::body;
use crate::http::problem::{Kind, Problem};
use crate::rooms::{BadPath, name};

/// Who may see things.
pub(super) struct MayRead;

/// Who may publish and change things.
pub(super) struct MayPublish(pub(super) Caller);

/// The name in a path: the segment behind the collection's.
pub(super) struct Name(pub(super) String);

/// What a query says.
pub(super) struct Asked<T>(pub(super) T);

/// What a JSON body says.
pub(super) struct Sent<T>(pub(super) T);

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Behind which name the part begins: the `next` of the part before.
    pub(super) after: Option<String>,
    /// How many entries at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, default = 100, minimum = 1, maximum = 1000)]
    pub(super) limit: Limit,
}

/// How many entries an answer has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<usize> for Limit {
    type Error = &'static str;

    fn try_from(limit: usize) -> Result<Self, &'static str> {
        if (1..=1000).contains(&limit) { Ok(Self(limit)) } else { Err("a limit is 1 to 1000") }
    }
}

impl FromRequestParts<State> for MayRead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        state.access.check(parts, Right::Read).map(|_| Self)
    }
}

impl FromRequestParts<State> for MayPublish {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        state.access.check(parts, Right::Publish).map(Self)
    }
}

impl FromRequestParts<State> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        // As it was sent, so that a name here is the same one as in the address of a WebSocket.
        match name(parts.uri.path().split('/').nth(3).unwrap_or_default()) {
            Ok(name) if name.is_empty() => Err(Problem::new(Kind::BadRequest, "a name has at least one character")),
            Ok(name) => Ok(Self(name)),
            Err(BadPath::Long) => Err(Problem::new(Kind::TooLong, "a name has at most 128 bytes")),
            Err(BadPath::Form | BadPath::Name) => {
                Err(Problem::new(Kind::BadRequest, "a name is UTF-8 without control characters"))
            }
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<State> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => Err(Problem::new(Kind::BadRequest, format!("the query makes no sense: {}", error.body_text()))),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<State> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &State) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        body::json(&parts.headers, body).await.map(Self)
    }
}
