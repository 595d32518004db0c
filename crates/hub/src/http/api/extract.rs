//! What handlers take from a request.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query};
use http::Request;
use http::header;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::State;
use super::events::Wanted;
use crate::access::{Caller, Right};
use crate::http::body;
use crate::http::problem::{Kind, Problem};
use crate::rooms::{BadPath, name};

/// Who may see things.
pub(super) struct MayRead(pub(super) Caller);

/// Who may publish.
pub(super) struct MayPublish(pub(super) Caller);

/// Who may change what everybody sees.
pub(super) struct MayChange;

/// Who may have devices do something.
pub(super) struct MayCommand;

/// Who may see everything.
pub(super) struct MayAdmin(pub(super) Caller);

/// The second name in a path, two segments behind the first.
pub(super) struct SecondName(pub(super) String);

/// The name of a connection in a path: the fourth segment.
pub(super) struct ConnectionName(pub(super) String);

/// Which version `If-Match` asks for; with `If-None-Match: *` that is 0.
pub(super) struct IfVersion(pub(super) Option<u64>);

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
        check(parts, state, Right::Read).map(Self)
    }
}

impl FromRequestParts<State> for MayPublish {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        check(parts, state, Right::Publish).map(Self)
    }
}

impl FromRequestParts<State> for MayChange {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        // The answer shows what it is that was changed.
        check(parts, state, Right::Read)?;
        check(parts, state, Right::Publish).map(|_| Self)
    }
}

impl FromRequestParts<State> for MayCommand {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        check(parts, state, Right::Command).map(|_| Self)
    }
}

fn check(parts: &Parts, state: &State, right: Right) -> Result<Caller, Problem> {
    state.access.check(parts, right, rooms(parts).as_deref())
}

/// The rooms that a request is about; `None` if it is about more than rooms, or about all of them.
fn rooms(parts: &Parts) -> Option<Vec<String>> {
    let path = parts.uri.path();
    if path.starts_with("/api/rooms/") {
        return segment(parts, 3).ok().map(|room| vec![room]);
    }
    if path == "/api/events" {
        let Query(wanted) = Query::<Wanted>::try_from_uri(&parts.uri).ok()?;
        return wanted.rooms();
    }
    None
}

impl FromRequestParts<State> for MayAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        check(parts, state, Right::Admin).map(Self)
    }
}

impl FromRequestParts<State> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        segment(parts, 3).map(Self)
    }
}

impl FromRequestParts<State> for SecondName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        segment(parts, 5).map(Self)
    }
}

impl FromRequestParts<State> for ConnectionName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        segment(parts, 4).map(Self)
    }
}

/// The name in a segment of a path.
fn segment(parts: &Parts, place: usize) -> Result<String, Problem> {
    // As it was sent, so that a name here is the same one as in the address of a WebSocket.
    match name(parts.uri.path().split('/').nth(place).unwrap_or_default()) {
        Ok(name) if name.is_empty() => Err(Problem::new(Kind::BadRequest, "a name has at least one character")),
        Ok(name) => Ok(name),
        Err(BadPath::Long) => Err(Problem::new(Kind::TooLong, "a name has at most 128 bytes")),
        Err(BadPath::Form | BadPath::Name) => {
            Err(Problem::new(Kind::BadRequest, "a name is UTF-8 without control characters"))
        }
    }
}

impl FromRequestParts<State> for IfVersion {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let bad = || {
            let detail = "If-Match is one version in quotation marks, such as \"3\", and If-None-Match is *";
            Problem::new(Kind::BadRequest, detail)
        };
        match (parts.headers.get(header::IF_MATCH), parts.headers.get(header::IF_NONE_MATCH)) {
            (None, None) => Ok(Self(None)),
            (None, Some(none)) if none == "*" => Ok(Self(Some(0))),
            (Some(version), None) => {
                let version =
                    version.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
                version.map(|version| Self(Some(version))).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<State> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => {
                Err(Problem::new(Kind::BadRequest, format!("the query makes no sense: {}", error.body_text())))
            }
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
