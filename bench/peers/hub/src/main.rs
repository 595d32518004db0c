//! tautline-hub: raw clients in rooms, with the settings that a hub has by itself.

use std::future::pending;

use tautline_hub::Hub;

fn main() {
    peer_common::run(|listener| async move {
        let hub = Hub::new().loops(peer_common::threads());
        hub.run(listener, pending::<()>()).await.expect("a listener that works");
    });
}
