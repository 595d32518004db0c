//! Server-sent events.

use std::time::Duration;

use serde_json::{Value, json};
use tautline::CloseCode;
use tautline_hub::Hub;
use tautline_store::{Settings, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use super::{get, look, post, request};
use crate::rooms::{enter, envelope};
use crate::{LIMIT, Running, text};

/// A client that reads events.
pub(super) struct Events {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
    /// Of the last event, or where the stream begins.
    id: String,
}

impl Events {
    async fn open(hub: &Running, query: &str, last: Option<&str>) -> Self {
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let mut events = Self::open_at(hub, &format!("/api/events{query}"), &last).await;
        let (kind, _) = events.block().await.unwrap();
        assert_eq!((kind.as_str(), events.id.is_empty()), ("", false), "it begins with where it is");
        events
    }

    /// Any stream of events.
    pub(super) async fn open_at(hub: &Running, target: &str, headers: &str) -> Self {
        Self::try_open(hub, target, headers).await.unwrap_or_else(|head| panic!("{head:?}"))
    }

    /// A stream of events, or the head of the answer if there is none.
    pub(super) async fn try_open(hub: &Running, target: &str, headers: &str) -> Result<Self, Vec<String>> {
        let mut tcp = TcpStream::connect(hub.address).await.unwrap();
        // HTTP/1.0: the body comes as it is.
        let head = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(tcp).lines();
        let mut head = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
            head.push(line);
        }
        if !head[0].contains(" 200 ") {
            return Err(head);
        }
        assert!(head.contains(&"Content-Type: text/event-stream".into()), "{head:?}");
        Ok(Self { lines, id: String::new() })
    }

    /// The next block: its event and its data; `None` at the end.
    pub(super) async fn block(&mut self) -> Option<(String, Value)> {
        let (mut kind, mut data) = (String::new(), Value::Null);
        loop {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await.expect("in time");
            match line.unwrap()?.split_once(": ") {
                Some(("id", id)) => self.id = id.to_owned(),
                Some(("event", event)) => kind = event.to_owned(),
                Some(("data", json)) => data = serde_json::from_str(json).unwrap(),
                Some(_) => {}
                None => return Some((kind, data)),
            }
        }
    }

    pub(super) async fn next(&mut self, kind: &str) -> Value {
        let (event, data) = self.block().await.expect("an event");
        assert_eq!(event, kind, "{data}");
        data
    }
}

#[tokio::test]
async fn what_happens_in_rooms_and_counters_is_told() {
    let hub = Running::all().await;
    let mut events = Events::open(&hub, "", None).await;
    let mut esp = hub.open("/rooms/lab/esp").await;
    let came = events.next("connected").await;
    assert_eq!((&came["room"], &came["client"]), (&json!("lab"), &json!("esp")));
    assert!(came["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    esp.send("SOS").await.unwrap();
    let told = events.next("message").await;
    let remembered = look(&hub, "/api/rooms/lab/messages").await["messages"][0].clone();
    assert_eq!(told, json!({"room": "lab", "offset": 1, "message": remembered}));
    assert!(esp.close(CloseCode::NORMAL, "").await.is_clean());
    let left = events.next("disconnected").await;
    assert_eq!((&left["client"], &left["reason"]), (&json!("esp"), &json!("the client closed the connection")));
    post(&hub, "/api/state/x", &json!({"action": "set", "value": 7})).await;
    assert_eq!(events.next("counter").await, json!({"name": "x", "value": 7}));

    let mut page = enter(&hub, "/rooms/lab/page").await;
    envelope(&mut page).await;
    events.next("connected").await;
    assert_eq!(events.next("presence").await["presence"]["joined"], json!(["page"]));
    // JSON as it was sent, with line breaks, is one event all the same.
    page.send("{\"type\":\"publish\",\"data\":[1,\r\n2]}").await.unwrap();
    assert_eq!(events.next("message").await["message"]["data"], json!([1, 2]));
    hub.stop().await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let hub = Running::all().await;
    let mut lab = Events::open(&hub, "?rooms=lab,x%20y&kinds=message,counter", None).await;
    for room in ["else", "lab", "x%20y"] {
        post(&hub, &format!("/api/rooms/{room}/messages"), &json!({"text": room})).await;
    }
    post(&hub, "/api/state/lab", &json!({"action": "plus"})).await;
    post(&hub, "/api/rooms/lab/messages", &json!({"text": "last"})).await;
    for (room, text) in [("lab", "lab"), ("x y", "x%20y"), ("lab", "last")] {
        let told = lab.next("message").await;
        assert_eq!((&told["room"], &told["message"]["text"]), (&json!(room), &json!(text)));
    }
    let detail = get(&hub, "/api/events?kinds=messages").await.problem(400, "bad-request");
    assert!(detail.contains("message, presence"), "{detail}");
    request(&hub, "POST", "/api/events", "Content-Type: application/json\r\n", "{}")
        .await
        .problem(405, "method-not-allowed");
    hub.stop().await;
}

#[tokio::test]
async fn readings_of_certain_devices_and_sensors_can_be_asked_for() {
    let hub = Running::start(Hub::new().store(Store::in_memory(Settings::new()).unwrap())).await;
    let mut kitchen = Events::open(&hub, "?device=kitchen&device=a%2Cb", None).await;
    let mut heat = Events::open(&hub, "?device=kitchen&device=attic&sensor=heat", None).await;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(request(&hub, "PUT", "/api/devices/kitchen/twin/desired", json, "{\"on\":1}").await.status, 200);
    assert_eq!(kitchen.next("twin").await["device"], "kitchen");
    request(&hub, "PUT", "/api/devices/cellar/twin/desired", json, "{\"on\":1}").await;
    for (device, sensor) in
        [("cellar", "heat"), ("kitchen", "open"), ("attic", "heat"), ("a,b", "heat"), ("kitchen", "heat")]
    {
        post(&hub, "/api/readings", &json!({"device": device, "at_ms": 1000, "readings": {sensor: 1}})).await;
    }
    let of = |told: &Value| (told["device"].as_str().unwrap().to_owned(), told["sensor"].as_str().unwrap().to_owned());
    for (device, sensor) in [("kitchen", "open"), ("a,b", "heat"), ("kitchen", "heat")] {
        assert_eq!(of(&kitchen.next("reading").await), (device.to_owned(), sensor.to_owned()));
    }
    for device in ["attic", "kitchen"] {
        assert_eq!(of(&heat.next("reading").await), (device.to_owned(), "heat".to_owned()));
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_listener_that_comes_back_hears_what_it_missed_or_of_the_gap() {
    let hub = Running::all().await;
    let mut events = Events::open(&hub, "", None).await;
    let beginning = events.id.clone();
    let set = async |value: u32| {
        let change = json!({"action": "set", "value": value});
        assert_eq!(post(&hub, "/api/state/x", &change).await.status, 200);
    };
    set(1).await;
    events.next("counter").await;
    let first = events.id.clone();
    assert_ne!(first, beginning);
    drop(events);
    set(2).await;
    set(3).await;
    let mut events = Events::open(&hub, "", Some(&first)).await;
    for value in [2, 3] {
        assert_eq!(events.next("counter").await["value"], value);
    }
    for unknown in ["0000000000000000-1", "nonsense", &format!("{first}9")] {
        let mut events = Events::open(&hub, "", Some(unknown)).await;
        events.next("gap").await;
        set(9).await;
        assert_eq!(events.next("counter").await["value"], 9, "and it goes on from there");
    }
    hub.stop().await;

    let hub = Running::all().await;
    let mut events = Events::open(&hub, "", Some(&first)).await;
    events.next("gap").await;
    hub.stop().await;
}

#[tokio::test]
async fn changes_of_documents_and_twins_are_told_without_their_values() {
    let hub = Running::all().await;
    let mut events = Events::open(&hub, "?kinds=document,twin", None).await;
    let mut lab = Events::open(&hub, "?rooms=lab", None).await;
    let json = "Content-Type: application/json\r\n";
    let put = async |target: &str| assert_eq!(request(&hub, "PUT", target, json, r#"{"on":true}"#).await.status, 200);
    put("/api/rooms/lab/documents/lamp").await;
    let changed = json!({"room": "lab", "name": "lamp", "version": 1});
    assert_eq!(events.next("document").await, changed);
    // The same once more changes nothing.
    put("/api/rooms/lab/documents/lamp").await;
    put("/api/devices/esp/twin/desired").await;
    assert_eq!(events.next("twin").await, json!({"device": "esp", "part": "desired", "version": 1}));
    request(&hub, "DELETE", "/api/rooms/lab/documents/lamp", "", "").await;
    let removed = json!({"room": "lab", "name": "lamp", "version": 2, "removed": true});
    assert_eq!(events.next("document").await, removed);
    let mut esp = enter(&hub, "/rooms/lab/esp").await;
    envelope(&mut esp).await;
    esp.send(r#"{"type":"report","put":{"on":true}}"#).await.unwrap();
    assert_eq!(events.next("twin").await, json!({"device": "esp", "part": "reported", "version": 1}));
    esp.send(r#"{"type":"state","document":"lamp","put":1}"#).await.unwrap();
    assert_eq!(events.next("document").await["version"], 3);
    assert_eq!((lab.next("document").await, lab.next("document").await), (changed, removed), "of this room");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_listener_is_told_so_at_the_end_and_disturbs_nobody() {
    let hub = Running::start(Hub::new()).await;
    // A listener with a small window, which does not read.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(hub.address).await.unwrap();
    slow.write_all(b"GET /api/events?kinds=message HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    slow.read_exact(&mut [0; 12]).await.unwrap();
    let (mut esp, mut page) = (hub.open("/esp").await, hub.open("/page").await);
    let large = "x".repeat(60_000);
    // Several times what the sockets between them hold.
    for _ in 0..300 {
        esp.send(large.as_str()).await.unwrap();
        assert_eq!(text(&mut page).await.len(), large.len());
    }
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await.expect("it ends").unwrap();
    let rest = String::from_utf8(rest).unwrap();
    let messages = rest.matches("event: message\n").count();
    assert!((1..300).contains(&messages), "{messages}");
    let last = rest.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: slow\ndata: "), "{last:.100}");
    hub.stop().await;
}

#[tokio::test]
async fn listeners_are_told_of_the_end_and_do_not_hold_it_up() {
    let hub = Running::all().await;
    let mut events = Events::open(&hub, "", None).await;
    let stopping = tokio::spawn(hub.stop());
    events.next("closed").await;
    assert_eq!(events.block().await, None, "and the stream ends");
    // Not after the time that connections have to end.
    tokio::time::timeout(Duration::from_secs(5), stopping).await.expect("soon").unwrap();
}
