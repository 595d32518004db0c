//! Documents of rooms by HTTP.

use std::sync::Arc;

use axum::extract::State as Given;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tautline_rooms::{ChangeAnswer, ChangeProblem, Document, DocumentKey, Update};
use utoipa::ToSchema;

use super::extract::{Asked, IfVersion, Limit, MayChange, MayRead, Name, Page, SecondName, Sent};
use super::{Json, RETRY_AFTER, State, ask, have_done};
use crate::http::problem::{Kind, Problem};
use crate::rooms::Change;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentList {
    /// By name.
    documents: Vec<NamedDocument>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NamedDocument {
    name: String,
    /// Counts the changes; never runs backwards.
    version: u64,
    /// How long its value is, as JSON.
    bytes: usize,
}

/// JSON with its version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionedJson {
    /// Counts the changes; never runs backwards. 0: it was never there.
    pub(super) version: u64,
    /// The value; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub(super) data: Option<Box<RawValue>>,
}

impl From<Document> for VersionedJson {
    fn from(document: Document) -> Self {
        let Document { version, json } = document;
        // The documents have written it themselves.
        Self { version, data: RawValue::from_string(json.to_string()).ok() }
    }
}

impl VersionedJson {
    const NONE: Self = Self { version: 0, data: None };
}

/// With the version as ETag, for `If-Match`.
impl IntoResponse for VersionedJson {
    fn into_response(self) -> Response {
        let mut response = super::super::json(StatusCode::OK, &self);
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.version)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// Documents of a room
///
/// Which there are, by name, without their values.
#[utoipa::path(get, path = "/api/rooms/{room}/documents", tag = "documents",
    params(("room" = String, Path, description = "The room's name."), Page), responses((status = 200, body = DocumentList)))]
pub(super) async fn list(
    _: MayRead,
    Name(room): Name,
    Given(state): Given<State>,
    Asked(page): Asked<Page>,
) -> Result<Json<DocumentList>, Problem> {
    let Page { after, limit: Limit(limit) } = page;
    let asked = ask(state.home(&room)?, move |rooms, _| rooms.documents(&room, after.as_deref(), limit + 1));
    let mut documents = asked.await?;
    let more = documents.len() > limit;
    documents.truncate(limit);
    let next = more.then(|| documents.last().map(|(name, ..)| name.to_string())).flatten();
    let named = |(name, version, bytes): (Arc<str>, _, _)| NamedDocument { name: name.to_string(), version, bytes };
    Ok(Json(DocumentList { documents: documents.into_iter().map(named).collect(), next }))
}

/// One document
///
/// The value and its version, which is also the ETag.
#[utoipa::path(get, path = "/api/rooms/{room}/documents/{name}", tag = "documents",
    params(("room" = String, Path, description = "The room's name."), ("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = VersionedJson)))]
pub(super) async fn one(
    _: MayRead,
    Name(room): Name,
    SecondName(name): SecondName,
    Given(state): Given<State>,
) -> Result<VersionedJson, Problem> {
    match change_document(&state, &room, &name, Change::Get).await? {
        ChangeAnswer::Current(Some(document)) => Ok(document.into()),
        _ => Err(Problem::new(Kind::NotFound, "there is no document of this name")),
    }
}

/// Replace a document
///
/// The body takes the place of all that was there. With `If-Match: "VERSION"` only that version is replaced, with `If-None-Match: *`
/// only nothing; otherwise the answer is 412, with what there is as `current`. It comes when the change is stored.
#[utoipa::path(put, path = "/api/rooms/{room}/documents/{name}", tag = "documents", request_body = Value,
    params(("room" = String, Path, description = "The room's name."), ("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = VersionedJson)))]
pub(super) async fn put(
    _: MayChange,
    Name(room): Name,
    SecondName(name): SecondName,
    IfVersion(version): IfVersion,
    Given(state): Given<State>,
    Sent(value): Sent<Value>,
) -> Result<VersionedJson, Problem> {
    let change = Change::Update(Update::Put(value), version);
    changed(change_document(&state, &room, &name, change).await?)
}

/// Change a document
///
/// The body is a merge patch (RFC 7396). For `If-Match` see how it is replaced.
#[utoipa::path(patch, path = "/api/rooms/{room}/documents/{name}", tag = "documents", request_body = Value,
    params(("room" = String, Path, description = "The room's name."), ("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = VersionedJson)))]
pub(super) async fn patch(
    _: MayChange,
    Name(room): Name,
    SecondName(name): SecondName,
    IfVersion(version): IfVersion,
    Given(state): Given<State>,
    Sent(value): Sent<Value>,
) -> Result<VersionedJson, Problem> {
    let change = Change::Update(Update::Patch(value), version);
    changed(change_document(&state, &room, &name, change).await?)
}

/// Remove a document
///
/// Its version goes on counting if it is made again. For `If-Match` see how it is replaced.
#[utoipa::path(delete, path = "/api/rooms/{room}/documents/{name}", tag = "documents",
    params(("room" = String, Path, description = "The room's name."), ("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = VersionedJson)))]
pub(super) async fn remove(
    _: MayChange,
    Name(room): Name,
    SecondName(name): SecondName,
    IfVersion(version): IfVersion,
    Given(state): Given<State>,
) -> Result<VersionedJson, Problem> {
    changed(change_document(&state, &room, &name, Change::Remove(version)).await?)
}

async fn change_document(state: &State, room: &str, name: &str, change: Change) -> Result<ChangeAnswer, Problem> {
    let key = DocumentKey::new(room, name);
    let answer = have_done(state.home(room)?, move |rooms, io, reply| {
        rooms.ask_document(io, &key, change, move |answer| {
            // Who has asked may have left.
            let _ = reply.send(answer);
        });
    });
    answer.await
}

/// The answer to a change, by HTTP.
pub(super) fn changed(answer: ChangeAnswer) -> Result<VersionedJson, Problem> {
    match answer {
        ChangeAnswer::Current(current) => Ok(current.map_or(VersionedJson::NONE, Into::into)),
        ChangeAnswer::Done { version, json, .. } => {
            let data = json.and_then(|json| RawValue::from_string(json.to_string()).ok());
            Ok(VersionedJson { version, data })
        }
        ChangeAnswer::Conflict(current) => {
            let current = current.map_or(VersionedJson::NONE, Into::into);
            let detail = format!("there is version {}: `current` shows it", current.version);
            Err(Problem::new(Kind::OtherVersion, detail).current(&current))
        }
        ChangeAnswer::Refused(problem) => Err(refused(problem)),
    }
}

fn refused(problem: ChangeProblem) -> Problem {
    let kind = match problem {
        ChangeProblem::BadName | ChangeProblem::NotJson | ChangeProblem::NotAnObject | ChangeProblem::TooDeep => {
            Kind::BadRequest
        }
        ChangeProblem::TooLarge => Kind::TooLarge,
        ChangeProblem::TooMany | ChangeProblem::Full => Kind::Full,
        ChangeProblem::Busy => Kind::Busy,
        ChangeProblem::NotStored => Kind::NotStored,
    };
    let answer = Problem::new(kind, problem.to_string());
    if kind.status() == StatusCode::SERVICE_UNAVAILABLE { answer.retry_after(RETRY_AFTER) } else { answer }
}
