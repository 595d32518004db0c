//! Whether it lives, whether it can work, and what it has counted.

use std::sync::{Arc, mpsc};

use tautline::CloseCode;
use tautline_hub::{AppName, Hub};
use tautline_store::{Backend, Memory, Retention, Source, Step, Store, StoreError, Write};

use super::{get, look, post, request, well};
use crate::{Running, text};

#[tokio::test]
async fn a_hub_that_works_is_alive_and_ready_whatever_it_serves() {
    let store = Store::in_memory(tautline_store::Settings::new()).unwrap();
    for hub in [Hub::new(), Hub::new().store(store), Hub::new().only(AppName::Echo), Hub::new().only(AppName::Post)] {
        let hub = Running::start(hub).await;
        for path in ["/livez", "/readyz", "/healthz"] {
            assert_eq!(well(&hub, path).await, "ok", "{path}");
        }
        let answer = request(&hub, "GET", "/readyz", "Host: any.example\r\n", "").await;
        assert!([200, 503].contains(&answer.status), "for whoever asks: {}", answer.status);
        hub.stop().await;
    }
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let store = Store::in_memory(tautline_store::Settings::new()).unwrap();
    let hub = Running::start(Hub::new().store(store)).await;
    let mut esp = hub.open("/rooms/lab/esp").await;
    let mut page = hub.open("/rooms/lab/page").await;
    for message in ["1", "2", "3"] {
        esp.send(message).await.unwrap();
        assert_eq!(text(&mut page).await, message);
    }
    assert!(esp.close(CloseCode::NORMAL, "").await.is_clean());
    post(&hub, "/api/state/x", &serde_json::json!({"action": "plus"})).await;
    request(&hub, "BREW", "/api/state/x", "", "").await;
    tautline::connect(hub.url("/livez")).await.unwrap_err();
    // It has left when the room says so.
    while look(&hub, "/api/rooms/lab").await["members"] != 1 {}
    let mut answer = get(&hub, "/metrics").await;
    // Where its loops are kept from answering in time, their counts are left out.
    while !answer.body.contains("tautline_rooms 1\n") {
        answer = get(&hub, "/metrics").await;
    }
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "tautline_connections_opened_total 2",
        "tautline_messages_received_total 3",
        "tautline_messages_sent_total 3",
        "tautline_messages_dropped_total 0",
        "tautline_disconnects_total{cause=\"closed_by_client\"} 1",
        "tautline_disconnects_total{cause=\"silent\"} 0",
        "tautline_rooms 1",
        "tautline_room_members 1",
        "tautline_store_submissions_total{result=\"failed\"} 0",
        "tautline_http_requests_total{method=\"POST\",status=\"2xx\"} 1",
        "tautline_http_requests_total{method=\"other\",status=\"4xx\"} 1",
        "tautline_refused_connections_total{reason=\"handshake\"} 1",
        "tautline_refused_connections_total{reason=\"server_full\"} 0",
    ] {
        assert!(answer.body.lines().any(|l| l == line), "{line} is not in\n{}", answer.body);
    }
    let commits = answer.body.lines().find_map(|line| line.strip_prefix("tautline_store_commits_total "));
    assert!(commits.unwrap().parse::<u64>().unwrap() >= 1, "the counter's value");
    assert!(!answer.body.contains("esp") && !answer.body.contains("lab"), "no names in it");
    hub.stop().await;
}

#[tokio::test]
async fn their_paths_are_no_client_ids() {
    let hub = Running::all().await;
    for path in ["/livez", "/readyz", "/metrics", "/api", "/api/rooms"] {
        let refused = tautline::connect(hub.url(path)).await.expect_err(path);
        let tautline::ConnectError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.status(), 404, "{path}");
    }
    hub.stop().await;
}

/// A disk that takes its time: each commit waits until it is told to go on.
struct Slow(Memory, mpsc::Receiver<()>);

impl Backend for Slow {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let _ = self.1.recv();
        self.0.commit(writes)
    }

    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError> {
        self.0.retain(retention)
    }

    fn source(&self) -> Arc<dyn Source> {
        self.0.source()
    }
}

#[tokio::test]
async fn a_hub_whose_store_hangs_lives_but_is_not_ready() {
    let (go_on, waits) = mpsc::channel();
    let store = Store::start(Slow(Memory::new(), waits), tautline_store::Settings::new()).unwrap();
    let hub = Arc::new(Running::start(Hub::new().store(store)).await);
    let at = hub.clone();
    let change = tokio::spawn(async move { post(&at, "/api/state/x", &serde_json::json!({"action": "plus"})).await });
    // It is on its way to the disk once the hub says that it waits.
    while !get(&hub, "/metrics").await.body.contains("tautline_store_waiting 1\n") {}
    let answer = get(&hub, "/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "the store does not get done with what waits\n"));
    assert_eq!(get(&hub, "/livez").await.status, 200);
    assert_eq!(look(&hub, "/api/state/x").await["value"], 0, "nobody sees what is not stored");
    // From now on it does not wait.
    drop(go_on);
    assert_eq!(change.await.unwrap().json()["value"], 1);
    well(&hub, "/readyz").await;
    Arc::into_inner(hub).unwrap().stop().await;
}
