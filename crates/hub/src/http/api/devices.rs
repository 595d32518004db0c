//! Devices by HTTP: who they are, their twins, and commands for them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State as Given;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tautline_engine::Host;
use tautline_rooms::{CommandAnswer, CommandProblem, Update};
use tautline_store::{Reader, StoreError};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::documents::{VersionedJson, changed};
use super::extract::{Asked, IfVersion, Limit, MayCommand, MayRead, Name, Page, Sent};
use super::inspector::{millis, written};
use super::{Json, RETRY_AFTER, State, ask, gone, have_done};
use crate::devices::{Devices, Order};
use crate::http::problem::{Kind, Problem};
use crate::rooms::{DEEPEST, is_too_deep};
use crate::telemetry::Measuring;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceList {
    /// By id.
    devices: Vec<Device>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    next: Option<String>,
}

/// A client that comes with an id of its own, or whose sensors' readings came.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(super) struct Device {
    id: String,
    /// Whether it is connected to a room.
    online: bool,
    /// The rooms that it is in.
    rooms: Vec<String>,
    /// How it is connected, or was the last time: `ws`, or `wss`, which is encrypted; `telemetry` if it never was, and only sends readings.
    transport: Option<String>,
    /// How long its answer to the last ping took, in milliseconds; absent if it is not here, or has answered none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    latency_ms: Option<f64>,
    /// Its connection, whose frames can be looked at; absent if it is not here. Of several the one that came last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    connection: Option<String>,
    /// The address that it comes from, or came from the last time.
    peer: Option<String>,
    /// The name in its certificate, if it showed one.
    identity: Option<String>,
    /// Since when it is connected, in milliseconds since 1970.
    connected_ms: Option<u64>,
    /// When its last connection ended, in milliseconds since 1970.
    last_seen_ms: Option<i64>,
    /// Why that ended.
    last_reason: Option<String>,
    /// How many sensors it has.
    sensors: usize,
    /// When the last of its readings was taken, in milliseconds since 1970; absent if there was none since the hub was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_reading_ms: Option<i64>,
}

/// Devices
///
/// Those that are connected, those that were and are remembered, and those that have sensors, by id.
#[utoipa::path(get, path = "/api/devices", tag = "devices", params(Page), responses((status = 200, body = DeviceList)))]
pub(super) async fn list(
    _: MayRead,
    Given(state): Given<State>,
    Asked(page): Asked<Page>,
) -> Result<Json<DeviceList>, Problem> {
    let Page { after, limit: Limit(limit) } = page;
    let mut found = BTreeMap::new();
    for host in state.site.rooms().into_iter().flat_map(|homes| homes.iter()) {
        let after = after.clone();
        let seen = ask(host, move |rooms, io| rooms.devices(io, after.as_deref(), limit + 1)).await?;
        for seen in seen {
            add_online(&mut found, seen);
        }
    }
    let measuring = state.site.telemetry().devices(after.as_deref(), limit + 1);
    let kept = read(&state, move |reader| reader.devices(after.as_deref(), limit + 1)).await?;
    for kept in kept.into_iter().flatten() {
        add_kept(&mut found, kept);
    }
    for measuring in measuring {
        add_measuring(&mut found, measuring);
    }
    let more = found.len() > limit;
    let mut devices: Vec<Device> = found.into_values().take(limit).collect();
    add_reasons(&state, &mut devices).await?;
    let next = more.then(|| devices.last().map(|device| device.id.clone())).flatten();
    Ok(Json(DeviceList { devices, next }))
}

/// One device
#[utoipa::path(get, path = "/api/devices/{device}", tag = "devices",
    params(("device" = String, Path, description = "Its id.")), responses((status = 200, body = Device)))]
pub(super) async fn one(_: MayRead, Name(id): Name, Given(state): Given<State>) -> Result<Json<Device>, Problem> {
    let mut found = BTreeMap::new();
    for host in state.site.rooms().into_iter().flat_map(|homes| homes.iter()) {
        let id = id.clone();
        for seen in ask(host, move |rooms, io| rooms.device_connections(io, &id)).await? {
            add_online(&mut found, seen);
        }
    }
    let asked = id.clone();
    if let Some(kept) = read(&state, move |reader| reader.device(&asked)).await?.flatten() {
        add_kept(&mut found, kept);
    }
    if let Some(measuring) = state.site.telemetry().device(&id) {
        add_measuring(&mut found, measuring);
    }
    let mut devices: Vec<Device> = found.into_values().collect();
    add_reasons(&state, &mut devices).await?;
    devices.pop().map(Json).ok_or_else(|| Problem::new(Kind::NotFound, "no device of this id was ever here"))
}

fn add_online(found: &mut BTreeMap<String, Device>, seen: crate::rooms::Seen) {
    let device = found.entry(seen.device.to_string()).or_default();
    device.id = seen.device.to_string();
    device.online = true;
    device.rooms.push(seen.room.to_string());
    if device.connected_ms.is_some_and(|connected| connected > seen.opened.0) {
        return;
    }
    device.transport = Some(seen.transport.into());
    device.latency_ms = seen.latency.map(millis);
    device.connection = Some(written(seen.connection));
    device.peer = seen.peer.map(|peer| peer.to_string());
    device.identity = seen.identity;
    device.connected_ms = Some(seen.opened.0);
}

fn add_kept(found: &mut BTreeMap<String, Device>, kept: tautline_store::Device) {
    let device = found.entry(kept.id.to_string()).or_default();
    device.last_seen_ms = Some(kept.last_seen_ms);
    if !device.online {
        device.id = kept.id.to_string();
        device.transport = Some(kept.transport);
        device.peer = Some(kept.address);
        device.identity = kept.certificate;
    }
}

fn add_measuring(found: &mut BTreeMap<String, Device>, measuring: Measuring) {
    let device = found.entry(measuring.device.to_string()).or_default();
    device.id = measuring.device.to_string();
    device.sensors = measuring.sensors;
    device.last_reading_ms = measuring.last_ms;
    device.transport.get_or_insert_with(|| "telemetry".into());
}

/// Adds why the devices left the last time.
async fn add_reasons(state: &State, devices: &mut [Device]) -> Result<(), Problem> {
    let ids: Vec<String> = devices.iter().map(|device| device.id.clone()).collect();
    let reasons = read(state, move |reader| {
        ids.iter().map(|id| Ok(reader.connections(Some(id), None, 1)?.pop())).collect::<Result<Vec<_>, StoreError>>()
    });
    for (device, last) in devices.iter_mut().zip(reasons.await?.into_iter().flatten()) {
        device.last_reason = last.map(|last| last.connection.reason);
    }
    Ok(())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichConnections {
    /// Of which device only.
    device: Option<String>,
    /// Behind which number the part begins: the `next` of the part before.
    after: Option<u64>,
    /// How many entries at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, default = 100, minimum = 1, maximum = 1000)]
    limit: Limit,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionList {
    /// Newest first.
    connections: Vec<PastConnection>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    next: Option<u64>,
}

/// A connection that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PastConnection {
    device: String,
    room: Option<String>,
    /// In milliseconds since 1970.
    opened_ms: i64,
    /// In milliseconds since 1970.
    closed_ms: i64,
    peer: String,
    transport: String,
    /// Why it ended, in plain words.
    reason: String,
}

/// Connections that have ended
///
/// Newest first, and why each of them ended. A hub without a store remembers none.
#[utoipa::path(get, path = "/api/connections", tag = "devices", params(WhichConnections),
    responses((status = 200, body = ConnectionList)))]
pub(super) async fn connections(
    _: MayRead,
    Given(state): Given<State>,
    Asked(which): Asked<WhichConnections>,
) -> Result<Json<ConnectionList>, Problem> {
    let WhichConnections { device, after, limit: Limit(limit) } = which;
    let found = read(&state, move |reader| reader.connections(device.as_deref(), after, limit + 1)).await?;
    let mut found = found.unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more.then(|| found.last().map(|last| last.number)).flatten();
    let connections = found.into_iter().map(|entry| {
        let tautline_store::Connection { device, room, opened_ms, closed_ms, peer, transport, reason } =
            entry.connection;
        let (device, room) = (device.to_string(), room.map(|room| room.to_string()));
        PastConnection { device, room, opened_ms, closed_ms, peer, transport, reason }
    });
    Ok(Json(ConnectionList { connections: connections.collect(), next }))
}

/// What a device is to be and says that it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Twin {
    /// What people want it to be.
    desired: VersionedJson,
    /// What it says that it is.
    reported: VersionedJson,
    /// What of the first differs from the second; absent if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    delta: Option<Box<RawValue>>,
}

/// A device's twin
///
/// A device that has none has an empty one.
#[utoipa::path(get, path = "/api/devices/{device}/twin", tag = "devices",
    params(("device" = String, Path, description = "Its id.")), responses((status = 200, body = Twin)))]
pub(super) async fn twin(_: MayRead, Name(device): Name, Given(state): Given<State>) -> Result<Json<Twin>, Problem> {
    let view = ask(state.known(&device)?, move |devices, _| devices.twin(&device)).await?;
    let empty = || VersionedJson { version: 0, data: RawValue::from_string("{}".into()).ok() };
    Ok(Json(match view {
        Some(view) => Twin {
            desired: view.desired.into(),
            reported: view.reported.into(),
            delta: view.delta.and_then(|delta| RawValue::from_string(delta.to_string()).ok()),
        },
        None => Twin { desired: empty(), reported: empty(), delta: None },
    }))
}

/// Replace what a device is to be
///
/// The body, an object, takes the place of the desired state. The device gets what of it differs from its reported state, now or when it
/// connects. With `If-Match: "VERSION"` only that version is replaced; otherwise the answer is 412, with what there is as `current`.
#[utoipa::path(put, path = "/api/devices/{device}/twin/desired", tag = "devices", request_body = Value,
    params(("device" = String, Path, description = "Its id.")), responses((status = 200, body = VersionedJson)))]
pub(super) async fn put_desired(
    _: MayCommand,
    Name(device): Name,
    IfVersion(version): IfVersion,
    Given(state): Given<State>,
    Sent(value): Sent<Value>,
) -> Result<VersionedJson, Problem> {
    desire(&state, device, Update::Put(value), version).await
}

/// Change what a device is to be
///
/// The body is a merge patch (RFC 7396). For `If-Match` see how it is replaced.
#[utoipa::path(patch, path = "/api/devices/{device}/twin/desired", tag = "devices", request_body = Value,
    params(("device" = String, Path, description = "Its id.")), responses((status = 200, body = VersionedJson)))]
pub(super) async fn patch_desired(
    _: MayCommand,
    Name(device): Name,
    IfVersion(version): IfVersion,
    Given(state): Given<State>,
    Sent(value): Sent<Value>,
) -> Result<VersionedJson, Problem> {
    desire(&state, device, Update::Patch(value), version).await
}

async fn desire(state: &State, device: String, update: Update, version: Option<u64>) -> Result<VersionedJson, Problem> {
    let answer = have_done(state.known(&device)?, move |devices, io, reply| {
        devices.desire(io, &device, &update, version, move |answer| {
            // Who has asked may have left.
            let _ = reply.send(answer);
        });
    });
    changed(answer.await?)
}

/// What a device is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// What, for instance `led`.
    name: String,
    /// Any JSON that says more.
    #[schema(value_type = Option<Value>)]
    payload: Option<Box<RawValue>>,
    /// How long the device has for its answer, in seconds: at most 600. 30 unless said otherwise.
    timeout_seconds: Option<f64>,
    /// For how long the command is kept for a device that is not connected, in seconds. Without it, it is not.
    ttl_seconds: Option<f64>,
}

/// What became of a command.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// Its id, which the device got as well.
    id: String,
    /// `done`, or `queued`: it waits for the device.
    state: &'static str,
    /// What the device answered; a device without subprotocol cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    result: Option<Box<RawValue>>,
}

/// Give a device a command
///
/// The answer comes when the device has answered (200), or when the command is stored for a device that is not connected (202, with
/// `ttl_seconds` only). 409: it is not connected; 422: it refuses, and `detail` says why; 504: it got the command and has not
/// answered, or did not get it since too many others were before it.
#[utoipa::path(post, path = "/api/devices/{device}/commands", tag = "devices", request_body = Command,
    params(("device" = String, Path, description = "Its id.")),
    responses((status = 200, body = Outcome), (status = 202, body = Outcome)))]
pub(super) async fn command(
    _: MayCommand,
    Name(device): Name,
    Given(state): Given<State>,
    Sent(command): Sent<Command>,
) -> Result<Response, Problem> {
    let Command { name, payload, timeout_seconds, ttl_seconds } = command;
    if payload.as_deref().is_some_and(is_too_deep) {
        return Err(Problem::new(Kind::BadRequest, format!("the payload is nested more than {DEEPEST} times")));
    }
    let payload = payload.map_or_else(|| "null".to_owned(), |payload| payload.get().to_owned());
    let (timeout, ttl) = (duration(timeout_seconds)?, duration(ttl_seconds)?);
    let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let order = Order { id: id.clone(), device: device.clone(), name, payload, timeout, ttl };
    let (reply, answer) = oneshot::channel();
    let asked = state.known(&device)?.visit(move |devices, io| {
        devices.command(io, &order, |answer| {
            // Who has asked may have left.
            let _ = reply.send(answer);
        });
    });
    asked.map_err(|_| gone())?;
    // Every command comes to an end.
    outcome(id, answer.await.map_err(|_| gone())?)
}

fn outcome(id: String, answer: CommandAnswer) -> Result<Response, Problem> {
    match answer {
        CommandAnswer::Done(json) => {
            let result = RawValue::from_string(json.to_string()).ok();
            Ok(Json(Outcome { id, state: "done", result }).into_response())
        }
        CommandAnswer::Queued => {
            let outcome = Outcome { id, state: "queued", result: None };
            Ok(super::super::json(StatusCode::ACCEPTED, &outcome))
        }
        CommandAnswer::Refused(reason) => Err(Problem::new(Kind::RefusedByDevice, reason.to_string())),
        CommandAnswer::NotConnected => {
            let detail = "the device is not connected; with ttl_seconds the command would wait for it";
            Err(Problem::new(Kind::NotConnected, detail))
        }
        CommandAnswer::TimedOut => {
            let detail = "the device got the command and has not answered in time: nobody knows whether it did it";
            Err(Problem::new(Kind::NoAnswer, detail))
        }
        CommandAnswer::Expired => Err(Problem::new(
            Kind::NoAnswer,
            "too many commands were before this one: the device did not get it in time",
        )),
        CommandAnswer::Rejected(problem) => {
            let kind = match problem {
                CommandProblem::BadName | CommandProblem::BadTime | CommandProblem::Exists => Kind::BadRequest,
                CommandProblem::TooLarge => Kind::TooLarge,
                CommandProblem::Busy => Kind::Busy,
                CommandProblem::NotStored => Kind::NotStored,
            };
            let answer = Problem::new(kind, problem.to_string());
            let later = kind.status() == StatusCode::SERVICE_UNAVAILABLE;
            Err(if later { answer.retry_after(RETRY_AFTER) } else { answer })
        }
    }
}

fn duration(seconds: Option<f64>) -> Result<Option<Duration>, Problem> {
    let convert = |seconds| Duration::try_from_secs_f64(seconds);
    let bad = |_| Problem::new(Kind::BadRequest, "a time is a number of seconds, and not negative");
    seconds.map(convert).transpose().map_err(bad)
}

/// Reads from the store; `None` if there is none.
pub(super) async fn read<T: Send + 'static>(
    state: &State,
    question: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<Option<T>, Problem> {
    let Some(store) = state.site.store().cloned() else { return Ok(None) };
    let answer = tokio::task::spawn_blocking(move || store.read(question)).await;
    match answer {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store cannot be read");
            Err(Problem::new(Kind::Unavailable, "the store cannot be read").retry_after(RETRY_AFTER))
        }
        Err(_) => Err(gone()),
    }
}

impl State {
    /// Where a device is known.
    fn known(&self, device: &str) -> Result<&Host<Devices>, Problem> {
        let missing = || Problem::new(Kind::NotFound, "there are no devices here");
        self.site.devices().map(|homes| homes.of(device)).ok_or_else(missing)
    }
}
