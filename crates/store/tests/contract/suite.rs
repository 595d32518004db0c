//! The rules, each as a function over any backend.

use bytes::Bytes;
use tautline_store::{
    Command, CommandState, Connection, Counter, Dedup, Device, Document, Kind, Message, Reader, Retention, StoreError,
    Write,
};

use crate::Harness;
use crate::random::everything;
use crate::records::*;

pub(crate) fn commit<H: Harness>(store: &mut H, writes: &[Write]) {
    store.backend().commit(writes).unwrap();
}

pub(crate) fn refused<H: Harness>(store: &mut H, write: Write) -> StoreError {
    store.backend().commit(&[write]).unwrap_err()
}

pub(crate) fn retain<H: Harness>(store: &mut H, retention: &Retention) {
    while store.backend().retain(retention).unwrap().more {}
}

fn messages(room: &str, offsets: impl IntoIterator<Item = u64>) -> Vec<Write> {
    offsets.into_iter().map(|offset| Write::Message(message(room, offset))).collect()
}

fn offsets(reader: &mut dyn Reader, room: &str) -> Vec<u64> {
    reader.history(room, 0, usize::MAX, usize::MAX).unwrap().iter().map(|message| message.offset).collect()
}

fn ids(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|command| &*command.id).collect()
}

pub(crate) fn nothing_is_there_at_first<H: Harness>(store: &mut H) {
    let mut reader = store.reader();
    assert_eq!(everything(&mut *reader), everything(&mut *H::new().reader()));
    assert_eq!(reader.rooms().unwrap(), []);
    assert_eq!(reader.history("r", 0, 10, 10).unwrap(), []);
    assert_eq!(reader.dedup("r").unwrap(), []);
    assert_eq!(reader.command("c").unwrap(), None);
    assert_eq!(reader.device("d").unwrap(), None);
    assert_eq!(reader.connections(None, None, 10).unwrap(), []);
}

pub(crate) fn everything_comes_back_as_it_was_written<H: Harness>(store: &mut H) {
    let text = Message { payload: "grüße \0 𝄞".into(), ..named("r", 1, "b", "") };
    let binary = Message { kind: Kind::Binary, payload: Bytes::from_static(&[0, 255, 128]), ..message("r", 2) };
    let json = Message { kind: Kind::Json, payload: Bytes::new(), at_ms: i64::MIN, ..message("r", i64::MAX as u64) };
    let (document, twin, token) = (document("d", 0, Some("{}")), twin("lamp", 0, 7), token("t", 9));
    let (command, device, ended) = (command("c", "lamp", -3), device("lamp", 1, 2), connection("lamp", 9));
    commit(
        store,
        &[
            open("r"),
            Write::Message(text.clone()),
            Write::Message(binary.clone()),
            Write::Message(json.clone()),
            Write::Document(document.clone()),
            Write::Twin(twin.clone()),
            Write::AddToken(token.clone()),
            Write::AddCommand(command.clone()),
            Write::Device(device.clone()),
            Write::Connection(ended.clone()),
        ],
    );
    let mut reader = store.reader();
    assert_eq!(reader.history("r", 0, usize::MAX, usize::MAX).unwrap(), [text, binary, json]);
    assert_eq!(reader.documents().unwrap(), [document]);
    assert_eq!(reader.twins().unwrap(), [twin]);
    assert_eq!(reader.tokens().unwrap(), [token]);
    assert_eq!(reader.command("c").unwrap(), Some(command));
    assert_eq!(reader.device("lamp").unwrap(), Some(device));
    let log = reader.connections(None, None, usize::MAX).unwrap();
    assert_eq!(log.into_iter().map(|entry| entry.connection).collect::<Vec<_>>(), [ended]);
}

pub(crate) fn a_commit_is_all_or_nothing<H: Harness>(store: &mut H) {
    commit(
        store,
        &[
            open("r"),
            open("s"),
            Write::Message(named("r", 1, "a", "1")),
            Write::Message(named("r", 2, "a", "2")),
            Write::Document(document("d", 1, Some("1"))),
            Write::Twin(twin("lamp", 1, 1)),
            Write::AddCommand(command("c", "lamp", 1)),
            Write::AddToken(token("t", 1)),
            Write::Device(device("lamp", 5, 5)),
            Write::Connection(connection("lamp", 1)),
            Write::SetCounter { name: "n".into(), value: 1 },
        ],
    );
    let before = everything(&mut *store.reader());
    // One of every kind, and the last one is refused.
    let writes = [
        Write::Message(named("r", 3, "a", "1")),
        Write::TrimRoom { room: "r".into(), below_offset: 3 },
        Write::TrimDedup { room: "r".into(), keep: 1, since_ms: 0 },
        Write::OpenRoom { room: "s".into(), epoch: EPOCH, durable: false },
        Write::OpenRoom { room: "s".into(), epoch: 1, durable: false },
        Write::Document(document("d", 2, None)),
        Write::Document(document("e", 1, None)),
        Write::Twin(twin("lamp", 2, 1)),
        Write::AddCommand(command("x", "lamp", 1)),
        change("c", CommandState::Done, 9),
        Write::AddToken(token("u", 2)),
        Write::RevokeToken { id: "t".into(), at_ms: 3 },
        Write::Device(device("lamp", 1, 9)),
        Write::Device(device("door", 1, 9)),
        Write::Connection(connection("lamp", 2)),
        Write::SetCounter { name: "n".into(), value: 2 },
        Write::SetCounter { name: "m".into(), value: 2 },
        Write::DropRoom { room: "r".into() },
        open("r"),
        Write::Message(message("r", 1)),
        Write::Message(message("r", 1)),
    ];
    assert!(matches!(store.backend().commit(&writes), Err(StoreError::Stale(_))));
    assert_eq!(everything(&mut *store.reader()), before);
    // Without the last one it is taken, so it was that one.
    commit(store, &writes[..writes.len() - 1]);
    assert_ne!(everything(&mut *store.reader()), before);
}

pub(crate) fn a_room_keeps_its_epoch_and_its_highest_offset<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), open("empty")]);
    commit(store, &messages("r", [3, 7]));
    commit(store, &[Write::TrimRoom { room: "r".into(), below_offset: 8 }]);
    commit(store, &[Write::OpenRoom { room: "r".into(), epoch: EPOCH, durable: false }]);
    let rooms = store.reader().rooms().unwrap();
    assert_eq!(rooms.iter().map(|room| &*room.name).collect::<Vec<_>>(), ["empty", "r"]);
    assert_eq!((rooms[0].epoch, rooms[0].last_offset, rooms[0].oldest_offset), (EPOCH, 0, None));
    assert!(rooms[0].durable);
    assert_eq!((rooms[1].epoch, rooms[1].last_offset, rooms[1].oldest_offset), (EPOCH, 7, None));
    assert!(!rooms[1].durable);
    commit(store, &messages("r", [8, 9]));
    let rooms = store.reader().rooms().unwrap();
    assert_eq!((rooms[1].last_offset, rooms[1].oldest_offset), (9, Some(8)));
}

pub(crate) fn a_new_epoch_begins_with_nothing<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), Write::Message(named("r", 5, "a", "1")), Write::Document(document("d", 1, None))]);
    commit(store, &[Write::OpenRoom { room: "r".into(), epoch: 1, durable: true }]);
    let mut reader = store.reader();
    let rooms = reader.rooms().unwrap();
    assert_eq!((rooms[0].epoch, rooms[0].last_offset, rooms[0].oldest_offset), (1, 0, None));
    assert_eq!(offsets(&mut *reader, "r"), []);
    assert_eq!(reader.dedup("r").unwrap(), []);
    assert_eq!(reader.documents().unwrap().len(), 1);
    commit(store, &[Write::Message(Message { epoch: 1, ..message("r", 1) })]);
    assert_eq!(offsets(&mut *reader, "r"), [1]);
}

pub(crate) fn a_dropped_room_is_gone_and_may_come_again<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), Write::Message(named("r", 5, "a", "1"))]);
    commit(store, &[Write::DropRoom { room: "r".into() }, Write::DropRoom { room: "unknown".into() }]);
    let mut reader = store.reader();
    assert_eq!(reader.rooms().unwrap(), []);
    assert_eq!(offsets(&mut *reader, "r"), []);
    assert_eq!(reader.dedup("r").unwrap(), []);
    commit(store, &[open("r"), Write::Message(message("r", 1))]);
    assert_eq!(offsets(&mut *reader, "r"), [1]);
}

pub(crate) fn an_offset_that_is_not_above_the_last_is_stale<H: Harness>(store: &mut H) {
    commit(store, &[open("r")]);
    assert!(matches!(refused(store, Write::Message(message("r", 0))), StoreError::Stale(_)));
    commit(store, &messages("r", [4]));
    for offset in [3, 4] {
        assert!(matches!(refused(store, Write::Message(message("r", offset))), StoreError::Stale(_)));
    }
    // Nor after it was trimmed away.
    commit(store, &[Write::TrimRoom { room: "r".into(), below_offset: 5 }]);
    assert!(matches!(refused(store, Write::Message(message("r", 4))), StoreError::Stale(_)));
    commit(store, &messages("r", [5]));
}

pub(crate) fn a_message_of_another_epoch_is_stale<H: Harness>(store: &mut H) {
    commit(store, &[open("r")]);
    let other = Message { epoch: 1, ..message("r", 1) };
    assert!(matches!(refused(store, Write::Message(other)), StoreError::Stale(_)));
}

pub(crate) fn a_message_for_an_unknown_room_is_refused<H: Harness>(store: &mut H) {
    assert!(matches!(refused(store, Write::Message(message("r", 1))), StoreError::Missing(_)));
    // Trimming asks for nothing that is not so already.
    let trim = Write::TrimDedup { room: "r".into(), keep: 1, since_ms: 1 };
    commit(store, &[Write::TrimRoom { room: "r".into(), below_offset: 1 }, trim]);
}

pub(crate) fn text_that_is_not_utf8_is_refused<H: Harness>(store: &mut H) {
    commit(store, &[open("r")]);
    for kind in [Kind::Text, Kind::Json] {
        let bad = Message { kind, payload: Bytes::from_static(&[0xff]), ..message("r", 1) };
        assert!(matches!(refused(store, Write::Message(bad)), StoreError::Invalid(_)));
    }
}

pub(crate) fn numbers_that_do_not_fit_are_refused<H: Harness>(store: &mut H) {
    commit(store, &[open("r")]);
    let above = i64::MAX as u64 + 1;
    let bad = [
        Write::Message(message("r", above)),
        Write::TrimRoom { room: "r".into(), below_offset: above },
        Write::Document(document("d", above, None)),
        Write::Twin(twin("d", above, 1)),
        Write::Twin(twin("d", 1, above)),
    ];
    for write in bad {
        assert!(matches!(refused(store, write), StoreError::Invalid(_)));
    }
    assert_eq!(store.reader().history("r", u64::MAX, 1, 1).unwrap(), []);
}

pub(crate) fn history_is_bounded_in_messages_and_in_bytes<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), open("s"), Write::Message(message("s", 1))]);
    let ten_bytes = |offset| Message { payload: vec![b'x'; 10].into(), ..message("r", offset) };
    commit(store, &[2, 4, 5, 9].map(|offset| Write::Message(ten_bytes(offset))));
    let mut reader = store.reader();
    let mut history = |from, messages, bytes| {
        let history = reader.history("r", from, messages, bytes).unwrap();
        history.iter().map(|message| message.offset).collect::<Vec<_>>()
    };
    assert_eq!(history(0, 100, 100), [2, 4, 5, 9]);
    assert_eq!(history(3, 100, 100), [4, 5, 9]);
    assert_eq!(history(4, 2, 100), [4, 5]);
    assert_eq!(history(4, 100, 20), [4, 5]);
    assert_eq!(history(4, 100, 19), [4]);
    assert_eq!(history(4, 100, 0), [4]);
    assert_eq!(history(4, 0, 100), []);
    assert_eq!(history(10, 100, 100), []);
}

pub(crate) fn trimming_a_room_takes_the_messages_below<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), open("s"), Write::Message(message("s", 1))]);
    commit(store, &messages("r", 1..=5));
    commit(store, &[Write::TrimRoom { room: "r".into(), below_offset: 4 }]);
    let mut reader = store.reader();
    assert_eq!(offsets(&mut *reader, "r"), [4, 5]);
    assert_eq!(offsets(&mut *reader, "s"), [1]);
}

pub(crate) fn dedup_entries_are_remembered_and_trimmed_by_number_and_age<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), open("s"), Write::Message(named("s", 1, "a", "0"))]);
    // A message without an id is not remembered.
    commit(store, &[Write::Message(message("r", 1))]);
    commit(store, &[2, 3, 4, 5].map(|offset| Write::Message(named("r", offset, "a", &offset.to_string()))));
    // Nor forgotten with the message.
    commit(store, &[Write::TrimRoom { room: "r".into(), below_offset: 5 }]);
    let mut reader = store.reader();
    let entry = Dedup { client: "a".into(), message_id: "2".into(), offset: 2, at_ms: 20 };
    assert_eq!(reader.dedup("r").unwrap()[0], entry);
    let mut trimmed = |keep, since_ms| {
        commit(store, &[Write::TrimDedup { room: "r".into(), keep, since_ms }]);
        reader.dedup("r").unwrap().iter().map(|entry| entry.offset).collect::<Vec<_>>()
    };
    assert_eq!(trimmed(u64::MAX, i64::MIN), [2, 3, 4, 5]);
    assert_eq!(trimmed(4, 20), [2, 3, 4, 5]);
    assert_eq!(trimmed(3, 20), [3, 4, 5]);
    assert_eq!(trimmed(3, 31), [4, 5]);
    assert_eq!(trimmed(0, 0), []);
    assert_eq!(store.reader().dedup("s").unwrap().len(), 1);
}

pub(crate) fn a_message_id_that_comes_again_has_the_later_offset<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), Write::Message(named("r", 1, "a", "x")), Write::Message(named("r", 2, "b", "x"))]);
    commit(store, &[Write::Message(named("r", 3, "a", "x"))]);
    let entries = store.reader().dedup("r").unwrap();
    let entries: Vec<_> = entries.iter().map(|entry| (&*entry.client, entry.offset)).collect();
    assert_eq!(entries, [("b", 2), ("a", 3)]);
}

pub(crate) fn counters_hold_every_value<H: Harness>(store: &mut H) {
    let set = |name: &str, value| Write::SetCounter { name: name.into(), value };
    commit(store, &[set("b", i64::MAX), set("a", 1)]);
    commit(store, &[set("a", i64::MIN)]);
    let counter = |name: &str, value| Counter { name: name.into(), value };
    assert_eq!(store.reader().counters().unwrap(), [counter("a", i64::MIN), counter("b", i64::MAX)]);
}

pub(crate) fn a_documents_version_never_runs_backwards<H: Harness>(store: &mut H) {
    commit(store, &[Write::Document(document("d", 3, Some("1")))]);
    for version in [2, 3] {
        let stale = Write::Document(document("d", version, Some("2")));
        assert!(matches!(refused(store, stale), StoreError::Stale(_)));
    }
    commit(store, &[Write::Document(document("d", 4, None))]);
    assert!(matches!(refused(store, Write::Document(document("d", 1, Some("2")))), StoreError::Stale(_)));
    // Another room's document is another one.
    commit(store, &[Write::Document(Document { room: "s".into(), ..document("d", 1, Some("2")) })]);
    let documents = store.reader().documents().unwrap();
    let documents: Vec<_> = documents.iter().map(|it| (&*it.room, it.version, it.json.as_deref())).collect();
    assert_eq!(documents, [("r", 4, None), ("s", 1, Some("2"))]);
}

pub(crate) fn a_twins_versions_never_run_backwards<H: Harness>(store: &mut H) {
    commit(store, &[Write::Twin(twin("lamp", 2, 2))]);
    for (desired, reported) in [(2, 2), (1, 3), (3, 1), (1, 1)] {
        assert!(matches!(refused(store, Write::Twin(twin("lamp", desired, reported))), StoreError::Stale(_)));
    }
    commit(store, &[Write::Twin(twin("lamp", 3, 2)), Write::Twin(twin("lamp", 3, 3))]);
    assert_eq!(store.reader().twins().unwrap(), [twin("lamp", 3, 3)]);
}

pub(crate) fn commands_are_added_once_and_change<H: Harness>(store: &mut H) {
    commit(store, &[Write::AddCommand(command("c", "lamp", 1))]);
    assert!(matches!(refused(store, Write::AddCommand(command("c", "door", 2))), StoreError::Exists(_)));
    assert!(matches!(refused(store, change("x", CommandState::Done, 5)), StoreError::Missing(_)));
    use CommandState::*;
    for state in [Queued, Sent, Done, Refused, Expired, Failed] {
        commit(store, &[change("c", state, 5)]);
        let wanted = Command { state, result: Some("{}".into()), changed_ms: 5, ..command("c", "lamp", 1) };
        assert_eq!(store.reader().command("c").unwrap(), Some(wanted));
    }
}

pub(crate) fn pending_commands_are_those_that_are_not_over<H: Harness>(store: &mut H) {
    commit(store, &[("b", 2), ("a", 2), ("z", 1), ("done", 0)].map(|(id, at)| Write::AddCommand(command(id, "d", at))));
    commit(store, &[change("a", CommandState::Sent, 3), change("done", CommandState::Done, 3)]);
    assert_eq!(ids(&store.reader().pending_commands().unwrap()), ["z", "a", "b"]);
}

pub(crate) fn a_devices_commands_come_in_pages_newest_first<H: Harness>(store: &mut H) {
    let given = [("a", "d", 1), ("b", "d", 2), ("c", "d", 2), ("e", "d", 3), ("f", "other", 4)];
    commit(store, &given.map(|(id, device, at)| Write::AddCommand(command(id, device, at))));
    let mut reader = store.reader();
    let mut page = |behind| reader.commands("d", behind, 2).unwrap();
    assert_eq!(ids(&page(None)), ["e", "c"]);
    assert_eq!(ids(&page(Some((2, "c")))), ["b", "a"]);
    assert_eq!(ids(&page(Some((1, "a")))), [""; 0]);
    assert_eq!(reader.commands("d", None, 0).unwrap(), []);
}

pub(crate) fn tokens_are_added_once_and_revoked_once<H: Harness>(store: &mut H) {
    commit(store, &[Write::AddToken(token("t", 1))]);
    assert!(matches!(refused(store, Write::AddToken(token("t", 2))), StoreError::Exists(_)));
    assert!(matches!(refused(store, Write::AddToken(token("u", 1))), StoreError::Exists(_)));
    assert!(matches!(refused(store, Write::RevokeToken { id: "u".into(), at_ms: 1 }), StoreError::Missing(_)));
    for at_ms in [7, 8] {
        commit(store, &[Write::RevokeToken { id: "t".into(), at_ms }]);
    }
    assert_eq!(store.reader().tokens().unwrap()[0].revoked_ms, Some(7));
}

pub(crate) fn a_device_is_as_it_was_last_seen<H: Harness>(store: &mut H) {
    commit(store, &[Write::Device(device("lamp", 50, 60))]);
    let plain = Device { transport: "ws".into(), certificate: None, ..device("lamp", 70, 70) };
    commit(store, &[Write::Device(plain.clone())]);
    assert_eq!(store.reader().device("lamp").unwrap(), Some(Device { first_seen_ms: 50, ..plain.clone() }));
    // What comes late says nothing about now.
    commit(store, &[Write::Device(device("lamp", 40, 45))]);
    assert_eq!(store.reader().device("lamp").unwrap(), Some(Device { first_seen_ms: 40, ..plain }));
}

pub(crate) fn devices_come_in_pages_by_id<H: Harness>(store: &mut H) {
    commit(store, &["c", "a", "", "b"].map(|id| Write::Device(device(id, 1, 1))));
    let mut reader = store.reader();
    let mut page = |behind| {
        let devices = reader.devices(behind, 2).unwrap();
        devices.iter().map(|device| device.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None), ["", "a"]);
    assert_eq!(page(Some("a")), ["b", "c"]);
    assert_eq!(page(Some("c")), [""; 0]);
}

pub(crate) fn connections_come_in_pages_newest_first<H: Harness>(store: &mut H) {
    // The order is that of the log, whatever the clock said.
    let ended = [("a", 5), ("b", 4), ("a", 3), ("a", 2)];
    commit(store, &ended.map(|(device, at)| Write::Connection(connection(device, at))));
    let no_room = Connection { room: None, ..connection("b", 9) };
    commit(store, &[Write::Connection(no_room.clone())]);
    let mut reader = store.reader();
    let page = reader.connections(None, None, 2).unwrap();
    assert_eq!(page[0].connection, no_room);
    assert_eq!(page[1].connection.closed_ms, 2);
    let page = reader.connections(None, Some(page[1].number), 10).unwrap();
    assert_eq!(page.iter().map(|entry| entry.connection.closed_ms).collect::<Vec<_>>(), [3, 4, 5]);
    let page = reader.connections(Some("a"), None, 2).unwrap();
    assert_eq!(page.iter().map(|entry| entry.connection.closed_ms).collect::<Vec<_>>(), [2, 3]);
    let page = reader.connections(Some("a"), Some(page[1].number), 2).unwrap();
    assert_eq!(page.iter().map(|entry| entry.connection.closed_ms).collect::<Vec<_>>(), [5]);
}

pub(crate) fn retention_deletes_what_is_older<H: Harness>(store: &mut H) {
    commit(store, &[open("r"), open("s"), Write::Message(message("s", 3))]);
    // More than a step deletes.
    commit(store, &messages("r", 1..=1200));
    commit(store, &["a", "b", "c"].map(|id| Write::AddCommand(command(id, "lamp", 1))));
    commit(store, &[change("a", CommandState::Done, 10), change("b", CommandState::Failed, 20)]);
    commit(store, &[10, 20].map(|at| Write::Connection(connection("lamp", at))));
    commit(store, &[("old", 10), ("new", 20)].map(|(id, at)| Write::Device(device(id, 1, at))));
    let documents = [document("gone", 10, None), document("just gone", 20, None), document("here", 10, Some("1"))];
    commit(store, &documents.map(Write::Document));
    let before = everything(&mut *store.reader());
    retain(store, &Retention::default());
    assert_eq!(everything(&mut *store.reader()), before);
    let retention = Retention {
        messages_before_ms: Some(11_990),
        commands_before_ms: Some(20),
        connections_before_ms: Some(20),
        devices_before_ms: Some(20),
        removed_documents_before_ms: Some(20),
        ..Retention::default()
    };
    retain(store, &retention);
    let mut reader = store.reader();
    assert_eq!(offsets(&mut *reader, "r"), [1199, 1200]);
    assert_eq!(offsets(&mut *reader, "s"), []);
    assert_eq!(reader.rooms().unwrap()[1].last_offset, 3);
    assert_eq!(ids(&reader.commands("lamp", None, 9).unwrap()), ["c", "b"]);
    assert_eq!(reader.connections(None, None, 9).unwrap().len(), 1);
    assert_eq!(reader.devices(None, 9).unwrap(), [device("new", 1, 20)]);
    let documents = reader.documents().unwrap();
    assert_eq!(documents.iter().map(|document| &*document.name).collect::<Vec<_>>(), ["here", "just gone"]);
}

pub(crate) fn retention_forgets_what_was_left_of_rooms<H: Harness>(store: &mut H) {
    let payload = Bytes::from(vec![b'x'; 4000]);
    commit(store, &[open("r")]);
    let empty = store.reader().size().unwrap();
    let large = |offset| Message { payload: payload.clone(), ..named("r", offset, "a", &format!("{offset:0500}")) };
    commit(store, &(1..=700).map(|offset| Write::Message(large(offset))).collect::<Vec<_>>());
    assert!(store.reader().size().unwrap() > empty + 700 * 4000);
    commit(store, &[Write::OpenRoom { room: "r".into(), epoch: 1, durable: true }]);
    retain(store, &Retention::default());
    assert!(store.reader().size().unwrap() < empty + 100_000);
}

pub(crate) fn retention_keeps_below_a_size<H: Harness>(store: &mut H) {
    let payload = Bytes::from(vec![0; 10_000]);
    let large = |offset| Message { kind: Kind::Binary, payload: payload.clone(), ..message("r", offset) };
    commit(store, &[open("r"), Write::AddCommand(command("pending", "lamp", 0)), Write::Twin(twin("lamp", 1, 1))]);
    commit(store, &[Write::AddCommand(command("over", "lamp", 0)), change("over", CommandState::Done, 1)]);
    commit(store, &(1..=600).map(|offset| Write::Message(large(offset))).collect::<Vec<_>>());
    commit(store, &[Write::Connection(connection("lamp", 1)), Write::Connection(connection("lamp", 5995))]);
    retain(store, &Retention { max_bytes: Some(2_000_000), ..Retention::default() });
    let mut reader = store.reader();
    let size = reader.size().unwrap();
    assert!(size <= 2_000_000, "{size}");
    let left = offsets(&mut *reader, "r");
    // What it had to delete and not much more, and the newest stay.
    assert!(left.len() > 100 && left.len() < 200, "{} are left", left.len());
    assert_eq!(*left.last().unwrap(), 600);
    assert_eq!(ids(&reader.commands("lamp", None, 9).unwrap()), ["pending"]);
    assert_eq!(reader.connections(None, None, 9).unwrap().len(), 1);
    assert_eq!(reader.twins().unwrap().len(), 1);
    // A bound that nothing can meet ends, too.
    retain(store, &Retention { max_bytes: Some(0), ..Retention::default() });
    assert_eq!(offsets(&mut *reader, "r"), []);
    assert_eq!(reader.twins().unwrap().len(), 1);
}

pub(crate) fn a_reader_sees_what_is_committed_after_it_was_made<H: Harness>(store: &mut H) {
    let mut reader = store.reader();
    assert_eq!(reader.rooms().unwrap(), []);
    commit(store, &[open("r")]);
    assert_eq!(reader.rooms().unwrap().len(), 1);
}
