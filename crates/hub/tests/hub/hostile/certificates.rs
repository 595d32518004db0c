//! Certificates that do not count, shown to a hub that asks for them.

use std::time::{Duration, SystemTime};

use tautline::ConnectError;
use tautline_hub::Hub;
use tautline_identity::{Authority, Validity};

use crate::identity::{KIND, Secure, days, id};

#[tokio::test]
async fn who_shows_a_certificate_that_does_not_count_gets_no_connection_and_others_do() {
    let hub = Secure::start(Hub::new()).await;
    let mut innocent = hub.open("/innocent", Some(&hub.client("innocent"))).await.unwrap();
    assert_eq!(id(&mut innocent).await, "innocent");
    let stranger = Authority::create("Test CA", KIND, days()).unwrap();
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let expired = Validity { from: now - 3 * day, until: now - day };
    let server = hub.trusted.ca.server(&["127.0.0.1".parse().unwrap()], KIND, days()).unwrap();
    for (what, shown) in [
        ("another CA of the same name", stranger.client("innocent", KIND, days()).unwrap()),
        ("expired", hub.trusted.ca.client("innocent", KIND, expired).unwrap()),
        ("a server's", server),
    ] {
        let refused = hub.open("/hostile", Some(&shown)).await;
        assert!(refused.is_err(), "{what}");
        // Nor does it read anything.
        assert!(!matches!(refused, Err(ConnectError::Refused(_))), "{what} was looked at: {refused:?}");
    }
    let mut other = hub.open("/other", Some(&hub.client("other"))).await.unwrap();
    assert_eq!(id(&mut other).await, "other");
    hub.stop().await;
}
