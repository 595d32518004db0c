//! Changes beside a hub that runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tautline_store::{Beside, Settings, Store, StoreError, Token, Write};

fn token(id: &str) -> Token {
    let mut hash = [0; 32];
    hash[..id.len()].copy_from_slice(id.as_bytes());
    Token {
        id: id.into(),
        name: "page".into(),
        hash,
        permissions: "{}".into(),
        created_ms: 1,
        expires_ms: None,
        revoked_ms: None,
    }
}

#[test]
fn what_is_changed_beside_a_hub_is_seen_by_it() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), Settings::new()).unwrap();
    let mut beside = Beside::open(data.path()).unwrap();
    beside.commit(&[Write::AddToken(token("a"))]).unwrap();
    assert_eq!(store.read(|reader| reader.tokens()).unwrap(), [token("a")]);
    beside.commit(&[Write::RevokeToken { id: "a".into(), at_ms: 7 }]).unwrap();
    let revoked = Token { revoked_ms: Some(7), ..token("a") };
    assert_eq!(store.read(|reader| reader.tokens()).unwrap(), std::slice::from_ref(&revoked));
    assert_eq!(beside.reader().unwrap().tokens().unwrap(), [revoked]);
    let twice = beside.commit(&[Write::AddToken(token("b")), Write::AddToken(token("a"))]);
    assert!(matches!(twice, Err(StoreError::Exists(_))), "{twice:?}");
    assert_eq!(store.read(|reader| reader.tokens()).unwrap().len(), 1, "all or nothing");
}

#[test]
fn two_who_write_wait_for_each_other() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), Settings::new()).unwrap();
    let done = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut value = 0;
            while !done.load(Ordering::Relaxed) {
                value += 1;
                store.submit(vec![Write::SetCounter { name: "c".into(), value }], |result| result.unwrap()).unwrap();
                store.flush();
            }
            value
        });
        let mut beside = Beside::open(data.path()).unwrap();
        for number in 0..20 {
            beside.commit(&[Write::AddToken(token(&number.to_string()))]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    assert_eq!(store.read(|reader| reader.tokens()).unwrap().len(), 20);
    assert_eq!(store.read(|reader| reader.counters()).unwrap()[0].value, written);
    assert_eq!(store.counters().failed, 0);
}

#[test]
fn without_a_database_there_is_nothing_to_open_but_one_can_be_made() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let missing = Beside::open(&data).unwrap_err();
    assert!(matches!(missing, StoreError::Missing(_)) && !data.exists(), "{missing}");
    Beside::open_or_create(&data).unwrap().commit(&[Write::AddToken(token("a"))]).unwrap();
    assert_eq!(files(&data), ["tautline.db", "tautline.lock"], "nobody has it open");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("tautline.db"))), (0o700, 0o600));
    }
    Beside::open_or_create(&data).unwrap();
    let store = Store::open(&data, Settings::new()).unwrap();
    assert_eq!(store.read(|reader| reader.tokens()).unwrap(), [token("a")]);
}

#[test]
fn a_database_that_is_not_complete_is_completed() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("tautline.db"), "").unwrap();
    Beside::open(data.path()).unwrap().commit(&[Write::AddToken(token("a"))]).unwrap();
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("tautline.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_eq!(Beside::open(data.path()).unwrap_err(), StoreError::Foreign(file));
}

fn files(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}
