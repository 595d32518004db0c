//! How documents change, call by call.

use serde_json::json;
use tautline_rooms::{
    ChangeAnswer, ChangeProblem, Delta, DocumentEffect, DocumentKey, DocumentSettings, Documents, Update,
};

use crate::support::{NOW, Shared, document, done, key};

#[test]
fn a_document_has_versions_from_1_on() {
    let mut documents = Shared::volatile();
    assert_eq!(documents.get("a"), ChangeAnswer::Current(None));
    assert_eq!(documents.put("a", json!({"x": 1}), None), done(1, Some(json!({"x": 1})), true));
    assert_eq!(documents.patch("a", json!({"y": 2}), None), done(2, Some(json!({"x": 1, "y": 2})), true));
    assert_eq!(documents.get("a"), ChangeAnswer::Current(Some(document(2, &json!({"x": 1, "y": 2})))));
    assert_eq!(documents.remove("a", None), done(3, None, true));
    assert_eq!(documents.get("a"), ChangeAnswer::Current(None));
}

#[test]
fn a_patch_makes_a_document_where_there_is_none() {
    let mut documents = Shared::volatile();
    assert_eq!(
        documents.patch("a", json!({"x": {"y": null, "z": 1}}), None),
        done(1, Some(json!({"x": {"z": 1}})), true)
    );
    assert_eq!(documents.patch("b", json!([null]), None), done(1, Some(json!([null])), true));
}

#[test]
fn scopes_have_nothing_in_common() {
    let mut documents = Shared::volatile();
    documents.put("a", json!(1), None);
    let other = DocumentKey::new("other", "a");
    documents.inner.update(NOW, 9, &other, &Update::Put(json!(2)), Some(0));
    assert_eq!(documents.answer(9), done(1, Some(json!(2)), true));
    let list = |scope| documents.inner.list(scope).map(|(name, it)| format!("{name} {}", it.json)).collect::<Vec<_>>();
    assert_eq!((list("main"), list("other"), list("nothing")), (vec!["a 1".into()], vec!["a 2".into()], vec![]));
}

#[test]
fn a_conflict_carries_the_current_document_and_changes_nothing() {
    let mut documents = Shared::volatile();
    documents.put("a", json!(1), None);
    documents.put("a", json!(2), Some(1));
    let conflict = ChangeAnswer::Conflict(Some(document(2, &json!(2))));
    assert_eq!(documents.put("a", json!(3), Some(1)), conflict);
    assert_eq!(documents.patch("a", json!(3), Some(3)), conflict);
    assert_eq!(documents.put("a", json!(3), Some(0)), conflict, "0: there must be none");
    assert_eq!(documents.remove("a", Some(1)), conflict);
    assert_eq!(documents.put("b", json!(1), Some(1)), ChangeAnswer::Conflict(None));
    assert_eq!(documents.get("a"), ChangeAnswer::Current(Some(document(2, &json!(2)))));
    // Even one that would change nothing: it was for another version.
    assert_eq!(documents.put("a", json!(2), Some(1)), conflict);
}

#[test]
fn what_changes_nothing_is_answered_without_a_new_version_and_nobody_is_told() {
    let mut documents = Shared::durable();
    documents.put("a", json!({"x": 1, "y": {"z": 2}}), None);
    documents.inner.subscribe(7, &key("a")).unwrap();
    documents.effects.clear();
    let same = done(1, Some(json!({"x": 1, "y": {"z": 2}})), false);
    assert_eq!(documents.put("a", json!({"y": {"z": 2}, "x": 1}), Some(1)), same);
    assert_eq!(documents.patch("a", json!({"y": {"z": 2}, "gone": null}), None), same);
    assert_eq!(documents.remove("nothing", None), done(0, None, false));
    assert!(!documents.effects.iter().any(|effect| !matches!(effect, DocumentEffect::Snapshot { .. })));
}

#[test]
fn a_version_does_not_come_twice_over_removal() {
    let mut documents = Shared::volatile();
    documents.put("a", json!(1), None);
    documents.remove("a", None);
    assert_eq!(documents.put("a", json!(1), Some(2)), ChangeAnswer::Conflict(None), "there is none, whatever it had");
    assert_eq!(documents.put("a", json!(1), Some(0)), done(3, Some(json!(1)), true));
}

#[test]
fn a_version_does_not_come_twice_when_the_removal_is_forgotten() {
    let mut documents = Shared::new(DocumentSettings { removed: 2, ..DocumentSettings::default() }, false);
    for value in 1..=5 {
        documents.put("a", json!(value), None);
    }
    documents.remove("a", None);
    for other in ["b", "c"] {
        documents.put(other, json!(1), None);
        documents.remove(other, None);
    }
    let before = documents.inner.weight();
    assert_eq!(documents.put("a", json!(1), Some(0)), done(7, Some(json!(1)), true));
    documents.remove("a", None);
    assert_eq!(documents.inner.weight(), before, "one that is forgotten takes no room");
    assert_eq!(documents.put("b", json!(1), None), done(7, Some(json!(1)), true), "it had 2, but who knows that");
}

#[test]
fn a_durable_change_is_seen_only_when_it_is_stored() {
    let mut documents = Shared::new(DocumentSettings::default(), true);
    documents.inner.subscribe(7, &key("a")).unwrap();
    documents.request(1, "a", &Update::Put(json!({"x": 1})), None);
    let effects = documents.drain();
    let store = DocumentEffect::Store { key: key("a"), version: 1, json: Some(r#"{"x":1}"#.into()), at: NOW };
    assert_eq!(effects[1..], [store]);
    assert_eq!(documents.get("a"), ChangeAnswer::Current(None));
    documents.inner.subscribe(8, &key("a")).unwrap();
    let snapshot = DocumentEffect::Snapshot { to: 8, key: key("a"), document: None };
    assert_eq!(documents.drain(), [snapshot]);

    documents.inner.stored(NOW, &key("a"), true);
    let answer = DocumentEffect::Answer { ticket: 1, answer: done(1, Some(json!({"x": 1})), true) };
    let delta = Delta::Whole(r#"{"x":1}"#.into());
    assert_eq!(
        documents.drain(),
        [answer, DocumentEffect::Changed { key: key("a"), version: 1, delta, to: vec![7, 8] }]
    );
    documents.inner.stored(NOW, &key("a"), true);
    assert_eq!(documents.drain(), [], "nothing was being stored");
}

#[test]
fn one_change_is_stored_at_a_time_and_the_next_is_compared_with_what_is_stored() {
    let mut documents = Shared::new(DocumentSettings::default(), true);
    documents.request(1, "a", &Update::Put(json!(1)), Some(0));
    documents.request(2, "a", &Update::Put(json!(2)), Some(0));
    documents.request(3, "a", &Update::Put(json!(3)), Some(1));
    documents.request(4, "other", &Update::Put(json!(4)), Some(0));
    let stored = |effects: Vec<DocumentEffect>| -> Vec<(String, u64)> {
        effects
            .into_iter()
            .filter_map(|effect| match effect {
                DocumentEffect::Store { key, version, .. } => Some((key.name.to_string(), version)),
                _ => None,
            })
            .collect()
    };
    assert_eq!(stored(documents.drain()), [("a".into(), 1), ("other".into(), 1)]);
    documents.inner.stored(NOW, &key("a"), true);
    let effects = documents.drain();
    assert!(
        effects.contains(&DocumentEffect::Answer {
            ticket: 2,
            answer: ChangeAnswer::Conflict(Some(document(1, &json!(1))))
        })
    );
    assert_eq!(stored(effects), [("a".into(), 2)]);
    documents.inner.stored(NOW, &key("a"), true);
    assert_eq!(documents.answer(3), done(2, Some(json!(3)), true));
}

#[test]
fn what_is_not_stored_is_refused_and_the_next_has_its_turn() {
    let mut documents = Shared::new(DocumentSettings { documents: 1, ..DocumentSettings::default() }, true);
    let empty = documents.inner.weight();
    documents.request(1, "a", &Update::Put(json!(1)), None);
    documents.request(2, "a", &Update::Put(json!(2)), Some(0));
    documents.inner.stored(NOW, &key("a"), false);
    assert_eq!(documents.answer(1), ChangeAnswer::Refused(ChangeProblem::NotStored));
    documents.inner.stored(NOW, &key("a"), false);
    assert_eq!(documents.answer(2), ChangeAnswer::Refused(ChangeProblem::NotStored));
    assert_eq!(documents.get("a"), ChangeAnswer::Current(None));
    assert_eq!(documents.inner.weight(), empty, "nothing is left of it");
    documents.request(3, "b", &Update::Put(json!(1)), None);
    documents.inner.stored(NOW, &key("b"), true);
    assert_eq!(documents.answer(3), done(1, Some(json!(1)), true), "its place is free");
}

#[test]
fn what_was_stored_is_there_again_with_its_version() {
    let mut documents = Documents::new(DocumentSettings::default(), true);
    documents.restore(&key("a"), 41, Some(r#" {"x" : 1.1e0} "#)).unwrap();
    documents.restore(&key("b"), 5, None).unwrap();
    assert_eq!(documents.restore(&key("c"), 1, Some("{")), Err(ChangeProblem::NotJson));
    let mut documents = Shared::of(documents);
    assert_eq!(documents.get("a"), ChangeAnswer::Current(Some(document(41, &json!({"x": 1.1})))));
    assert_eq!(documents.get("b"), ChangeAnswer::Current(None));
    assert_eq!(documents.put("a", json!(1), Some(41)), done(42, Some(json!(1)), true));
    assert_eq!(documents.put("b", json!(1), Some(0)), done(6, Some(json!(1)), true));
}

#[test]
fn numbers_come_through_a_change_of_something_else_unharmed() {
    let mut documents = Shared::volatile();
    let mut rng = fastrand::Rng::with_seed(1);
    let finite = std::iter::repeat_with(|| f64::from_bits(rng.u64(..))).filter(|number| number.is_finite());
    let numbers = json!({"integers": [u64::MAX, i64::MIN], "others": finite.take(1_000).collect::<Vec<_>>()});
    documents.put("a", numbers.clone(), None);
    for round in 0..3 {
        documents.patch("a", json!({"round": round}), None);
    }
    documents.patch("a", json!({"round": null}), None);
    assert_eq!(documents.get("a"), ChangeAnswer::Current(Some(document(5, &numbers))));
}
