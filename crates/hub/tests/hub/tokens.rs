//! Clients that show access tokens, by WebSocket.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tautline::{CloseCode, ConnectError, Ended, WebSocket, connect};
use tautline_hub::{Hub, Permissions, RAW_SUBPROTOCOL, SUBPROTOCOL};
use tautline_identity::TokenText;
use tautline_store::{Store, Write};

use crate::rooms::{enter, envelope, patient};
use crate::{Running, text};

pub(crate) const MEMBER: Permissions =
    Permissions { rooms: None, publish: true, subscribe: true, command: false, admin: false };
pub(crate) const PUBLISHER: Permissions = Permissions { subscribe: false, ..MEMBER };
pub(crate) const SUBSCRIBER: Permissions = Permissions { publish: false, ..MEMBER };

pub(crate) fn for_room(room: &str) -> Permissions {
    Permissions { rooms: Some([room.to_owned()].into()), ..MEMBER }
}

/// What keeps tokens beside a hub.
pub(crate) struct Keeper(Store);

impl Keeper {
    pub(crate) fn new() -> Self {
        Self(Store::in_memory(tautline_store::Settings::new()).unwrap())
    }

    /// A hub with the tokens that there are.
    pub(crate) async fn start(&self, hub: Hub) -> Running {
        Running::start(hub.store(self.0.clone())).await
    }

    /// A new token.
    pub(crate) fn add(&self, name: &str, permissions: &Permissions) -> TokenText {
        self.add_until(name, permissions, None)
    }

    fn add_until(&self, name: &str, permissions: &Permissions, expires_ms: Option<i64>) -> TokenText {
        let text = TokenText::random();
        self.write(Write::AddToken(tautline_store::Token {
            id: text.id().into(),
            name: name.into(),
            hash: text.hash(),
            permissions: permissions.to_json(),
            created_ms: 0,
            expires_ms,
            revoked_ms: None,
        }));
        text
    }

    pub(crate) fn revoke(&self, token: &TokenText) {
        self.write(Write::RevokeToken { id: token.id().into(), at_ms: 1 });
    }

    fn write(&self, write: Write) {
        self.0.submit(vec![write], |done| done.unwrap()).unwrap();
        self.0.flush();
    }
}

/// Opens a WebSocket with a token; the status and the text of the answer if it is refused.
async fn open(hub: &Running, path: &str, token: &TokenText) -> Result<WebSocket, (u16, String)> {
    refused(connect(hub.url(path)).bearer(token.reveal()).await)
}

fn refused(opened: Result<WebSocket, ConnectError>) -> Result<WebSocket, (u16, String)> {
    opened.map_err(|error| match error {
        ConnectError::Refused(refusal) => (refusal.status().as_u16(), refusal.body().to_owned()),
        error => panic!("{error}"),
    })
}

async fn open_with_envelopes(hub: &Running, path: &str, token: &TokenText) -> WebSocket {
    connect(hub.url(path)).bearer(token.reveal()).subprotocol(SUBPROTOCOL).await.unwrap()
}

/// Waits for the end.
async fn ended(mut ws: WebSocket) -> Option<Ended> {
    let end = async { while ws.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("it ends");
    ws.ended()
}

const POLICY: Option<Ended> = Some(Ended::ClosedByPeer { code: CloseCode::POLICY_VIOLATION, clean: true });

#[tokio::test]
async fn a_token_is_shown_as_header_subprotocol_or_query() {
    let keeper = Keeper::new();
    let token = keeper.add("page", &MEMBER);
    let hub = keeper.start(Hub::new().require_authentication(true)).await;
    let (token, url) = (token.reveal(), hub.url("/esp"));
    let as_subprotocol = format!("tautline.token.{token}");
    for (way, request, selected) in [
        ("header", connect(&url).bearer(token), None),
        ("query", connect(format!("{url}?token={token}")), None),
        ("both", connect(format!("{url}?token={token}")).bearer(token), None),
        ("subprotocol alone", connect(&url).subprotocol(&as_subprotocol), None),
        ("subprotocols", connect(&url).subprotocol(&as_subprotocol).subprotocol(SUBPROTOCOL), Some(SUBPROTOCOL)),
        (
            "for browsers",
            connect(&url).subprotocol(RAW_SUBPROTOCOL).subprotocol(&as_subprotocol),
            Some(RAW_SUBPROTOCOL),
        ),
    ] {
        let mut ws = request.await.unwrap_or_else(|error| panic!("{way}: {error}"));
        assert_eq!(ws.info().subprotocol.as_deref(), selected, "{way}");
        ws.close(CloseCode::NORMAL, "").await;
    }
    hub.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_on_this_machine_too() {
    let keeper = Keeper::new();
    let (good, lost) = (keeper.add("page", &MEMBER), keeper.add("lost", &MEMBER));
    let old = keeper.add_until("old", &MEMBER, Some(1000));
    keeper.revoke(&lost);
    let hub = keeper.start(Hub::new()).await;
    drop(hub.open("/nobody").await);
    for (token, reason) in [(&TokenText::random(), "not known"), (&old, "expired"), (&lost, "revoked")] {
        let Err(ConnectError::Refused(refusal)) = connect(hub.url("/esp")).bearer(token.reveal()).await else {
            panic!("{reason}")
        };
        assert_eq!(refusal.status(), 401);
        assert_eq!(refusal.headers()["WWW-Authenticate"], "Bearer realm=\"tautline\"");
        assert!(refusal.body().contains(reason) && !refusal.body().contains(token.reveal()), "{}", refusal.body());
    }
    let two = connect(hub.url(&format!("/esp?token={}", good.reveal()))).bearer(lost.reveal()).await;
    assert_eq!(refused(two).err().map(|(status, _)| status), Some(400));
    for bad in ["", "tl_", "%74l_"] {
        let refused = refused(connect(hub.url(&format!("/esp?token={bad}"))).await);
        assert_eq!(refused.err().map(|(status, _)| status), Some(401), "{bad}");
    }
    assert!(open(&hub, "/esp", &good).await.is_ok());
    hub.stop().await;
}

#[tokio::test]
async fn where_authentication_is_required_nobody_comes_in_without_a_token() {
    let keeper = Keeper::new();
    let token = keeper.add("page", &MEMBER);
    let hub = keeper.start(Hub::new().require_authentication(true)).await;
    for path in ["/esp", "/rooms/lab/esp", "/counter", "/echo"] {
        let Err(ConnectError::Refused(refusal)) = connect(hub.url(path)).await else { panic!("{path}") };
        assert_eq!(
            (refusal.status().as_u16(), refusal.headers().contains_key("WWW-Authenticate")),
            (401, true),
            "{path}"
        );
        assert!(open(&hub, path, &token).await.is_ok(), "{path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_connections_and_begins_none() {
    let keeper = Keeper::new();
    let (lost, kept) = (keeper.add("lost", &MEMBER), keeper.add("kept", &MEMBER));
    let hub = keeper.start(Hub::new()).await;
    let mut open_ones = Vec::new();
    for path in ["/esp", "/rooms/lab/esp", "/counter", "/clock", "/echo"] {
        open_ones.push(open(&hub, path, &lost).await.unwrap());
    }
    let mut others = [open(&hub, "/echo", &kept).await.unwrap(), hub.open("/echo").await];
    keeper.revoke(&lost);
    for ws in open_ones {
        assert_eq!(ended(ws).await, POLICY);
    }
    assert!(matches!(open(&hub, "/esp", &lost).await, Err((401, _))));
    for other in &mut others {
        other.send("here").await.unwrap();
        assert_eq!(text(other).await, "here");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_token_that_expires_ends_its_connections() {
    let keeper = Keeper::new();
    let hub = keeper.start(Hub::new()).await;
    // On a busy machine it may be over before it is used.
    for seconds in [2, 4, 8, 16] {
        let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(seconds);
        let token = keeper.add_until("guest", &MEMBER, Some(until.as_millis() as i64));
        let opened = loop {
            match open(&hub, "/guest", &token).await {
                // The hub has not looked yet.
                Err((401, reason)) if reason.contains("not known") => {}
                other => break other,
            }
        };
        if let Ok(ws) = opened {
            assert_eq!(ended(ws).await, POLICY);
            let again = open(&hub, "/guest", &token).await;
            assert!(again.is_err_and(|(status, reason)| status == 401 && reason.contains("expired")));
            return hub.stop().await;
        }
    }
    panic!("always too late");
}

#[tokio::test]
async fn a_token_for_a_room_opens_that_room_only() {
    let keeper = Keeper::new();
    let token = keeper.add("lab", &for_room("l b"));
    let hub = keeper.start(Hub::new()).await;
    assert!(open(&hub, "/rooms/l%20b/esp", &token).await.is_ok());
    for path in ["/rooms/else/esp", "/esp", "/counter", "/state/x", "/clock", "/echo", "/hello"] {
        assert!(matches!(open(&hub, path, &token).await, Err((403, _))), "{path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn who_may_only_publish_hears_nothing_of_others() {
    let keeper = Keeper::new();
    let token = keeper.add("meter", &PUBLISHER);
    let hub = keeper.start(Hub::new()).await;
    let mut page = enter(&hub, "/rooms/lab/page").await;
    envelope(&mut page).await;
    let mut meter = open_with_envelopes(&hub, "/rooms/lab/meter", &token).await;
    let mut raw = open(&hub, "/rooms/lab/raw", &token).await.unwrap();
    let welcome: serde_json::Value = serde_json::from_str(&text(&mut meter).await).unwrap();
    assert_eq!((&welcome["members"], &welcome["count"]), (&json!(["meter"]), &json!(1)));
    page.send(json!({"type": "publish", "id": "p", "text": "secret"}).to_string()).await.unwrap();
    while envelope(&mut page).await["type"] != "ack" {}
    raw.send("20.5").await.unwrap();
    assert_eq!(envelope(&mut page).await["text"], "20.5");
    meter.send(json!({"type": "publish", "id": "m", "data": 21.5}).to_string()).await.unwrap();
    assert_eq!(envelope(&mut page).await["data"], 21.5);
    assert_eq!(text(&mut meter).await, r#"{"type":"ack","id":"m","offset":3}"#, "nothing came before");
    for change in [json!({"get": true}), json!({"subscribe": true}), json!({"put": 1})] {
        let mut ask = json!({"type": "state", "id": "s", "document": "lamp"});
        ask.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        meter.send(ask.to_string()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text(&mut meter).await).unwrap();
        assert_eq!(
            (&answer["type"], &answer["code"], &answer["id"]),
            (&json!("error"), &json!("forbidden"), &json!("s"))
        );
    }
    assert!(matches!(open(&hub, "/counter", &token).await, Err((403, _))));
    keeper.revoke(&token);
    assert_eq!(raw.recv().await.map(|message| message.len()), None);
    hub.stop().await;
}

#[tokio::test]
async fn who_may_only_subscribe_publishes_and_changes_nothing() {
    let keeper = Keeper::new();
    let token = keeper.add("screen", &SUBSCRIBER);
    let hub = keeper.start(Hub::new()).await;
    let mut screen = open_with_envelopes(&hub, "/rooms/lab/screen", &token).await;
    assert_eq!(envelope(&mut screen).await["type"], "welcome");
    for envelope_of in [
        json!({"type": "publish", "id": "x", "text": "hi"}),
        json!({"type": "state", "id": "x", "document": "lamp", "put": 1}),
        json!({"type": "state", "id": "x", "document": "lamp", "remove": true}),
        json!({"type": "report", "id": "x", "patch": {"on": true}}),
        json!({"type": "result", "id": "x", "data": 1}),
    ] {
        screen.send(envelope_of.to_string()).await.unwrap();
        let answer = envelope(&mut screen).await;
        assert_eq!((&answer["code"], &answer["id"]), (&json!("forbidden"), &json!("x")), "{envelope_of}");
    }
    screen.send(json!({"type": "state", "id": "g", "document": "lamp", "get": true}).to_string()).await.unwrap();
    assert_eq!(envelope(&mut screen).await["version"], 0);
    let mut page = hub.open("/rooms/lab/page").await;
    page.send("hello").await.unwrap();
    let message = envelope(&mut screen).await;
    assert_eq!((&message["text"], &message["offset"]), (&json!("hello"), &json!(1)), "the first that is published");
    // Without envelopes there is no other way to say so.
    let mut raw = open(&hub, "/rooms/lab/raw", &token).await.unwrap();
    page.send("again").await.unwrap();
    assert_eq!(text(&mut raw).await, "again");
    raw.send("hi").await.unwrap();
    assert_eq!(ended(raw).await, POLICY);
    let mut counter = open(&hub, "/counter", &token).await.unwrap();
    counter.send(r#"{"action":"plus"}"#).await.unwrap();
    assert_eq!(text(&mut counter).await, r#"{"type": "users", "count": 1}"#);
    assert_eq!(text(&mut counter).await, r#"{"type": "state", "value": 0}"#);
    assert!(text(&mut counter).await.contains(r#""type": "error""#));
    hub.stop().await;
}

#[tokio::test]
async fn a_token_for_a_room_speaks_for_no_device_but_its_own() {
    let keeper = Keeper::new();
    let (pump, class) = (keeper.add("pump", &for_room("hall")), keeper.add("class", &for_room("lab")));
    let hub = keeper.start(Hub::new()).await;
    let mut impostor = open_with_envelopes(&hub, "/rooms/lab/pump", &class).await;
    let mut device = open_with_envelopes(&hub, "/rooms/hall/pump", &pump).await;
    for ws in [&mut impostor, &mut device] {
        assert_eq!(envelope(ws).await["type"], "welcome");
        ws.send(json!({"type": "report", "id": "r", "patch": {"on": true}}).to_string()).await.unwrap();
    }
    assert_eq!(envelope(&mut impostor).await["code"], "forbidden");
    assert_eq!(envelope(&mut device).await, json!({"type": "report", "id": "r", "version": 1}));
    hub.stop().await;
}

#[tokio::test]
async fn a_token_of_one_device_takes_its_place_back_and_that_of_many_does_not() {
    let keeper = Keeper::new();
    let (own, shared) = (keeper.add("esp", &MEMBER), keeper.add("class", &MEMBER));
    let hub = keeper.start(patient()).await;
    let old = open(&hub, "/esp", &own).await.unwrap();
    let old = tokio::spawn(ended(old));
    let _new = open(&hub, "/esp", &own).await.unwrap();
    let replaced = Some(Ended::ClosedByPeer { code: CloseCode::REPLACED, clean: true });
    assert_eq!(old.await.unwrap(), replaced);
    let mut seven = open(&hub, "/7", &shared).await.unwrap();
    let alive = tokio::spawn(async move { seven.recv().await });
    assert!(matches!(open(&hub, "/7", &shared).await, Err((409, _))));
    alive.abort();
    // Without an id it has its name, if that is free.
    let mut one = open_with_envelopes(&hub, "/rooms/lab", &shared).await;
    let mut two = open_with_envelopes(&hub, "/rooms/lab", &shared).await;
    assert_eq!(envelope(&mut one).await["client"], "class");
    assert_ne!(envelope(&mut two).await["client"], "class");
    hub.stop().await;
}
