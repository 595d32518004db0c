//! Tasks that fail.

use tautline::{AddressLimits, Addresses};

use super::*;
use crate::clients::Clients;
use crate::ingest::{Doors, Ingest, start, watched};

#[tokio::test]
async fn a_task_that_panics_is_known_and_one_that_ends_is_no_failure() {
    let world = World::new(1);
    let doors = Doors { clients: Clients::default(), addresses: Addresses::new(AddressLimits::new()) };
    let (shared, mut tasks) =
        start(Ingest::default(), doors, world.telemetry, world.store.clone(), world.desk).unwrap();
    tasks.spawn(watched("over", &shared, async {}));
    assert!(tasks.join_next().await.unwrap().is_ok());
    tasks.spawn(watched("aborted", &shared, std::future::pending())).abort();
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
    assert_eq!(shared.failed(), None);
    tasks.spawn(watched("broken", &shared, async { panic!("on purpose") }));
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(shared.failed(), Some("broken"));
}
