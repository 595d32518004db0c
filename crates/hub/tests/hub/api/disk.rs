//! A disk that is full, and has room again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tautline::{CloseCode, Ended};
use tautline_hub::Hub;
use tautline_rooms::RoomSettings;
use tautline_store::{Backend, Memory, Retention, Source, Step, Store, StoreError, Write};

use super::{get, look, post, request, well};
use crate::Running;
use crate::rooms::{enter, envelope, with};

/// A disk that is full while the flag is set.
struct Disk(Memory, Arc<AtomicBool>);

impl Backend for Disk {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) { Err(StoreError::DiskFull) } else { self.0.commit(writes) }
    }

    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError> {
        self.0.retain(retention)
    }

    fn source(&self) -> Arc<dyn Source> {
        self.0.source()
    }
}

/// A full disk, and the flag that says so.
fn full_disk() -> (Arc<AtomicBool>, Store) {
    let full = Arc::new(AtomicBool::new(true));
    let store = Store::start(Disk(Memory::new(), full.clone()), tautline_store::Settings::new()).unwrap();
    (full, store)
}

#[tokio::test]
async fn a_hub_whose_disk_is_full_is_not_ready_until_there_is_room_again() {
    let (full, store) = full_disk();
    let hub = Running::start(Hub::new().store(store)).await;
    let plus = serde_json::json!({"action": "plus"});
    well(&hub, "/readyz").await; // nobody knows yet
    post(&hub, "/api/state/x", &plus).await.problem(503, "not-stored");
    for _ in 0..2 {
        let answer = get(&hub, "/readyz").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (503, "the store does not take anything: the disk is full\n")
        );
    }
    assert_eq!(get(&hub, "/livez").await.status, 200);
    // Nobody has to store anything for it to be found out.
    full.store(false, Ordering::SeqCst);
    well(&hub, "/readyz").await;
    assert_eq!(post(&hub, "/api/state/x", &plus).await.json()["value"], 1);
    hub.stop().await;
}

#[tokio::test]
async fn a_durable_room_that_was_made_while_the_disk_was_full_takes_messages_once_there_is_room() {
    let (full, store) = full_disk();
    let hub = Running::start(with(RoomSettings { durable: true, ..RoomSettings::default() }).store(store)).await;
    let mut page = enter(&hub, "/rooms/lab/page").await;
    assert_eq!(envelope(&mut page).await["type"], "welcome");
    let mut raw = hub.open("/rooms/lab/esp").await;
    raw.send("1").await.unwrap();
    assert!(raw.recv().await.is_none());
    assert!(matches!(raw.ended(), Some(Ended::ClosedByPeer { code: CloseCode::TRY_AGAIN_LATER, .. })));
    let message = json!({"id": "m1", "text": "2"});
    post(&hub, "/api/rooms/lab/messages", &message).await.problem(503, "not-stored");
    full.store(false, Ordering::SeqCst);
    assert_eq!(post(&hub, "/api/rooms/lab/messages", &message).await.status, 201);
    let published = envelope(&mut page).await;
    assert_eq!(
        (&published["text"], &published["offset"]),
        (&json!("2"), &json!(3)),
        "numbers of what failed are not used again"
    );
    let mut raw = hub.open("/rooms/lab/esp").await;
    raw.send("3").await.unwrap();
    assert_eq!(envelope(&mut page).await["text"], "3");
    assert_eq!(look(&hub, "/api/rooms/lab").await["offset"], 4);
    hub.stop().await;
}

#[tokio::test]
async fn how_long_readings_are_kept_does_not_change_if_that_could_not_be_stored() {
    let (full, store) = full_disk();
    let hub = Running::start(Hub::new().store(store.clone())).await;
    let set = async |seconds| {
        let body = json!({"keep_seconds": seconds}).to_string();
        request(&hub, "PATCH", "/api/devices/k/sensors/t", "Content-Type: application/json\r\n", &body).await
    };
    let measure = async || post(&hub, "/api/devices/k/readings", &json!({"readings": {"t": 1}})).await.status;
    let listed = async || look(&hub, "/api/devices/k/sensors").await["sensors"][0].get("keep_seconds").cloned();
    let stored = || store.read(|reader| Ok(reader.sensors()?[0].keep_ms)).unwrap();
    full.store(false, Ordering::SeqCst);
    assert_eq!((measure().await, set(60).await.status), (200, 200));
    full.store(true, Ordering::SeqCst);
    set(3600).await.problem(503, "not-stored");
    assert_eq!(listed().await, Some(json!(60.0)));
    full.store(false, Ordering::SeqCst);
    assert_eq!((measure().await, stored()), (200, Some(60_000)), "a reading does not bring it into the store later");
    assert_eq!((set(3600).await.status, stored()), (200, Some(3_600_000)));
    assert_eq!((measure().await, listed().await), (200, Some(json!(3600.0))));
    hub.stop().await;
}
