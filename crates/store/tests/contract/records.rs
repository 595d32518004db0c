//! Records to write, with as little as a test has to say about them.

use tautline_store::{Command, CommandState, Connection, Device, Document, Kind, Message, Token, Twin, Write};

pub(crate) const EPOCH: u64 = u64::MAX - 1;

pub(crate) fn open(room: &str) -> Write {
    Write::OpenRoom { room: room.into(), epoch: EPOCH, durable: true }
}

pub(crate) fn message(room: &str, offset: u64) -> Message {
    Message {
        room: room.into(),
        epoch: EPOCH,
        offset,
        at_ms: (offset as i64).saturating_mul(10),
        from: "a".into(),
        message_id: None,
        kind: Kind::Text,
        payload: format!("message {offset}").into(),
    }
}

pub(crate) fn named(room: &str, offset: u64, from: &str, message_id: &str) -> Message {
    Message { from: from.into(), message_id: Some(message_id.into()), ..message(room, offset) }
}

pub(crate) fn document(name: &str, version: u64, json: Option<&str>) -> Document {
    Document { room: "r".into(), name: name.into(), version, json: json.map(Into::into), at_ms: version as i64 }
}

pub(crate) fn twin(device: &str, desired_version: u64, reported_version: u64) -> Twin {
    Twin {
        device: device.into(),
        desired: format!("{{\"led\":{desired_version}}}").into(),
        desired_version,
        reported: format!("{{\"led\":{reported_version}}}").into(),
        reported_version,
        at_ms: 5,
    }
}

pub(crate) fn command(id: &str, device: &str, created_ms: i64) -> Command {
    Command {
        id: id.into(),
        device: device.into(),
        name: "led".into(),
        payload: "{\"on\":true}".into(),
        created_ms,
        expires_ms: Some(created_ms + 1000),
        state: CommandState::Queued,
        result: None,
        changed_ms: created_ms,
    }
}

pub(crate) fn change(id: &str, state: CommandState, at_ms: i64) -> Write {
    Write::ChangeCommand { id: id.into(), state, result: Some("{}".into()), at_ms }
}

pub(crate) fn token(id: &str, hash: u8) -> Token {
    Token {
        id: id.into(),
        name: "lamp in the hall".into(),
        hash: [hash; 32],
        permissions: "{\"rooms\":[\"r\"]}".into(),
        created_ms: 1,
        expires_ms: None,
        revoked_ms: None,
    }
}

pub(crate) fn device(id: &str, first_seen_ms: i64, last_seen_ms: i64) -> Device {
    Device {
        id: id.into(),
        first_seen_ms,
        last_seen_ms,
        address: format!("192.0.2.1:{last_seen_ms}"),
        transport: "wss".into(),
        certificate: Some("ESP Client 1".into()),
    }
}

pub(crate) fn connection(device: &str, closed_ms: i64) -> Connection {
    Connection {
        device: device.into(),
        room: Some("r".into()),
        opened_ms: closed_ms - 1,
        closed_ms,
        peer: "192.0.2.1:1024".into(),
        transport: "ws".into(),
        reason: "no pong for 20 s".into(),
    }
}
