//! Changes that follow from what there is, by several who make them at once.

use std::collections::BTreeSet;
use std::thread;

use tautline_store::{Beside, DeviceKey, Secret, Settings, Store, StoreError, Write};

/// Adds a device under the next free number.
fn add(beside: &mut Beside, name: &str) -> Result<u32, StoreError> {
    beside.change(|reader| {
        let number = reader.device_keys()?.last().map_or(0, |key| key.number) + 1;
        let (key, previous, created_ms, revoked_ms) = (Secret([7; 32]), None, 1, None);
        let key = DeviceKey { number, name: name.into(), key, previous, created_ms, revoked_ms };
        Ok((vec![Write::DeviceKey(key)], number))
    })
}

#[test]
fn nobody_else_writes_between_what_is_read_and_what_follows_from_it() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), Settings::new()).unwrap();
    let numbers: BTreeSet<u32> = thread::scope(|scope| {
        let adding = |thread: u32| {
            let data = data.path();
            scope.spawn(move || {
                let mut beside = Beside::open(data).unwrap();
                (0..5).map(|each| add(&mut beside, &format!("{thread}-{each}")).unwrap()).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..4).map(adding).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(numbers, (1..=20).collect());
    assert_eq!(store.read(|reader| reader.device_keys()).unwrap().len(), 20);
}

#[test]
fn who_decides_against_it_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut beside = Beside::open_or_create(data.path()).unwrap();
    add(&mut beside, "kitchen").unwrap();
    let refused = beside.change(|_| Err::<(Vec<Write>, ()), _>(StoreError::Missing("a reason".into())));
    assert_eq!(refused, Err(StoreError::Missing("a reason".into())));
    assert_eq!(add(&mut beside, "hall"), Ok(2), "and the next one can");
}
