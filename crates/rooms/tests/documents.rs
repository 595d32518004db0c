//! What documents do, call by call.

use serde_json::{Value, json};
use tautline_rooms::{
    ChangeAnswer, ChangeProblem, Delta, Document, DocumentEffect, DocumentKey, DocumentSettings, Documents, Timestamp,
    Update,
};

const NOW: Timestamp = Timestamp(1_000);

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
fn a_subscriber_gets_the_document_and_then_what_changes() {
    let mut documents = Shared::volatile();
    documents.put("a", json!({"x": 1, "long": "so that a patch is shorter"}), None);
    documents.inner.subscribe(7, &key("a")).unwrap();
    let whole = document(1, &json!({"long": "so that a patch is shorter", "x": 1}));
    assert_eq!(documents.drain(), [DocumentEffect::Snapshot { to: 7, key: key("a"), document: Some(whole) }]);
    documents.patch("a", json!({"x": null, "y": {"z": 1}}), None);
    assert_eq!(documents.deltas(), [(2, Delta::Patch(r#"{"x":null,"y":{"z":1}}"#.into()), vec![7])]);
    documents.put("a", json!({"long": "so that a patch is shorter", "y": {"z": 2}}), None);
    assert_eq!(documents.deltas(), [(3, Delta::Patch(r#"{"y":{"z":2}}"#.into()), vec![7])]);
    documents.put("a", json!([1]), None);
    documents.remove("a", None);
    documents.put("a", json!({}), None);
    let whole = |text: &str| Delta::Whole(text.into());
    let expected = [(4, whole("[1]"), vec![7]), (5, Delta::Removed, vec![7]), (6, whole("{}"), vec![7])];
    assert_eq!(documents.deltas(), expected);
}

#[test]
fn a_member_that_becomes_null_is_told_with_the_whole_value() {
    let mut documents = Shared::volatile();
    let long = "x".repeat(100);
    documents.put("a", json!({"x": 1, "kept": null, "list": [], "long": long}), None);
    documents.inner.subscribe(7, &key("a")).unwrap();
    for (value, is_patch) in [
        (json!({"x": 2, "kept": null, "list": [null, {"y": null}], "long": long}), true),
        (json!({"x": null, "kept": null, "list": [], "long": long}), false),
        (json!({"x": {"y": {"z": null}}, "kept": null, "list": [], "long": long}), false),
    ] {
        documents.put("a", value, None);
        let deltas = documents.deltas();
        assert_eq!(matches!(deltas[..], [(_, Delta::Patch(_), _)]), is_patch, "{deltas:?}");
    }
}

#[test]
fn who_unsubscribes_or_is_gone_gets_nothing_more() {
    let mut documents = Shared::volatile();
    let empty = documents.inner.weight();
    for subscriber in [1, 2, 3] {
        documents.inner.subscribe(subscriber, &key("a")).unwrap();
        documents.inner.subscribe(subscriber, &key("b")).unwrap();
    }
    documents.inner.unsubscribe(1, &key("a"));
    documents.inner.forget(2);
    documents.put("a", json!(1), None);
    documents.put("b", json!(1), None);
    let told: Vec<_> = documents.deltas().into_iter().map(|(_, _, to)| to).collect();
    assert_eq!(told, [vec![3], vec![1, 3]]);
    let mut documents = Shared::volatile();
    documents.inner.subscribe(1, &key("nothing")).unwrap();
    documents.inner.forget(1);
    assert_eq!(documents.inner.weight(), empty, "nothing is left of a name that nobody is interested in");
}

#[test]
fn a_subscriber_has_so_many_subscriptions() {
    let mut documents = Shared::new(DocumentSettings { subscriptions: 2, ..DocumentSettings::default() }, false);
    documents.inner.subscribe(1, &key("a")).unwrap();
    documents.inner.subscribe(1, &key("b")).unwrap();
    assert_eq!(documents.inner.subscribe(1, &key("c")), Err(ChangeProblem::TooMany));
    documents.inner.subscribe(1, &key("b")).expect("it has that one");
    documents.inner.unsubscribe(1, &key("a"));
    documents.inner.subscribe(1, &key("c")).expect("there is room again");
    assert_eq!(documents.inner.subscribe(2, &key("")), Err(ChangeProblem::BadName));
}

#[test]
fn names_are_bounded_and_have_no_control_characters() {
    let mut documents = Shared::volatile();
    let (longest, longer) = ("n".repeat(128), "n".repeat(129));
    for (name, fits) in
        [("a", true), (&*longest, true), ("ü ö/", true), (&*longer, false), ("", false), ("a\nb", false)]
    {
        let refused = documents.put(name, json!(1), None) == ChangeAnswer::Refused(ChangeProblem::BadName);
        assert_eq!(refused, !fits, "{name:?}");
        assert_eq!(documents.remove(name, None) == ChangeAnswer::Refused(ChangeProblem::BadName), !fits);
    }
    documents.inner.update(NOW, 9, &DocumentKey::new(&longer, "a"), &Update::Put(json!(1)), None);
    assert_eq!(documents.answer(9), ChangeAnswer::Refused(ChangeProblem::BadName));
}

#[test]
fn values_and_patches_are_bounded_in_depth() {
    let mut documents = Shared::new(DocumentSettings { depth: 3, ..DocumentSettings::default() }, false);
    let too_deep = ChangeAnswer::Refused(ChangeProblem::TooDeep);
    assert_eq!(documents.put("a", json!([{"x": [[]]}]), None), too_deep);
    assert_eq!(documents.patch("a", json!({"x": {"y": {"z": {}}}}), None), too_deep);
    assert!(matches!(documents.put("a", json!([{"x": [1]}]), None), ChangeAnswer::Done { .. }));
}

#[test]
fn values_patches_and_what_becomes_of_them_are_bounded_in_bytes() {
    let mut documents = Shared::new(DocumentSettings { bytes: 20, ..DocumentSettings::default() }, false);
    let too_large = ChangeAnswer::Refused(ChangeProblem::TooLarge);
    assert_eq!(documents.put("a", json!("x".repeat(19)), None), too_large);
    assert!(matches!(documents.put("a", json!("x".repeat(18)), None), ChangeAnswer::Done { .. }));
    assert!(matches!(documents.put("b", json!({"x": "12345"}), None), ChangeAnswer::Done { .. }));
    assert_eq!(documents.patch("b", json!({"y": "12345"}), None), too_large, "together they are 25");
    assert_eq!(documents.get("b"), ChangeAnswer::Current(Some(document(1, &json!({"x": "12345"})))));
}

#[test]
fn a_scope_has_so_many_documents() {
    let mut documents = Shared::new(DocumentSettings { documents: 2, ..DocumentSettings::default() }, true);
    documents.put("a", json!(1), None);
    documents.request(1, "b", &Update::Put(json!(1)), None);
    let too_many = ChangeAnswer::Refused(ChangeProblem::TooMany);
    assert_eq!(documents.put("c", json!(1), None), too_many, "b is about to be");
    documents.inner.stored(NOW, &key("b"), true);
    documents.remove("a", None);
    assert_eq!(documents.put("c", json!(1), None), done(1, Some(json!(1)), true));
    assert_eq!(documents.put("a", json!(1), None), too_many);
}

#[test]
fn so_many_changes_wait_and_no_more() {
    let mut documents = Shared::new(DocumentSettings { waiting: 2, ..DocumentSettings::default() }, true);
    for ticket in 1..=4 {
        documents.request(ticket, "a", &Update::Put(json!(ticket)), None);
    }
    assert_eq!(documents.answer(4), ChangeAnswer::Refused(ChangeProblem::Busy));
    for version in 1..=3 {
        documents.inner.stored(NOW, &key("a"), true);
        assert_eq!(documents.answer(version), done(version, Some(json!(version)), true));
    }
}

#[test]
fn all_together_are_bounded_and_what_becomes_smaller_always_may() {
    let settings = DocumentSettings { total_bytes: 2_000, bytes: 1_000, ..DocumentSettings::default() };
    let mut documents = Shared::new(settings, false);
    let full = ChangeAnswer::Refused(ChangeProblem::Full);
    documents.put("a", json!("x".repeat(900)), None);
    assert_eq!(documents.put("b", json!("x".repeat(900)), None), full);
    documents.put("b", json!("x".repeat(500)), None);
    assert_eq!(documents.patch("b", json!("x".repeat(900)), None), full);
    assert!(matches!(documents.put("b", json!(1), None), ChangeAnswer::Done { .. }));
    assert!(matches!(documents.put("b", json!("x".repeat(500)), None), ChangeAnswer::Done { .. }));
    assert!(matches!(documents.remove("a", None), ChangeAnswer::Done { .. }));
    assert!(documents.inner.weight() < 2_000);
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

#[test]
fn settings_out_of_bounds_are_named() {
    assert_eq!(DocumentSettings::default().validate(), Ok(()));
    let wrong = DocumentSettings { depth: 101, ..DocumentSettings::default() };
    assert_eq!(wrong.validate().unwrap_err().to_string(), "`depth` must be 1 to 100");
}

/// Documents in the scope `main`, and what they have to say.
struct Shared {
    inner: Documents,
    effects: Vec<DocumentEffect>,
    ticket: u64,
}

impl Shared {
    fn of(inner: Documents) -> Self {
        Self { inner, effects: Vec::new(), ticket: 1_000 }
    }

    fn new(settings: DocumentSettings, durable: bool) -> Self {
        settings.validate().unwrap();
        Self::of(Documents::new(settings, durable))
    }

    fn volatile() -> Self {
        Self::new(DocumentSettings::default(), false)
    }

    fn durable() -> Self {
        Self::of(Documents::new(DocumentSettings::default(), true))
    }

    fn request(&mut self, ticket: u64, name: &str, update: &Update, if_version: Option<u64>) {
        self.inner.update(NOW, ticket, &key(name), update, if_version);
    }

    fn put(&mut self, name: &str, value: Value, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.request(ticket, name, &Update::Put(value), if_version);
        self.outcome(ticket, name)
    }

    fn patch(&mut self, name: &str, patch: Value, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.request(ticket, name, &Update::Patch(patch), if_version);
        self.outcome(ticket, name)
    }

    fn remove(&mut self, name: &str, if_version: Option<u64>) -> ChangeAnswer {
        let ticket = self.next();
        self.inner.remove(NOW, ticket, &key(name), if_version);
        self.outcome(ticket, name)
    }

    fn get(&mut self, name: &str) -> ChangeAnswer {
        let ticket = self.next();
        self.inner.get(ticket, &key(name));
        self.answer(ticket)
    }

    fn next(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// The answer to a request; if it is to be stored, it is.
    fn outcome(&mut self, ticket: u64, name: &str) -> ChangeAnswer {
        self.take();
        if matches!(self.effects.last(), Some(DocumentEffect::Store { .. })) {
            self.effects.pop();
            self.inner.stored(NOW, &key(name), true);
        }
        self.answer(ticket)
    }

    fn take(&mut self) {
        self.effects.extend(std::iter::from_fn(|| self.inner.poll_effect()));
    }

    fn drain(&mut self) -> Vec<DocumentEffect> {
        self.take();
        std::mem::take(&mut self.effects)
    }

    /// The answer with this number, which has to be there.
    fn answer(&mut self, ticket: u64) -> ChangeAnswer {
        self.take();
        let is_it =
            |effect: &DocumentEffect| matches!(effect, DocumentEffect::Answer { ticket: it, .. } if *it == ticket);
        let place = self.effects.iter().position(is_it).unwrap_or_else(|| panic!("no answer: {:?}", self.effects));
        let DocumentEffect::Answer { answer, .. } = self.effects.remove(place) else { unreachable!() };
        answer
    }

    fn deltas(&mut self) -> Vec<(u64, Delta, Vec<u64>)> {
        self.drain()
            .into_iter()
            .filter_map(|effect| match effect {
                DocumentEffect::Changed { version, delta, to, .. } => Some((version, delta, to)),
                _ => None,
            })
            .collect()
    }
}

fn key(name: &str) -> DocumentKey {
    DocumentKey::new("main", name)
}

fn document(version: u64, value: &Value) -> Document {
    Document { version, json: value.to_string().into() }
}

fn done(version: u64, value: Option<Value>, changed: bool) -> ChangeAnswer {
    ChangeAnswer::Done { version, json: value.map(|value| value.to_string().into()), changed }
}
