//! The database as a file: who may open it, what is refused, copies of it, and its size.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;
use tautline_store::{Kind, Message, Retention, Settings, Sqlite, Store, StoreError, SubmitError, Write, backup};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(directory: &Path) -> Store {
    Store::open(directory, Settings::new()).unwrap()
}

fn commit(store: &Store, writes: Vec<Write>) {
    store.submit(writes, |result| result.unwrap()).unwrap();
    store.flush();
    assert_eq!(store.counters().failed, 0);
}

fn open_room() -> Write {
    Write::OpenRoom { room: "r".into(), epoch: 1, durable: true }
}

fn message(offset: u64, payload: Vec<u8>) -> Write {
    Write::Message(Message {
        room: "r".into(),
        epoch: 1,
        offset,
        at_ms: offset as i64,
        from: "a".into(),
        message_id: Some(offset.to_string().into()),
        kind: Kind::Binary,
        payload: payload.into(),
    })
}

fn offsets(store: &Store) -> Vec<u64> {
    let history = store.read(|reader| reader.history("r", 0, usize::MAX, usize::MAX)).unwrap();
    history.iter().map(|message| message.offset).collect()
}

fn integrity(file: &Path) -> String {
    Connection::open(file).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_what_is_kept() {
    let parent = directory();
    let data = parent.path().join("a/data");
    let store = open(&data);
    commit(&store, vec![open_room()]);
    store.backup(parent.path().join("copy.db")).unwrap();
    assert_eq!(mode(&data), 0o700);
    for file in ["tautline.db", "tautline.db-wal", "tautline.db-shm", "tautline.lock", "../../copy.db"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_second_hub_on_the_same_data_is_refused_and_told_where() {
    let data = directory();
    let store = open(data.path());
    let refused = Sqlite::open(data.path()).unwrap_err();
    assert_eq!(refused, StoreError::InUse(data.path().to_owned()));
    assert!(refused.to_string().contains(data.path().to_str().unwrap()), "{refused}");
    drop(store);
    Sqlite::open(data.path()).unwrap();
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let data = directory();
    drop(open(data.path()));
    let file = data.path().join("tautline.db");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&file).unwrap();
    let refused = Sqlite::open(data.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    assert!(matches!(backup(data.path(), data.path().join("copy")), Err(StoreError::Newer { .. })));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let data = directory();
    let file = data.path().join("tautline.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&file).unwrap();
    assert_eq!(Sqlite::open(data.path()).unwrap_err(), StoreError::Foreign(file.clone()));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_called_damaged_by_its_name() {
    let data = directory();
    fs::write(data.path().join("tautline.db"), "no database, but long enough for one".repeat(100)).unwrap();
    let refused = Sqlite::open(data.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged(what) if what.contains("tautline.db")), "{refused}");
}

#[test]
fn damage_inside_is_found_at_the_start() {
    let data = directory();
    let store = open(data.path());
    commit(&store, vec![open_room()]);
    commit(&store, (1..200).map(|offset| message(offset, vec![0; 1000])).collect());
    drop(store);
    let file = data.path().join("tautline.db");
    let mut bytes = fs::read(&file).unwrap();
    // The last pages; the first ones are the schema.
    let from = bytes.len() / 4096 / 2 * 4096;
    for page in bytes[from..].chunks_mut(4096) {
        page[..8].fill(0xff);
    }
    fs::write(&file, bytes).unwrap();
    let refused = Sqlite::open(data.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged(what) if what.contains("tautline.db")), "{refused}");
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let data = directory();
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Sqlite::open(file.join("data")).unwrap_err();
    assert!(matches!(&refused, StoreError::Io(what) if what.contains("file/data")), "{refused}");
}

#[test]
fn a_closed_database_is_one_file_for_any_tool() {
    let data = directory();
    let store = open(data.path());
    let text = Message { kind: Kind::Text, payload: "hello".into(), ..as_message(message(1, Vec::new())) };
    commit(&store, vec![open_room(), Write::Message(Message { at_ms: 1500, ..text })]);
    // A kept reader does not stand in the way.
    assert_eq!(offsets(&store), [1]);
    drop(store);
    let wal = data.path().join("tautline.db-wal");
    assert!(!wal.exists() || fs::metadata(wal).unwrap().len() == 0);
    let database = Connection::open(data.path().join("tautline.db")).unwrap();
    let row = database
        .query_row("SELECT room, at, client, payload FROM message_log", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    let wanted = ("r", "1970-01-01T00:00:01.500Z", "a", "hello");
    let row: (String, String, String, String) = row;
    assert_eq!((&*row.0, &*row.1, &*row.2, &*row.3), wanted);
}

fn as_message(write: Write) -> Message {
    let Write::Message(message) = write else { panic!("not a message") };
    message
}

#[test]
fn a_backup_made_while_writing_is_consistent() {
    let data = directory();
    let store = open(data.path());
    commit(&store, vec![open_room(), Write::SetCounter { name: "n".into(), value: 0 }]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = Stop(&stop);
        scope.spawn(|| {
            let mut offset = 0;
            while !stop.load(Ordering::Relaxed) {
                offset += 1;
                // Message and counter go together, in the copy as well.
                let counter = Write::SetCounter { name: "n".into(), value: offset as i64 };
                let writes = vec![message(offset, vec![7; 2000]), counter];
                commit(&store, writes);
            }
        });
        for number in 0..5 {
            let before = store.counters().committed;
            let to = data.path().join(format!("copy-{number}/tautline.db"));
            fs::create_dir(to.parent().unwrap()).unwrap();
            // One of both ways, by turns.
            if number % 2 == 0 {
                store.backup(&to).unwrap()
            } else {
                backup(data.path(), &to).unwrap()
            }
            assert_eq!(integrity(&to), "ok");
            let copy = open(to.parent().unwrap());
            let count = copy.read(|reader| reader.counters()).unwrap()[0].value as u64;
            assert!(count + 1 >= before, "what was committed before it began is missing");
            assert_eq!(offsets(&copy), (1..=count).collect::<Vec<_>>());
        }
        drop(writer);
    });
}

/// Stops the writer, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_overwrites_nothing() {
    let data = directory();
    let store = open(data.path());
    let to = data.path().join("copy.db");
    fs::write(&to, "precious").unwrap();
    assert_eq!(store.backup(&to), Err(StoreError::FileExists(to.clone())));
    assert_eq!(fs::read_to_string(&to).unwrap(), "precious");
    // Nor the copy that another one is at.
    let partial = data.path().join("other.db.partial");
    fs::write(&partial, "precious").unwrap();
    assert_eq!(store.backup(data.path().join("other.db")), Err(StoreError::FileExists(partial.clone())));
    assert_eq!(fs::read_to_string(&partial).unwrap(), "precious");
    assert!(!data.path().join("other.db").exists());
}

#[test]
fn a_backup_that_cannot_be_written_leaves_nothing() {
    let data = directory();
    let store = open(data.path());
    assert!(matches!(store.backup(data.path().join("no/such/copy.db")), Err(StoreError::Io(_))));
    assert!(matches!(backup(data.path().join("no"), data.path().join("copy.db")), Err(StoreError::Missing(_))));
    assert!(!data.path().join("copy.db").exists());
}

#[test]
fn a_backup_needs_no_hub() {
    let data = directory();
    let store = open(data.path());
    commit(&store, vec![open_room(), message(1, vec![1])]);
    drop(store);
    let to = data.path().join("restored/tautline.db");
    fs::create_dir(to.parent().unwrap()).unwrap();
    backup(data.path(), &to).unwrap();
    assert_eq!(offsets(&open(to.parent().unwrap())), [1]);
}

#[test]
fn retention_makes_the_file_smaller() {
    let data = directory();
    let store = open(data.path());
    commit(&store, vec![open_room()]);
    commit(&store, (1..=2000).map(|offset| message(offset, vec![1; 5000])).collect());
    let retention = Retention { messages_before_ms: Some(2000), ..Retention::default() };
    let (sender, retained) = std::sync::mpsc::channel();
    store.retain(retention, move |result| sender.send(result).unwrap()).unwrap();
    let retained = retained.recv().unwrap().unwrap();
    assert_eq!(retained.deleted, 1999);
    assert!(retained.steps >= 4, "in {} steps", retained.steps);
    assert_eq!(offsets(&store), [2000]);
    drop(store);
    // All that is left: one message, 2,000 de-duplication entries, and pages kept for what comes next.
    let size = fs::metadata(data.path().join("tautline.db")).unwrap().len();
    assert!(size < 2_000_000, "{size} bytes");
}

#[test]
fn a_closed_store_is_one_file_although_there_are_handles() {
    let data = directory();
    let store = open(data.path());
    commit(&store, vec![open_room(), message(1, vec![1])]);
    let (began, begun) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    let reading = thread::spawn({
        let store = store.clone();
        move || {
            store.read(|reader| {
                began.send(()).unwrap();
                goes_on.recv().unwrap();
                reader.history("r", 0, 9, 9)
            })
        }
    });
    begun.recv().unwrap();
    store.submit(vec![message(2, vec![2])], |result| result.unwrap()).unwrap();
    let closing = thread::spawn({
        let store = store.clone();
        move || store.close()
    });
    // It is refused as soon as the close has begun, which waits for the read that it found.
    while store.read(|_| Ok(())).is_ok() {
        thread::yield_now();
    }
    assert!(!closing.is_finished());
    go_on.send(()).unwrap();
    assert!(reading.join().unwrap().is_ok());
    closing.join().unwrap();
    let mut files: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["tautline.db", "tautline.lock"]);

    assert_eq!(store.read(|reader| reader.history("r", 0, 9, 9)).map(|_| ()), Err(StoreError::Closed));
    assert_eq!(store.submit(vec![message(3, vec![])], |_| {}), Err(SubmitError::Closed));
    assert_eq!(store.backup(data.path().join("copy")), Err(StoreError::Closed));
    store.flush();
    store.close();
    assert_eq!(offsets(&open(data.path())), [1, 2]);
}
