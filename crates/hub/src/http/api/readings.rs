//! Readings by HTTP: handed in and read back.

use axum::body::Body;
use axum::extract::{RawQuery, State as Given};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::devices::read;
use super::extract::{Asked, MayCommand, MayPublish, MayRead, Name, SecondName, Sent};
use super::written::{Form, Point, Series, written};
use super::{Json, RETRY_AFTER, State};
use crate::http::body;
use crate::http::problem::{Kind, Problem};
use crate::rooms::now_ms;
use crate::selection;
use crate::senml;
use crate::telemetry::{self, KnownSensor, Measured, NotTaken, Owner};

/// How many sensors can be asked about at once.
const SENSORS: usize = 16;

/// How many readings, or stretches of time, an answer has at most, of all sensors together.
const POINTS: usize = 10_000;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// How many readings were stored.
    stored: usize,
}

/// Readings in the simple form, or an array of them. SenML is taken as well, see RFC 8428.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is there to be described")]
pub(super) struct Simple {
    /// Whose readings they are; may be left out where the address says it.
    device: Option<String>,
    /// When they were taken, in milliseconds since 1970; now, if it is left out.
    at_ms: Option<i64>,
    /// By sensor: numbers, booleans or texts.
    readings: std::collections::HashMap<String, serde_json::Value>,
}

/// Hand readings in
///
/// As SenML in JSON or CBOR (RFC 8428), where a name is a device and a sensor, such as `kitchen/temperature`; or in the simple form. The answer
/// comes when all of them are stored, and if one of them is not good none is. Where there is no answer, they may have been stored: who
/// sends them again may store them twice.
#[utoipa::path(post, path = "/api/readings", tag = "readings",
    request_body(content((Simple = "application/json"), (Vec<Object> = "application/senml+json"), (String = "application/senml+cbor"))),
    responses((status = 200, body = Taken)))]
pub(super) async fn take(
    _: MayPublish,
    Given(state): Given<State>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Taken>, Problem> {
    store(&state, Owner::Told, &headers, body).await
}

/// Hand in readings of a device
///
/// As for all devices; names are those of sensors.
#[utoipa::path(post, path = "/api/devices/{device}/readings", tag = "readings",
    params(("device" = String, Path, description = "Its id.")),
    request_body(content((Simple = "application/json"), (Vec<Object> = "application/senml+json"), (String = "application/senml+cbor"))),
    responses((status = 200, body = Taken)))]
pub(super) async fn take_of_device(
    _: MayPublish,
    Name(device): Name,
    Given(state): Given<State>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Taken>, Problem> {
    store(&state, Owner::Device(&device), &headers, body).await
}

async fn store(state: &State, owner: Owner<'_>, headers: &HeaderMap, body: Body) -> Result<Json<Taken>, Problem> {
    let media_type = body::media_type(headers);
    if !["application/json", senml::JSON, senml::CBOR].contains(&&*media_type) {
        let detail = "send `Content-Type: application/senml+json`, `application/senml+cbor` or `application/json`";
        return Err(Problem::new(Kind::NotReadings, detail));
    }
    let (bytes, _room) = body::whole(body).await?;
    let measured = measured(&media_type, &bytes, owner)?;
    let stored = measured.len();
    let (reply, answer) = oneshot::channel();
    let submitted = state.site.telemetry().hand_in(measured, |result| {
        // Who has asked may have left.
        let _ = reply.send(result);
    });
    submitted.map_err(not_taken)?;
    let outcome = answer.await.map_err(|_| Problem::new(Kind::NotStored, "the hub shuts down"))?;
    outcome.map(|()| Json(Taken { stored })).map_err(not_taken)
}

fn measured(media_type: &str, bytes: &[u8], owner: Owner<'_>) -> Result<Vec<Measured>, Problem> {
    let bad = |error: &dyn std::fmt::Display| Problem::new(Kind::BadRequest, error.to_string());
    let now = now_ms();
    match media_type {
        senml::JSON | senml::CBOR => {
            let pack = if media_type == senml::JSON { senml::parse_json(bytes) } else { senml::parse_cbor(bytes) };
            telemetry::from_senml(&pack.map_err(|error| bad(&error))?, owner, now).map_err(|error| bad(&error))
        }
        _ => telemetry::from_json(bytes, owner, now).map_err(|error| bad(&error)),
    }
}

fn not_taken(why: NotTaken) -> Problem {
    let kind = match why {
        NotTaken::NoStore => return Problem::new(Kind::NotFound, why.to_string()),
        NotTaken::TooManySensors => Kind::Full,
        NotTaken::Busy => Kind::Busy,
        NotTaken::NotStored => Kind::NotStored,
    };
    Problem::new(kind, why.to_string()).retry_after(RETRY_AFTER)
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SensorList {
    /// By name.
    sensors: Vec<Sensor>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sensor {
    name: String,
    /// Empty if nobody has said.
    unit: String,
    /// `boolean`, `number`, `text` or `bytes`: what its first value was.
    kind: &'static str,
    /// For how long its readings are kept, in seconds; absent if as long as those of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_seconds: Option<f64>,
    /// What it said last since the hub was started: milliseconds since 1970, and the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    latest: Option<Point>,
}

impl From<KnownSensor> for Sensor {
    fn from(known: KnownSensor) -> Self {
        let KnownSensor { sensor, latest } = known;
        Self {
            name: sensor.name.to_string(),
            unit: sensor.unit.to_string(),
            kind: sensor.kind.name(),
            keep_seconds: sensor.keep_ms.map(|ms| ms as f64 / 1000.0),
            latest: latest.map(|latest| Point::Value(latest.at_ms, latest.value)),
        }
    }
}

/// The sensors of a device
#[utoipa::path(get, path = "/api/devices/{device}/sensors", tag = "readings",
    params(("device" = String, Path, description = "Its id.")), responses((status = 200, body = SensorList)))]
pub(super) async fn sensors(_: MayRead, Name(device): Name, Given(state): Given<State>) -> Json<SensorList> {
    let sensors = state.site.telemetry().sensors_of(&device);
    Json(SensorList { sensors: sensors.into_iter().map(Into::into).collect() })
}

/// For how long something is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keeping {
    /// In seconds; null is as long as those of others.
    keep_seconds: Option<f64>,
}

/// Set for how long readings are kept
///
/// Readings that are older are deleted within the hour.
#[utoipa::path(patch, path = "/api/devices/{device}/sensors/{sensor}", tag = "readings", request_body = Keeping,
    params(("device" = String, Path, description = "Its id."), ("sensor" = String, Path, description = "The sensor's name.")),
    responses((status = 200, body = Sensor)))]
pub(super) async fn keep(
    _: MayCommand,
    Name(device): Name,
    SecondName(sensor): SecondName,
    Given(state): Given<State>,
    Sent(keeping): Sent<Keeping>,
) -> Result<Json<Sensor>, Problem> {
    const LONGEST: f64 = 100.0 * 365.0 * 86_400.0;
    let in_bounds = |seconds: &f64| (0.0..=LONGEST).contains(seconds);
    if !keeping.keep_seconds.as_ref().is_none_or(in_bounds) {
        return Err(Problem::new(Kind::BadRequest, "`keep_seconds` is 0 to 100 years, or null"));
    }
    let keep_ms = keeping.keep_seconds.map(|seconds| (seconds * 1000.0) as i64);
    let (reply, answer) = oneshot::channel();
    let asked = state.site.telemetry().keep(&device, &sensor, keep_ms, |result| {
        // Who has asked may have left.
        let _ = reply.send(result);
    });
    let kept = asked.ok_or_else(|| no_sensor(&sensor))?.map_err(not_taken)?;
    let outcome = answer.await.map_err(|_| Problem::new(Kind::NotStored, "the hub shuts down"))?;
    outcome.map(|()| Json(kept.into())).map_err(not_taken)
}

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// From when on, in milliseconds since 1970; if negative, in milliseconds before now. An hour ago, if it is left out.
    #[serde(default = "an_hour_ago")]
    #[param(value_type = Option<i64>, default = -3_600_000)]
    from: i64,
    /// Before when, likewise. Everything that there is, if it is left out.
    to: Option<i64>,
    /// Not each reading, but the lowest, the mean and the highest number of each stretch of so many milliseconds.
    #[param(minimum = 1)]
    every: Option<i64>,
    /// Only one of them: `min`, `mean` or `max`.
    #[param(inline)]
    agg: Option<Aggregate>,
    /// How many readings or stretches of each sensor at most: of all together 10,000.
    #[param(default = 1000, minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// Behind which reading the part begins: the `next` of the part before. With one sensor, and without `every`.
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Aggregate {
    Min,
    Mean,
    Max,
}

fn an_hour_ago() -> i64 {
    -3_600_000
}

/// Readings of a device
///
/// By time. As JSON, SenML in JSON or CBOR, CSV, or JSON lines (`application/x-ndjson`): what `Accept` asks for.
#[utoipa::path(get, path = "/api/devices/{device}/readings", tag = "readings",
    params(("device" = String, Path, description = "Its id."),
        ("sensor" = Option<Vec<String>>, Query, description = "Of which sensors, with commas in between, or repeated: up to 16. All of them, if it is left out."),
        Which),
    responses((status = 200, content((super::written::SeriesList = "application/json"), (Vec<Object> = "application/senml+json"),
        (String = "application/senml+cbor"), (String = "text/csv"), (String = "application/x-ndjson")))))]
pub(super) async fn of_device(
    _: MayRead,
    Name(device): Name,
    Given(state): Given<State>,
    Asked(which): Asked<Which>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::wanted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()))?;
    let wanted = selection::values(query.as_deref(), "sensor");
    let sensors = chosen(&wanted, state.site.telemetry().sensors_of(&device))?;
    let question = which.question(now_ms(), sensors.len())?;
    let series = read(&state, move |reader| {
        sensors.into_iter().map(|sensor| question.ask(reader, sensor)).collect::<Result<Vec<_>, _>>()
    });
    let series: Vec<Series> = series.await?.unwrap_or_default();
    let (content_type, bytes) = written(form, &device, &series, which.agg)?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}

/// What the store is asked about each sensor.
#[derive(Clone, Copy, Debug)]
struct Question {
    from_ms: i64,
    to_ms: i64,
    every_ms: Option<i64>,
    limit: usize,
    behind: Option<(i64, u64)>,
}

/// Those of the sensors of a device that are wanted: each by its name, or several with commas in between. Without any all are.
fn chosen(wanted: &[String], known: Vec<KnownSensor>) -> Result<Vec<tautline_store::Sensor>, Problem> {
    let known: Vec<_> = known.into_iter().map(|known| known.sensor).collect();
    let find = |name: &str| known.iter().find(|sensor| *sensor.name == *name).cloned();
    if wanted.is_empty() {
        let many = format!("it has {} sensors: `sensor` says which, at most {SENSORS} at once", known.len());
        return if known.len() > SENSORS { Err(Problem::new(Kind::BadRequest, many)) } else { Ok(known) };
    }
    let mut sensors = Vec::new();
    for value in wanted {
        match find(value) {
            // A name may have commas itself.
            Some(sensor) => sensors.push(sensor),
            None => {
                for name in value.split(',') {
                    sensors.push(find(name).ok_or_else(|| no_sensor(name))?);
                }
            }
        }
        if sensors.len() > SENSORS {
            return Err(Problem::new(Kind::BadRequest, format!("at most {SENSORS} sensors at once")));
        }
    }
    Ok(sensors)
}

impl Which {
    fn question(&self, now_ms: i64, sensors: usize) -> Result<Question, Problem> {
        let bad = |detail: &str| Problem::new(Kind::BadRequest, detail.to_owned());
        let time = |time: i64| if time < 0 { now_ms.saturating_add(time).max(0) } else { time };
        let (from_ms, to_ms) = (time(self.from), self.to.map_or(i64::MAX, time));
        let most = POINTS / sensors.max(1);
        let limit = self.limit.unwrap_or(1000.min(most));
        if !(1..=most).contains(&limit) {
            return Err(bad(&format!("`limit` is 1 to {most} for so many sensors")));
        }
        if self.every.is_some_and(|every| every < 1) {
            return Err(bad("`every` is at least 1 millisecond"));
        }
        if self.agg.is_some() && self.every.is_none() {
            return Err(bad("`agg` goes with `every`"));
        }
        if self.after.is_some() && (sensors != 1 || self.every.is_some()) {
            return Err(bad("`after` goes with one sensor, and without `every`"));
        }
        let behind = self.after.as_ref().map(|after| {
            let place = after.split_once('-').and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
            place.ok_or_else(|| bad("`after` is the `next` of an earlier answer"))
        });
        Ok(Question { from_ms, to_ms, every_ms: self.every, limit, behind: behind.transpose()? })
    }
}

impl Question {
    fn ask(
        &self,
        reader: &mut dyn tautline_store::Reader,
        sensor: tautline_store::Sensor,
    ) -> Result<Series, tautline_store::StoreError> {
        let Self { from_ms, to_ms, every_ms, limit, behind } = *self;
        let of = tautline_store::Readings { sensor: sensor.id, from_ms, to_ms };
        let (points, next) = match every_ms {
            Some(every_ms) => {
                let buckets = reader.buckets(&of, every_ms, limit)?;
                (buckets.into_iter().map(Point::Bucket).collect(), None)
            }
            None => {
                let mut readings = reader.readings(&of, behind, limit + 1)?;
                let more = readings.len() > limit;
                readings.truncate(limit);
                let next = more.then(|| readings.last().map(|last| format!("{}-{}", last.at_ms, last.number)));
                let point = |reading: tautline_store::PastReading| {
                    Point::Value(reading.at_ms, telemetry::to_value(reading.value, sensor.kind))
                };
                (readings.into_iter().map(point).collect(), next.flatten())
            }
        };
        Ok(Series { sensor: sensor.name.to_string(), unit: sensor.unit.to_string(), points, next })
    }
}

fn no_sensor(name: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("the device has no sensor {name:?}"))
}
