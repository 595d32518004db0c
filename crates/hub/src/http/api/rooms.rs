//! Rooms by HTTP.

use std::sync::Arc;

use axum::extract::State as Given;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tautline_engine::Host;
use tautline_proto::app::Delivery;
use tautline_rooms::{Problem as Unpublished, Refusal, RoomView};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, Limit, MayPublish, MayRead, Name, Page, Sent};
use super::{Json, RETRY_AFTER, State, ask, have_done};
use crate::apps::Rooms;
use crate::http::problem::{Kind, Problem};
use crate::rooms::{API, Outcome, RoomDetail, payload};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomList {
    /// By name.
    rooms: Vec<Room>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    name: String,
    /// Whether what is published in it survives a restart.
    durable: bool,
    /// Which history its offsets count in: 16 hexadecimal digits.
    #[schema(example = "00c5a1f0e2b34d77")]
    epoch: String,
    /// The offset of the last message; 0 if there was none.
    offset: u64,
    /// How many messages are remembered.
    remembered: usize,
    /// How many clients are there.
    members: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneRoom {
    #[serde(flatten)]
    room: Room,
    /// What became of the messages that were published, since the room was made or the hub was started.
    deliveries: RoomDeliveries,
    /// Who is there, by name.
    clients: Vec<Client>,
    /// `after` of the next part of the clients; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomDeliveries {
    /// Messages written or queued, one for each client that gets it.
    sent: u64,
    /// Messages dropped because a client was slow.
    dropped: u64,
    /// Clients disconnected because they were slow.
    disconnected: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Client {
    /// Its id.
    client: String,
    /// `raw`: without a subprotocol; `envelopes`: `tautline.v1.json`.
    form: &'static str,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Behind {
    /// Behind which offset the part begins.
    #[serde(default)]
    after: u64,
    /// How many messages at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, default = 100, minimum = 1, maximum = 1000)]
    limit: Limit,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Messages {
    /// Which history the offsets count in: 16 hexadecimal digits.
    #[schema(example = "00c5a1f0e2b34d77")]
    epoch: String,
    /// The offset of the room's last message; 0 if there was none.
    offset: u64,
    /// Messages that are remembered, oldest first, in the form in which `tautline.v1.json` sends them.
    #[schema(value_type = Vec<Object>, example = json!([{"type": "message", "offset": 7, "at": 1_790_000_000_000_u64, "from": "esp",
        "data": {"celsius": 21.5}}]))]
    messages: Vec<Box<RawValue>>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    next: Option<u64>,
}

/// A message: one of `data`, `text` and `base64`.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Publish {
    /// The sender's own name for the message, 1 to 64 bytes: one that is published again with the same id is not published
    /// twice.
    id: Option<String>,
    /// Any JSON.
    #[serde(default, deserialize_with = "even_null")]
    #[schema(value_type = Option<Value>)]
    data: Option<Box<RawValue>>,
    /// Text.
    text: Option<String>,
    /// Bytes, as Base64.
    base64: Option<String>,
}

/// `null` is data too.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// Its place in the room.
    offset: u64,
    /// Whether it had been published before.
    duplicate: bool,
}

/// Rooms
///
/// The rooms that there are, by name. A room is there from its first client or message on.
#[utoipa::path(get, path = "/api/rooms", tag = "rooms", params(Page), responses((status = 200, body = RoomList)))]
pub(super) async fn list(
    _: MayRead,
    Given(state): Given<State>,
    Asked(page): Asked<Page>,
) -> Result<Json<RoomList>, Problem> {
    let Page { after, limit: Limit(limit) } = page;
    let mut rooms = Vec::new();
    for host in state.site.rooms().into_iter().flat_map(|homes| homes.iter()) {
        let after = after.clone();
        rooms.extend(ask(host, move |rooms, _| rooms.views(after.as_deref(), limit + 1)).await?);
    }
    rooms.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let more = rooms.len() > limit;
    rooms.truncate(limit);
    let rooms: Vec<_> = rooms.into_iter().map(Room::from).collect();
    let next = more.then(|| rooms.last().map(|room| room.name.clone())).flatten();
    Ok(Json(RoomList { rooms, next }))
}

/// One room
///
/// A room, what became of its messages, and who is there.
#[utoipa::path(get, path = "/api/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "Its name."), Page),
    responses((status = 200, body = OneRoom)))]
pub(super) async fn one(
    _: MayRead,
    Name(room): Name,
    Given(state): Given<State>,
    Asked(page): Asked<Page>,
) -> Result<Json<OneRoom>, Problem> {
    let Page { after, limit: Limit(limit) } = page;
    let found = ask(state.home(&room)?, move |rooms, _| rooms.detail(&room, after.as_deref(), limit + 1)).await?;
    let RoomDetail { room, deliveries, mut clients } = found.ok_or_else(missing)?;
    let more = clients.len() > limit;
    clients.truncate(limit);
    let next = more.then(|| clients.last().map(|(client, _)| client.to_string())).flatten();
    let client = |(client, raw): (Arc<str>, bool)| Client {
        client: client.to_string(),
        form: if raw { "raw" } else { "envelopes" },
    };
    let clients = clients.into_iter().map(client).collect();
    let Delivery { sent, dropped, disconnected, .. } = deliveries;
    Ok(Json(OneRoom { room: room.into(), deliveries: RoomDeliveries { sent, dropped, disconnected }, clients, next }))
}

/// A room's messages
///
/// The messages that a room remembers, oldest first.
#[utoipa::path(get, path = "/api/rooms/{room}/messages", tag = "rooms",
    params(("room" = String, Path, description = "Its name."), Behind), responses((status = 200, body = Messages)))]
pub(super) async fn messages(
    _: MayRead,
    Name(room): Name,
    Given(state): Given<State>,
    Asked(behind): Asked<Behind>,
) -> Result<Json<Messages>, Problem> {
    let Behind { after, limit: Limit(limit) } = behind;
    let found = ask(state.home(&room)?, move |rooms, _| rooms.remembered(&room, after, limit)).await?;
    let found = found.ok_or_else(missing)?;
    let (epoch, offset) = (hexadecimal(found.epoch), found.offset);
    Ok(Json(Messages { epoch, offset, messages: found.messages, next: found.next }))
}

/// Publish a message
///
/// Publishes a message for everybody in a room, which is made if there is none. The answer comes when it is published for
/// good: in a durable room, when it is stored. Where there is none in time (504), publish it again with the same id.
#[utoipa::path(post, path = "/api/rooms/{room}/messages", tag = "rooms",
    params(("room" = String, Path, description = "Its name.")), request_body = Publish,
    responses((status = 201, description = "It is published.", body = Published),
        (status = 200, description = "It had been published before.", body = Published)))]
pub(super) async fn publish(
    MayPublish(caller): MayPublish,
    Name(room): Name,
    Given(state): Given<State>,
    Sent(publish): Sent<Publish>,
) -> Result<Response, Problem> {
    let Publish { id, data, text, base64 } = publish;
    let payload = payload(data.as_deref(), text.map(Into::into), base64.as_deref());
    let payload = payload.map_err(|error| Problem::new(Kind::BadRequest, error))?;
    let from = caller.name().unwrap_or(API).to_owned();
    // With an id it is acknowledged.
    let id = id.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)));
    let published = have_done(state.home(&room)?, move |rooms, io, reply| {
        rooms.publish_from_outside(io, &room, &from, &id, payload, move |outcome| {
            // Who has asked may have left.
            let _ = reply.send(outcome);
        });
    });
    let (offset, duplicate) = match published.await? {
        Outcome::Published { offset, duplicate } => (offset, duplicate),
        Outcome::Unpublished(problem) => {
            let (kind, detail) = match problem {
                Unpublished::BadId => return Err(Problem::new(Kind::BadRequest, problem.to_string())),
                Unpublished::Forbidden => return Err(Problem::new(Kind::Refused, problem.to_string())),
                Unpublished::Busy => (Kind::Busy, problem.to_string()),
                Unpublished::NotStored => (Kind::NotStored, problem.to_string()),
            };
            return Err(Problem::new(kind, detail).retry_after(RETRY_AFTER));
        }
        Outcome::NoRoom(Refusal::TooManyRooms | Refusal::RoomFull | Refusal::Taken) => {
            let detail = "there are as many rooms as there can be";
            return Err(Problem::new(Kind::Full, detail).retry_after(RETRY_AFTER));
        }
    };
    let status = if duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Published { offset, duplicate })).into_response())
}

impl State {
    /// Who has a room.
    pub(super) fn home(&self, room: &str) -> Result<&Host<Rooms>, Problem> {
        self.site.rooms().map(|homes| homes.of(room)).ok_or_else(missing)
    }
}

impl From<RoomView> for Room {
    fn from(room: RoomView) -> Self {
        let RoomView { name, durable, epoch, offset, history, members } = room;
        Self { name: name.to_string(), durable, epoch: hexadecimal(epoch), offset, remembered: history, members }
    }
}

fn hexadecimal(epoch: u64) -> String {
    format!("{epoch:016x}")
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "there is no room of this name: the first client or message makes one")
}
