//! What goes on by itself, as long as the hub runs.

use std::iter;
use std::time::Duration;

use tautline_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::{Ordered, Shared};
use crate::telemetry::Telemetry;

/// How often the keys of devices are read again.
const KEYS: Duration = Duration::from_secs(2);

/// How often it is looked whether a command has to be sent again, or another one can be.
const AGAIN: Duration = Duration::from_millis(100);

/// How often it is looked who is silent.
const SWEEP: Duration = Duration::from_secs(5);

/// Stores what has gathered, one commit after the other.
pub(super) async fn commit(shared: Shared, telemetry: Telemetry) {
    loop {
        let batch = shared.desk().next_batch(shared.now());
        let Some((readings, writes)) = batch else {
            shared.0.work.notified().await;
            continue;
        };
        let (reply, answer) = oneshot::channel();
        let submitted = telemetry.submit(readings, writes, |result| {
            // Without somebody who waits the hub has ended.
            let _ = reply.send(result);
        });
        let stored = match submitted {
            Ok(()) => matches!(answer.await, Ok(Ok(()))),
            Err(error) => {
                let now = shared.now().ms;
                if let Some(times) = shared.0.complaints.note(now, "the store takes nothing") {
                    tracing::warn!(%error, times, "readings of devices are not taken now");
                }
                // Devices send them again, and it would be the same at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                false
            }
        };
        shared.at_desk(|desk, replies| desk.committed(stored, replies));
        shared.0.room.notify_waiters();
    }
}

/// Sends commands, and sends them again.
pub(super) async fn command(shared: Shared, mut orders: mpsc::UnboundedReceiver<Ordered>) {
    let mut waiting = false;
    loop {
        // Either something new is to be sent, or something again.
        let patience = if waiting { AGAIN } else { Duration::MAX };
        let order = match tokio::time::timeout(patience, orders.recv()).await {
            Ok(None) => return,
            Ok(order) => order,
            Err(_) => None,
        };
        waiting = shared.at_desk(|desk, replies| {
            let now = shared.now();
            for Ordered { device, command, within } in order.into_iter().chain(iter::from_fn(|| orders.try_recv().ok()))
            {
                desk.command(now, device, &command, within);
            }
            desk.transmit_commands(now.ms, replies)
        });
    }
}

/// Finds out who is not there any more.
pub(super) async fn sweep(shared: Shared) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        shared.at_desk(|desk, _| desk.sweep(shared.now().ms));
    }
}

/// Keeps up with the keys in the store.
pub(super) async fn follow_keys(shared: Shared, store: Store) {
    let mut interval = tokio::time::interval(KEYS);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        interval.tick().await;
        let store = store.clone();
        let read = tokio::task::spawn_blocking(move || store.read(|reader| reader.device_keys())).await;
        match read.unwrap_or_else(|error| Err(StoreError::Io(error.to_string()))) {
            Ok(keys) => {
                failing = false;
                shared.at_desk(|desk, _| desk.set_keys(keys));
            }
            Err(StoreError::Closed) => return,
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "keys of devices cannot be read: those that were known count on");
            }
            Err(_) => {}
        }
    }
}

/// A task without which readings are not taken as they should be: if it panics, that is known.
pub(super) fn watched<T: Future<Output = ()> + Send>(
    name: &'static str,
    shared: &Shared,
    task: T,
) -> impl Future<Output = ()> + Send + use<T> {
    struct Alarm(Shared, &'static str);
    impl Drop for Alarm {
        fn drop(&mut self) {
            if std::thread::panicking() {
                // Which was the first is enough.
                let _ = self.0.0.failed.set(self.1);
            }
        }
    }
    let alarm = Alarm(shared.clone(), name);
    async move {
        let _alarm = alarm;
        task.await;
    }
}
