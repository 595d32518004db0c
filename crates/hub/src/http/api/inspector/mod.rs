//! What connections look like on the wire, by HTTP: for administrators, since it shows what others say.

pub(super) mod frames;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Given;
use serde::{Deserialize, Serialize};
use tautline_engine::{Host, Overview};
use tautline_proto::app::ConnectionId;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, Limit, MayAdmin};
use super::{Json, State, ask, in_time};
use crate::http::problem::{Kind, Problem};
use crate::inspector::{Handshake, tls_names};
use crate::rooms::Seen;
use crate::site::Carried;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HandshakeList {
    /// Newest first.
    #[schema(value_type = Vec<Handshake>)]
    handshakes: Vec<Arc<Handshake>>,
}

/// The last handshakes
///
/// Requests for a WebSocket and their answers, refused ones included, newest first: the last 64, or fewer if they are large.
/// Tokens, cookies and other secrets in them are redacted.
#[utoipa::path(get, path = "/api/inspector/handshakes", tag = "inspector", responses((status = 200, body = HandshakeList)))]
pub(super) async fn handshakes(_: MayAdmin, Given(state): Given<State>) -> Json<HandshakeList> {
    Json(HandshakeList { handshakes: state.site.inspector().handshakes() })
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Behind which connection the part begins: the `next` of the part before.
    after: Option<String>,
    /// How many entries at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, default = 100, minimum = 1, maximum = 1000)]
    limit: Limit,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenConnections {
    /// Newest first; those of different event loops as they come.
    connections: Vec<OpenConnection>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

/// A connection that is open.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenConnection {
    /// Which one it is, to look at its frames.
    #[schema(example = "0000000010000003")]
    id: String,
    /// What it is connected to: `rooms`, `counter`, `clock`, `hello` or `echo`.
    app: &'static str,
    /// The room, or the counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    room: Option<String>,
    /// The client's id in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client: Option<String>,
    /// The name in the client's certificate, if it showed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    identity: Option<String>,
    peer: Option<String>,
    /// `ws`, or `wss`: encrypted.
    transport: &'static str,
    /// Version of TLS and cipher suite, if it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tls: Option<String>,
    /// Since when it is open, in milliseconds since 1970, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    connected_ms: Option<u64>,
    /// How long its answer to the last ping took; absent if it has answered none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    latency_ms: Option<f64>,
    /// How long ago something was last heard from it.
    silent_ms: u64,
    /// How many bytes wait to be sent to it.
    queued: usize,
}

/// Open connections
///
/// Newest first, with what is known of each.
#[utoipa::path(get, path = "/api/inspector/connections", tag = "inspector", params(Which),
    responses((status = 200, body = OpenConnections)))]
pub(super) async fn connections(
    _: MayAdmin,
    Given(state): Given<State>,
    Asked(which): Asked<Which>,
) -> Result<Json<OpenConnections>, Problem> {
    let Which { after, limit: Limit(limit) } = which;
    let before = after.as_deref().map(connection_id).transpose()?;
    let handshakes = state.site.inspector().handshakes();
    let opened: HashMap<_, _> = handshakes.iter().rev().map(|one| (one.peer, one.at_ms)).collect();
    let mut found = Vec::new();
    for carried in state.site.carried() {
        let newest = newest(&carried.host(), before, limit + 1).await?;
        let mut known = known(&carried, newest.iter().map(|one| one.id).collect()).await?;
        for overview in newest {
            let known = known.remove(&overview.id).unwrap_or_default();
            let opened = overview.peer.and_then(|peer| opened.get(&peer).copied());
            found.push((overview.id, open(&carried, &overview, known, opened)));
        }
    }
    found.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more.then(|| found.last().map(|(id, _)| written(*id))).flatten();
    Ok(Json(OpenConnections { connections: found.into_iter().map(|(_, connection)| connection).collect(), next }))
}

/// How a connection is named.
pub(super) fn written(ConnectionId(id): ConnectionId) -> String {
    format!("{id:016x}")
}

/// The connection that is named so.
fn connection_id(written: &str) -> Result<ConnectionId, Problem> {
    let bad = |_| Problem::new(Kind::BadRequest, "a connection is named by 16 hexadecimal digits");
    u64::from_str_radix(written, 16).map(ConnectionId).map_err(bad)
}

/// The newest connections of an app.
async fn newest(host: &Host, before: Option<ConnectionId>, limit: usize) -> Result<Vec<Overview>, Problem> {
    let (reply, answer) = oneshot::channel();
    host.connections(before, limit, |newest| {
        // Who has asked may have left.
        let _ = reply.send(newest);
    });
    in_time(answer).await
}

/// What an app knows of a client.
#[derive(Debug, Default)]
struct Known {
    room: Option<Arc<str>>,
    client: Option<Arc<str>>,
    identity: Option<String>,
    opened: Option<u64>,
}

/// What an app knows of its clients.
async fn known(carried: &Carried<'_>, ids: Vec<ConnectionId>) -> Result<HashMap<ConnectionId, Known>, Problem> {
    let known: Vec<_> = match carried {
        Carried::Rooms(host) => {
            let seen = ask(host, move |rooms, io| rooms.connections(io, &ids)).await?.into_iter();
            let known = seen.map(|(id, Seen { device, room, identity, opened, .. })| {
                (id, Known { room: Some(room), client: Some(device), identity, opened: Some(opened.0) })
            });
            known.collect()
        }
        Carried::Counters(host) => {
            let named = ask(host, move |counters, _| counters.of_clients(&ids)).await?.into_iter();
            named.map(|(id, counter)| (id, Known { room: Some(counter), ..Known::default() })).collect()
        }
        Carried::App(..) => Vec::new(),
    };
    Ok(known.into_iter().collect())
}

fn open(carried: &Carried<'_>, overview: &Overview, known: Known, opened: Option<u64>) -> OpenConnection {
    let tls = overview.session.map(|(version, cipher)| tls_names(version, cipher));
    OpenConnection {
        id: written(overview.id),
        app: carried.name(),
        room: known.room.map(|room| room.to_string()),
        client: known.client.map(|client| client.to_string()),
        identity: known.identity,
        peer: overview.peer.map(|peer| peer.to_string()),
        transport: if tls.is_some() { "wss" } else { "ws" },
        tls: tls.map(|(version, cipher)| format!("{version}, {cipher}")),
        connected_ms: known.opened.or(opened),
        latency_ms: overview.latency.map(millis),
        silent_ms: u64::try_from(overview.silence.as_millis()).unwrap_or(u64::MAX),
        queued: overview.queued,
    }
}

/// A short time in milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
