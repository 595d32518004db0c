//! Python's websockets of today: its client against our servers, our client against its server.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::json;
use tautline::{CloseCode, ConnectError, Ended, Event, Message, OpCode, connect};
use tautline_conformance::peers::{
    Certificates, Client, Hub, Language, Process, Received, binary, request, scenarios, text, within,
};
use tautline_conformance::scenarios;

const PYTHON: Language = Language::Python;

scenarios! { PYTHON;
    // Their client, our server.
    echoes_every_length, echoes_in_order, takes_fragments, takes_very_many_fragments, answers_pings, is_kept_alive, is_closed_by_the_client,
    is_closed_by_the_server, is_told_of_the_end_of_the_hub, subprotocols, compression_is_not_agreed, compression_is_agreed, origins, aborts,
    too_big, over_tls,
    // Our client, their server.
    server_echoes, server_compresses, server_echoes_large_messages, server_sends_too_much, server_takes_fragments, server_answers_pings,
    server_is_closed_by_our_client, server_is_killed, server_echoes_in_order, server_selects_a_subprotocol,
    server_over_tls,
}

// ---- Their client, our apps.

fn users(count: usize) -> String {
    format!(r#"{{"type": "users", "count": {count}}}"#)
}

fn state(value: i64) -> String {
    format!(r#"{{"type": "state", "value": {value}}}"#)
}

#[tokio::test]
async fn counter_is_shared() {
    for (hub, path) in [(Hub::app("counter").await, "/anywhere"), (Hub::start().await, "/counter")] {
        let mut first = Client::connected(PYTHON, &hub.uri(path)).await;
        first.expect(users(1)).await;
        first.expect(state(0)).await;
        first.send(r#"{"action": "plus"}"#).await;
        first.expect(state(1)).await;

        let mut second = Client::connected(PYTHON, &hub.uri(path)).await;
        second.expect(users(2)).await;
        second.expect(state(1)).await;
        first.expect(users(2)).await;
        for (action, value) in [("plus", 2), ("minus", 1), ("minus", 0), ("minus", -1)] {
            second.send(format!(r#"{{"action":"{action}"}}"#)).await;
            first.expect(state(value)).await;
            second.expect(state(value)).await;
        }
        // What is no action changes nothing, and is nobody else's affair.
        second.send(r#"{"action": "double"}"#).await;
        second.send("no JSON").await;
        second.send(r#"{"action": "plus"}"#).await;
        first.expect(state(0)).await;

        assert_eq!(second.close(1000, "").await.0, 1000);
        first.expect(users(1)).await;
        let mut third = Client::connected(PYTHON, &hub.uri(path)).await;
        first.expect(users(2)).await;
        third.expect(users(2)).await;
        third.abort().await;
        first.expect(users(1)).await;
    }
}

#[tokio::test]
async fn relay_passes_messages_on_unchanged() {
    for hub in [Hub::app("relay").await, Hub::start().await] {
        let mut clients = Vec::new();
        for id in ["1", "2", "tres"] {
            clients.push(Client::connected(PYTHON, &hub.uri(&format!("/{id}"))).await);
        }
        // A client of ours sees how the messages come: each as one frame.
        let ours = within("our client's connection", connect(hub.uri("/4")).into_future());
        let mut ours = ours.await.expect("a connection");
        // Whoever connects may hear of it before the others' messages reach it; from here on all are there.
        let mut sent: Vec<Message> = vec!["SOS".into(), "ñ€😀".into(), "".into(), vec![0, 255].into(), vec![].into()];
        sent.extend([70_000, 1 << 20].into_iter().flat_map(|length| [text(length).into(), binary(length).into()]));
        for (turn, message) in sent.into_iter().enumerate() {
            let sender = turn % clients.len();
            clients[sender].send(message.clone()).await;
            for (index, client) in clients.iter_mut().enumerate() {
                if index != sender {
                    client.expect(message.clone()).await;
                }
            }
            assert_eq!(one_frame(&mut ours).await, message);
        }
        // Fragments go on as one frame, too.
        clients[0].send_fragments(&["a".into(), "ß".into(), "c".into()]).await;
        assert_eq!(one_frame(&mut ours).await, Message::from("aßc"));
        for client in &mut clients[1..] {
            client.expect("aßc").await;
        }
        // Nobody has heard itself: the next thing that each hears is somebody else's.
        within("a send", ours.send("end")).await.expect("an open connection");
        for client in &mut clients {
            client.expect("end").await;
        }
    }
}

/// Receives a message that comes as one unfragmented frame.
async fn one_frame(ws: &mut tautline::WebSocket) -> Message {
    let mut data = Vec::new();
    loop {
        match within("a message", ws.recv_event()).await {
            Some(Event::Data(chunk)) => {
                assert!(chunk.fin && chunk.opcode != OpCode::Continuation, "a fragment: {:?}", chunk.opcode);
                data.extend_from_slice(&chunk.data);
                if chunk.is_last() && chunk.opcode == OpCode::Text {
                    return String::from_utf8(data).expect("text").into();
                } else if chunk.is_last() {
                    return data.into();
                }
            }
            Some(_) => {}
            None => panic!("the connection ended: {:?}", ws.ended()),
        }
    }
}

#[tokio::test]
async fn relay_refuses_an_id_that_is_connected() {
    for hub in [Hub::patient(&["--app", "relay"]).await, Hub::patient(&[]).await] {
        let mut first = Client::connected(PYTHON, &hub.uri("/1")).await;
        let mut second = PYTHON.client();
        let answer = second.connect(json!(hub.uri("/1"))).await;
        assert_eq!((&answer["kind"], &answer["status"]), (&json!("InvalidStatus"), &json!(409)), "{answer}");
        let headers = answer["headers"].as_array().expect("headers");
        assert!(headers.iter().any(|header| header[0] == "Retry-After"), "{answer}");
        // The one that was there has lost nothing.
        second.open(json!(hub.uri("/2"))).await;
        second.send("to the first").await;
        first.expect("to the first").await;
        // An id is free again when its client has left, however it left.
        first.close(1000, "").await;
        reconnect(&mut first, &hub.uri("/1")).await;
        first.abort().await;
        reconnect(&mut first, &hub.uri("/1")).await;
        second.send("again").await;
        first.expect("again").await;
    }
}

/// Connects, however often that takes: a server may notice a little later than its client that this has left.
async fn reconnect(client: &mut Client, uri: &str) {
    let trying = async {
        loop {
            let answer = client.connect(json!(uri)).await;
            match &answer["status"] {
                status if status == 101 => return,
                status => assert_eq!(status, 409, "{answer}"),
            }
        }
    };
    within("a connection with an id that is free again", trying).await;
}

#[tokio::test]
async fn hello_greets_and_closes() {
    for (hub, path) in [(Hub::app("hello").await, "/"), (Hub::start().await, "/hello")] {
        let mut client = PYTHON.client();
        for name in ["Ada", "", "Íñigo 😀", &text(70_000)] {
            client.open(json!(hub.uri(path))).await;
            client.send(name).await;
            client.expect(format!("Hello {name}!")).await;
            assert_eq!(client.receive().await, Received::Closed(1000, String::new()));
        }
    }
}

#[tokio::test]
async fn clock_shows_the_time_at_once_and_then_now_and_then() {
    let hub = Hub::start().await;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    // What is shown has no fractions.
    let mut earliest = now() - 1.0;
    let mut client = Client::connected(PYTHON, &hub.uri("/clock")).await;
    let mut other = Client::connected(PYTHON, &hub.uri("/clock")).await;
    for _ in 0..4 {
        let message = client.recv().await;
        let time = seconds(message.as_text().expect("text"));
        assert!((earliest..=now() + 1.0).contains(&time), "{message:?}, not since {earliest}");
        earliest = time;
    }
    // Each connection has a schedule of its own.
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let (mine, theirs) = (client.recv().await, other.recv().await);
        seen.insert(mine.as_text().expect("text").to_owned());
        seen.insert(theirs.as_text().expect("text").to_owned());
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

/// Seconds since 1970 of a time as Python's `utcnow().isoformat() + "Z"` gives it.
fn seconds(text: &str) -> f64 {
    let parse = || {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = date.split('-').map(|part| part.parse::<i64>().ok()).collect::<Vec<_>>()[..] else {
            return None;
        };
        let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
        let fraction = second.split_once('.').map(|(_, fraction)| fraction.len());
        if date.len() != 10 || !matches!(fraction, None | Some(6)) {
            return None;
        }
        // Days since 1970, counted from March.
        let (year, month) = if month? > 2 { (year?, month? - 3) } else { (year? - 1, month? + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day? - 719_469;
        let clock =
            hour.parse::<f64>().ok()? * 3600.0 + minute.parse::<f64>().ok()? * 60.0 + second.parse::<f64>().ok()?;
        Some(days as f64 * 86_400.0 + clock)
    };
    parse().unwrap_or_else(|| panic!("not a time: {text:?}"))
}

#[tokio::test]
async fn one_hub_has_everything_on_one_port() {
    let hub = Hub::start().await;
    let mut client = PYTHON.client();
    client.open(json!(hub.uri("/echo"))).await;
    client.send("x").await;
    client.expect("x").await;
    assert_eq!(request(hub.port, "GET", "/healthz", "").await.status, 200);
    let page = request(hub.port, "GET", "/", "").await;
    assert_eq!((page.status, page.body.contains("id=\"counter-value\"")), (200, true));
    for path in ["/", "/any/path?query", "/echo", "/7"] {
        let answer = request(hub.port, "POST", path, "{\"id\": 1}").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.body, r#"{"status": "success", "message": "Received your request."}"#);
    }
    let refused = client.connect(json!(hub.uri("/not/an/app"))).await;
    assert_eq!(refused["status"], 404, "{refused}");
    hub.stop().await;
}

// ---- Our client, their server.

#[tokio::test]
async fn a_server_that_ends_closes_with_1001() {
    let (process, port) = PYTHON.echo_server(&[]).await;
    let mut ws = scenarios::ours_to(port).await;
    ws.send("x").await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
    process.signal(Signal::INT);
    assert_eq!(within("the end", ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::GOING_AWAY, clean: true }));
    process.success().await;
}

#[tokio::test]
async fn a_server_with_a_limit_closes_with_1009() {
    let (_process, port) = PYTHON.echo_server(&["--max-size", "1000"]).await;
    let mut ws = scenarios::ours_to(port).await;
    ws.send(text(1000)).await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some(text(1000).into()));
    ws.send(text(1001)).await.expect("an open connection");
    assert_eq!(within("the end", ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::TOO_BIG, clean: true }));
    assert!(ws.close_reason().is_some_and(|reason| !reason.is_empty()));
}

#[tokio::test]
async fn pings_of_the_server_are_answered_while_nobody_receives() {
    let (_process, port) = PYTHON.echo_server(&["--ping-interval", "0.2"]).await;
    let mut ws = scenarios::ours_to(port).await;
    let mut pings = 0;
    while pings < 3 {
        match within("a ping", ws.recv_event()).await {
            Some(Event::Ping(payload)) => {
                assert!(!payload.is_empty());
                pings += 1;
            }
            other => panic!("{other:?}, {:?}", ws.ended()),
        }
    }
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
}

#[tokio::test]
async fn client_certificates_are_shown() {
    let certificates = Certificates::new();
    let [cert, key, ca] =
        [&certificates.cert, &certificates.key, &certificates.ca].map(|path| path.display().to_string());
    let (_process, port) = PYTHON.echo_server(&["--ssl-cert", &cert, "--ssl-key", &key, "--ssl-ca", &ca]).await;
    let read = |path| std::fs::read(path).expect("a file of the certificates");
    let anonymous = connect(format!("wss://localhost:{port}")).ca(read(&certificates.ca));
    let known = anonymous.clone().client_certificate(read(&certificates.client_cert), read(&certificates.client_key));
    let mut ws = within("a connection", known.into_future()).await.expect("a connection");
    scenarios::exchange(&mut ws).await;
    scenarios::close(ws).await;
    // In TLS 1.3 a server looks at the certificate when its client is done; asyncio then hangs up without an alert.
    let refused = within("an error", anonymous.into_future()).await;
    assert!(matches!(refused, Err(ConnectError::Tls { .. } | ConnectError::Io(_))), "{:?}", refused.err());
}

#[tokio::test]
async fn a_reconnecting_client_finds_the_server_again() {
    let (process, port) = PYTHON.echo_server(&[]).await;
    let mut link = connect(format!("ws://127.0.0.1:{port}")).reconnecting();
    let mut ws = within("a connection", link.next()).await.expect("a connection");
    ws.send("x").await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some("x".into()));
    drop(process);
    assert_eq!(within("the end", ws.recv()).await, None);
    let (next, _process) = tokio::join!(within("a second connection", link.next()), restart(port));
    let mut ws = next.expect("a connection");
    ws.send("y").await.expect("an open connection");
    assert_eq!(within("an echo", ws.recv()).await, Some("y".into()));
}

async fn restart(port: u16) -> Process {
    // Not at once, so that an attempt fails.
    tokio::time::sleep(Duration::from_millis(100)).await;
    PYTHON.echo_server(&["--port", &port.to_string()]).await.0
}
