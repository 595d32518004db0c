//! Readings by HTTP: handed in, read back, and over a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tautline_hub::{Hub, Keep};
use tautline_store::Store;

use super::{Answer, get, look, post, request};
use crate::Running;

const SENML: &str = "Content-Type: application/senml+json\r\n";

async fn with_store() -> (Running, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    (on(&data).await, data)
}

/// A hub that keeps also what was measured long ago.
async fn on(data: &tempfile::TempDir) -> Running {
    let store = Store::open(data.path(), tautline_store::Settings::new()).unwrap();
    let readings = Duration::from_secs(200 * 365 * 24 * 3600);
    Running::start(Hub::new().store(store).keep(Keep { readings, ..Keep::default() })).await
}

async fn accept(hub: &Running, target: &str, form: &str) -> Answer {
    request(hub, "GET", target, &format!("Accept: {form}\r\n"), "").await
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test]
async fn readings_in_every_form_come_back_in_every_form_also_after_a_restart() {
    let (hub, data) = with_store().await;
    let before = now_ms();
    let simple = json!({"device": "kitchen", "at_ms": 1000, "readings": {"temperature": 21.5}});
    assert_eq!(post(&hub, "/api/readings", &simple).await.json(), json!({"stored": 1}));
    let pack = r#"[{"bn":"kitchen/","bt":3e8,"n":"temperature","u":"Cel","v":22},{"n":"open","t":1,"vb":true},{"n":"open","t":2.5,"vb":false}]"#;
    assert_eq!(request(&hub, "POST", "/api/readings", SENML, pack).await.json(), json!({"stored": 3}));
    let own = r#"[{"n":"note","vs":"a, \"b\""}]"#;
    assert_eq!(request(&hub, "POST", "/api/devices/kitchen/readings", SENML, own).await.json(), json!({"stored": 1}));
    let sensors = look(&hub, "/api/devices/kitchen/sensors").await;
    assert_eq!(
        sensors["sensors"][2],
        json!({"name": "temperature", "unit": "Cel", "kind": "number", "latest": [300_000_000_000_i64, 22]})
    );

    let all = "/api/devices/kitchen/readings?from=0&sensor=temperature,open";
    let expected = json!({"series": [
        {"sensor": "temperature", "unit": "Cel", "points": [[1000, 21.5], [300_000_000_000_i64, 22]]},
        {"sensor": "open", "points": [[300_000_001_000_i64, true], [300_000_002_500_i64, false]]},
    ]});
    assert_eq!(look(&hub, all).await, expected);
    let senml = accept(&hub, all, "application/senml+json").await;
    let expected_senml = json!([
        {"n": "kitchen/temperature", "u": "Cel", "t": 1, "v": 21.5},
        {"n": "kitchen/temperature", "u": "Cel", "t": 300_000_000, "v": 22},
        {"n": "kitchen/open", "t": 300_000_001, "vb": true},
        {"n": "kitchen/open", "t": 300_000_002.5, "vb": false},
    ]);
    assert_eq!((senml.header("content-type"), senml.json()), (Some("application/senml+json"), expected_senml));
    let csv = accept(&hub, "/api/devices/kitchen/readings?from=-60000&sensor=note", "text/csv").await;
    let (head, line) = csv.body.split_once("\r\n").unwrap();
    let (at, rest) = line.split_once(',').unwrap();
    assert_eq!((head, rest), ("at_ms,sensor,value,unit", "note,\"a, \"\"b\"\"\",\r\n"));
    assert!((before..=now_ms()).contains(&at.parse().unwrap()), "without a time it was taken now");
    let lines = accept(&hub, "/api/devices/kitchen/readings?from=0&sensor=open", "application/x-ndjson").await;
    let lines: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["value"]), (2, &json!(false)));
    hub.stop().await;

    let hub = on(&data).await;
    assert_eq!(look(&hub, all).await, expected);
    post(&hub, "/api/devices/kitchen/readings", &json!({"at_ms": 2000, "readings": {"temperature": 1}})).await;
    let more = look(&hub, "/api/devices/kitchen/readings?from=0&sensor=temperature").await;
    assert_eq!(more["series"][0]["points"].as_array().unwrap().len(), 3, "it is the same sensor still");
    hub.stop().await;
}

#[tokio::test]
async fn cbor_is_taken_and_given() {
    let (hub, _data) = with_store().await;
    // [{0: "k/t", 6: 1.5e9, 2: 7}]
    let pack = b"\x81\xa3\x00\x63k/t\x06\x1a\x59\x68\x2f\x00\x02\x07";
    let head = format!(
        "POST /api/readings HTTP/1.1\r\nConnection: close\r\nHost: {}\r\nContent-Type: application/senml+cbor\r\nContent-Length: {}\r\n\r\n",
        hub.address,
        pack.len()
    );
    let answer = super::exchange(&hub, &[head.as_bytes(), pack].concat()).await;
    assert_eq!(answer.json(), json!({"stored": 1}));
    let points = look(&hub, "/api/devices/k/readings?from=0").await;
    assert_eq!(points["series"][0]["points"], json!([[1_500_000_000_000_i64, 7]]));
    hub.stop().await;
}

#[tokio::test]
async fn stretches_of_time_and_pages() {
    let (hub, _data) = with_store().await;
    let records: Vec<Value> = (0..20).map(|n| json!({"n": "t", "t": 1_000_000_000 + n, "v": n})).collect();
    let pack = Value::Array(records).to_string();
    request(&hub, "POST", "/api/devices/k/readings", SENML, &pack).await;
    let path = "/api/devices/k/readings?from=1000000000000&sensor=t";
    let buckets = look(&hub, &format!("{path}&every=10000")).await;
    assert_eq!(
        buckets["series"][0]["points"],
        json!([[1_000_000_000_000_i64, 0.0, 4.5, 9.0, 10], [1_000_000_010_000_i64, 10.0, 14.5, 19.0, 10]])
    );
    let max = look(&hub, &format!("{path}&every=10000&agg=max&to=1000000010000")).await;
    assert_eq!(max["series"][0]["points"], json!([[1_000_000_000_000_i64, 9.0]]));
    let (mut found, mut after) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = look(&hub, &format!("{path}&limit=8{after}")).await;
        let series = &page["series"][0];
        found.extend(series["points"].as_array().unwrap().iter().map(|point| point[1].as_i64().unwrap()));
        after = series["next"].as_str().map(|next| format!("&after={next}")).unwrap_or_default();
    }
    assert_eq!((found, &*after), ((0..20).collect(), ""));
    hub.stop().await;
}

#[tokio::test]
async fn what_is_not_good_is_refused_as_a_whole() {
    let (hub, _data) = with_store().await;
    let bad = r#"[{"n":"k/t","v":1},{"n":"k/t","v":true}]"#;
    let detail = request(&hub, "POST", "/api/readings", SENML, bad).await.problem(400, "bad-request");
    assert!(detail.contains("`v`"), "{detail}");
    request(&hub, "POST", "/api/readings", "Content-Type: text/plain\r\n", "1").await.problem(415, "not-readings");
    post(&hub, "/api/readings", &json!({"readings": {"t": 1}})).await.problem(400, "bad-request");
    get(&hub, "/api/devices/k/readings?sensor=t").await.problem(404, "not-found");
    assert_eq!(look(&hub, "/api/devices/k/sensors").await, json!({"sensors": []}), "nothing was stored");
    post(&hub, "/api/devices/k/readings", &json!({"readings": {"t": 1}})).await;
    for query in
        ["every=0", "agg=min", "limit=0", "limit=10001", "after=x", "every=1&after=1-1", "agg=median&every=1", "from=x"]
    {
        get(&hub, &format!("/api/devices/k/readings?{query}")).await.problem(400, "bad-request");
    }
    accept(&hub, "/api/devices/k/readings", "text/html").await.problem(406, "not-acceptable");
    hub.stop().await;
    let hub = Running::all().await;
    let detail = post(&hub, "/api/devices/k/readings", &json!({"readings": {"t": 1}})).await.problem(404, "not-found");
    assert!(detail.contains("without a store"), "{detail}");
    hub.stop().await;
}

#[tokio::test]
async fn how_long_readings_are_kept_is_set_for_each_sensor() {
    let (hub, _data) = with_store().await;
    post(&hub, "/api/devices/k/readings", &json!({"readings": {"t": 1}})).await;
    let target = "/api/devices/k/sensors/t";
    let set = async |body: &str| request(&hub, "PATCH", target, "Content-Type: application/json\r\n", body).await;
    let kept = set(r#"{"keep_seconds": 3600}"#).await.json();
    assert_eq!(kept["keep_seconds"], 3600.0);
    assert_eq!(kept, look(&hub, "/api/devices/k/sensors").await["sensors"][0], "as it is listed");
    assert_eq!(look(&hub, "/api/devices/k/sensors").await["sensors"][0]["keep_seconds"], 3600.0);
    set(r#"{"keep_seconds": -1}"#).await.problem(400, "bad-request");
    assert_eq!(set(r#"{"keep_seconds": null}"#).await.json().get("keep_seconds"), None);
    let other = request(
        &hub,
        "PATCH",
        "/api/devices/k/sensors/x",
        "Content-Type: application/json\r\n",
        r#"{"keep_seconds": 1}"#,
    );
    other.await.problem(404, "not-found");
    hub.stop().await;
}

#[tokio::test]
async fn a_device_that_only_sends_readings_is_listed_also_after_a_restart() {
    let (hub, data) = with_store().await;
    let at = now_ms() - 5000;
    for (device, sensor) in [("lamp", "heat"), ("a door", "open"), ("lamp", "lux")] {
        let reading = json!({"device": device, "at_ms": at, "readings": {sensor: 1}});
        assert_eq!(post(&hub, "/api/readings", &reading).await.status, 200);
    }
    let esp = tautline::connect(hub.url("/rooms/lab/lamp")).await.unwrap();
    let first = look(&hub, "/api/devices?limit=1").await;
    let door = &first["devices"][0];
    assert_eq!(
        (&door["id"], &door["transport"], &door["online"]),
        (&json!("a door"), &json!("telemetry"), &json!(false))
    );
    assert_eq!((&door["sensors"], &door["last_reading_ms"], &first["next"]), (&json!(1), &json!(at), &json!("a door")));
    let second = look(&hub, "/api/devices?limit=1&after=a%20door").await;
    assert_eq!(second["devices"][0], look(&hub, "/api/devices/lamp").await);
    let lamp = &second["devices"][0];
    assert_eq!((&lamp["transport"], &lamp["online"], &lamp["sensors"]), (&json!("ws"), &json!(true), &json!(2)));
    drop(esp);
    hub.stop().await;

    let hub = on(&data).await;
    let door = look(&hub, "/api/devices/a%20door").await;
    assert_eq!((&door["sensors"], door.get("last_reading_ms")), (&json!(1), None));
    get(&hub, "/api/devices/window").await.problem(404, "not-found");
    hub.stop().await;
}

#[tokio::test]
async fn a_name_with_a_comma_is_asked_for_as_it_is_and_several_are_repeated() {
    let (hub, _data) = with_store().await;
    let readings = json!({"device": "k", "at_ms": 1000, "readings": {"a": 1, "b": 2, "a,b": 3, "c,d": 4}});
    post(&hub, "/api/readings", &readings).await;
    let asked = async |query: &str| -> Vec<String> {
        let answer = look(&hub, &format!("/api/devices/k/readings?from=0&{query}")).await;
        let series = answer["series"].as_array().unwrap().iter();
        series.map(|series| series["sensor"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(asked("sensor=a%2Cb").await, ["a,b"]);
    assert_eq!(asked("sensor=a&sensor=b").await, ["a", "b"]);
    assert_eq!(asked("sensor=b,a&sensor=c,d").await, ["b", "a", "c,d"]);
    let missing = get(&hub, "/api/devices/k/readings?from=0&sensor=a,x").await.problem(404, "not-found");
    assert!(missing.contains("\"x\""), "{missing}");
    let many = "sensor=a&".repeat(17);
    get(&hub, &format!("/api/devices/k/readings?{many}")).await.problem(400, "bad-request");
    hub.stop().await;
}
