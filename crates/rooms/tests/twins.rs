//! What twins do, call by call, and at random over a store that fails.

use std::sync::Arc;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use tautline_rooms::{
    ChangeAnswer, ChangeProblem, Delta, Document, Timestamp, TwinEffect, TwinPart, TwinSettings, TwinView, Twins,
    Update, merge_patch,
};

const NOW: Timestamp = Timestamp(1_000);

#[test]
fn a_device_is_told_what_differs_when_it_connects() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    patch(&mut twins, TwinPart::Reported, json!({"led": "off", "interval": 10}));
    patch(&mut twins, TwinPart::Desired, json!({"led": "on", "interval": 10}));
    drain(&mut twins);
    twins.device_connected("esp", 7);
    assert_eq!(drain(&mut twins), [delta(7, 1, r#"{"led":"on"}"#)]);
    twins.device_connected("other", 8);
    assert_eq!(drain(&mut twins), [], "it has no twin");
}

#[test]
fn a_device_that_is_as_it_should_be_is_told_nothing() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    patch(&mut twins, TwinPart::Reported, json!({"led": "on", "uptime": 5}));
    drain(&mut twins);
    twins.device_connected("esp", 7);
    assert_eq!(drain(&mut twins), []);
}

#[test]
fn a_connected_device_is_told_what_differs_when_that_changes() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    twins.device_connected("esp", 7);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    let effects = drain(&mut twins);
    assert_eq!(effects[2..], [delta(7, 1, r#"{"led":"on"}"#)]);
    patch(&mut twins, TwinPart::Desired, json!({"led": null}));
    assert!(!drain(&mut twins).iter().any(is_delta), "nothing differs now");
}

#[test]
fn what_a_device_reports_is_answered_and_shown_to_others_but_not_sent_back() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    twins.device_connected("esp", 7);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on", "interval": 10}));
    drain(&mut twins);
    patch(&mut twins, TwinPart::Reported, json!({"led": "on"}));
    let effects = drain(&mut twins);
    let [TwinEffect::Answer { ticket: 1, answer }, TwinEffect::Changed { device, part, version, delta }] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(*answer, done(1, &json!({"led": "on"}), true));
    assert_eq!((&**device, *part, *version), ("esp", TwinPart::Reported, 1));
    assert_eq!(*delta, Delta::Whole(r#"{"led":"on"}"#.into()));
}

#[test]
fn the_halves_have_versions_of_their_own_and_compare_with_them() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    patch(&mut twins, TwinPart::Desired, json!({"a": 1}));
    patch(&mut twins, TwinPart::Desired, json!({"b": 2}));
    patch(&mut twins, TwinPart::Reported, json!({"a": 1}));
    drain(&mut twins);
    twins.update(NOW, 5, "esp", TwinPart::Desired, &Update::Put(json!({})), Some(1));
    let current = document(2, &json!({"a": 1, "b": 2}));
    assert_eq!(answers(&mut twins), [(5, ChangeAnswer::Conflict(Some(current.clone())))]);
    let reported = document(1, &json!({"a": 1}));
    let delta = Some(r#"{"b":2}"#.into());
    assert_eq!(twins.view("esp"), Some(TwinView { desired: current, reported, delta }));
    twins.update(NOW, 6, "esp", TwinPart::Reported, &Update::Put(json!({})), Some(1));
    twins.update(NOW, 7, "new", TwinPart::Reported, &Update::Put(json!({})), Some(0));
    twins.update(NOW, 8, "new", TwinPart::Desired, &Update::Put(json!({})), Some(1));
    let conflict = ChangeAnswer::Conflict(None);
    let expected = [(6, done(2, &json!({}), true)), (7, done(1, &json!({}), true)), (8, conflict)];
    assert_eq!(answers(&mut twins), expected);
}

#[test]
fn what_changes_nothing_is_answered_and_nobody_is_told() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    twins.device_connected("esp", 7);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    drain(&mut twins);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    let answer = done(1, &json!({"led": "on"}), false);
    assert_eq!(drain(&mut twins), [TwinEffect::Answer { ticket: 1, answer }]);
}

#[test]
fn only_the_latest_connection_of_a_device_counts() {
    let mut twins = Twins::new(TwinSettings::default(), false);
    twins.device_connected("esp", 7);
    twins.device_connected("esp", 8);
    twins.device_disconnected("esp", 7);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    assert!(drain(&mut twins).contains(&delta(8, 1, r#"{"led":"on"}"#)));
    twins.device_disconnected("esp", 8);
    patch(&mut twins, TwinPart::Desired, json!({"led": "off"}));
    assert!(!drain(&mut twins).iter().any(is_delta));
}

#[test]
fn a_durable_change_is_seen_only_when_it_is_stored() {
    let mut twins = Twins::new(TwinSettings::default(), true);
    let empty = twins.weight();
    twins.device_connected("esp", 7);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    patch(&mut twins, TwinPart::Reported, json!({"led": "off"}));
    let nothing = document(0, &json!({}));
    let store =
        |desired: Document, reported: Document| TwinEffect::Store { device: "esp".into(), desired, reported, at: NOW };
    assert_eq!(drain(&mut twins), [store(document(1, &json!({"led": "on"})), nothing.clone())], "one at a time");
    assert_eq!(twins.view("esp"), None);
    twins.stored(NOW, "esp", false);
    let effects = drain(&mut twins);
    let refused = ChangeAnswer::Refused(ChangeProblem::NotStored);
    let next = store(nothing, document(1, &json!({"led": "off"})));
    assert_eq!(effects, [TwinEffect::Answer { ticket: 1, answer: refused }, next]);
    twins.stored(NOW, "esp", false);
    assert_eq!(twins.weight(), empty, "nothing is left of it");
    drain(&mut twins);
    patch(&mut twins, TwinPart::Desired, json!({"led": "on"}));
    twins.stored(NOW, "esp", true);
    assert!(drain(&mut twins).contains(&delta(7, 1, r#"{"led":"on"}"#)));
}

#[test]
fn what_is_not_an_object_too_large_or_too_deep_is_refused() {
    let settings = TwinSettings { bytes: 20, depth: 2, name_bytes: 8, ..TwinSettings::default() };
    let mut twins = Twins::new(settings, false);
    let long = "x".repeat(12);
    for (device, update, problem) in [
        ("esp", Update::Put(json!([])), ChangeProblem::NotAnObject),
        ("esp", Update::Patch(json!(null)), ChangeProblem::NotAnObject),
        ("esp", Update::Put(json!({"a": [[]]})), ChangeProblem::TooDeep),
        ("esp", Update::Put(json!({"a": "x".repeat(20)})), ChangeProblem::TooLarge),
        ("a\u{7f}b", Update::Put(json!({})), ChangeProblem::BadName),
        (&*long, Update::Put(json!({})), ChangeProblem::BadName),
    ] {
        twins.update(NOW, 1, device, TwinPart::Reported, &update, None);
        assert_eq!(answers(&mut twins), [(1, ChangeAnswer::Refused(problem))]);
    }
    assert_eq!((twins.weight(), twins.devices().count()), (0, 0));
}

#[test]
fn twins_and_what_waits_for_them_are_bounded() {
    let settings = TwinSettings { twins: 1, waiting: 1, ..TwinSettings::default() };
    let mut twins = Twins::new(settings, true);
    for (ticket, device) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        twins.update(NOW, ticket, device, TwinPart::Desired, &Update::Patch(json!({"x": ticket})), None);
    }
    let refused = ChangeAnswer::Refused;
    assert_eq!(answers(&mut twins), [(2, refused(ChangeProblem::TooMany)), (4, refused(ChangeProblem::Busy))]);
    let settings = TwinSettings { total_bytes: 1_000, bytes: 800, ..TwinSettings::default() };
    let mut twins = Twins::new(settings, false);
    patch(&mut twins, TwinPart::Desired, json!({"x": "x".repeat(600)}));
    drain(&mut twins);
    patch(&mut twins, TwinPart::Reported, json!({"x": "x".repeat(600)}));
    assert_eq!(answers(&mut twins), [(1, refused(ChangeProblem::Full))]);
    patch(&mut twins, TwinPart::Desired, json!({"x": null}));
    assert_eq!(answers(&mut twins), [(1, done(2, &json!({}), true))]);
}

#[test]
fn what_was_stored_is_there_again_with_its_versions() {
    let mut twins = Twins::new(TwinSettings::default(), true);
    twins.restore("esp", (3, r#"{"led": "on"}"#), (0, "{}")).unwrap();
    assert_eq!(twins.restore("bad", (1, "{}"), (1, "1")), Err(ChangeProblem::NotAnObject));
    assert_eq!(twins.restore("bad", (1, "{"), (1, "{}")), Err(ChangeProblem::NotJson));
    assert_eq!(twins.devices().map(|id| &**id).collect::<Vec<_>>(), ["esp"]);
    twins.device_connected("esp", 7);
    assert_eq!(drain(&mut twins), [delta(7, 3, r#"{"led":"on"}"#)]);
    // What was never reported was stored as an empty object, and still was never reported.
    twins.update(NOW, 1, "esp", TwinPart::Reported, &Update::Put(json!({})), Some(0));
    twins.stored(NOW, "esp", true);
    assert_eq!(answers(&mut twins), [(1, done(1, &json!({}), true))]);
}

/// A device that does as it is told, now and then misses something, and reports after each time that it was told.
#[test]
fn a_device_that_follows_its_deltas_becomes_what_is_desired() {
    let mut told = 0;
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let mut twins = Twins::new(TwinSettings::default(), true);
        let (mut connection, mut device) = (0, json!({}));
        for _ in 0..60 {
            match rng.u32(..4) {
                0 => {
                    connection += 1;
                    twins.device_connected("esp", connection);
                }
                1 => twins.device_disconnected("esp", connection),
                _ => {
                    let wanted = Update::Patch(random_object(&mut rng, 3));
                    twins.update(NOW, 0, "esp", TwinPart::Desired, &wanted, None);
                }
            }
            told += follow(&mut twins, &mut device, connection, &mut rng);
        }
        twins.device_connected("esp", connection + 1);
        follow(&mut twins, &mut device, connection + 1, &mut rng);
        let view = twins.view("esp").unwrap();
        assert_eq!((view.delta, view.reported.json), (None, device.to_string().into()));
    }
    assert!(told > 500, "{told}");
}

/// The store and the device do their work until there is none. Answers how many deltas there were.
fn follow(twins: &mut Twins, device: &mut Value, connection: u64, rng: &mut Rng) -> usize {
    let mut told = 0;
    while let Some(effect) = twins.poll_effect() {
        match effect {
            TwinEffect::Store { device, .. } => twins.stored(NOW, &device, rng.u32(..5) > 0),
            TwinEffect::Delta { to, delta, .. } => {
                assert_eq!(to, connection);
                told += 1;
                merge_patch(device, serde_json::from_str(&delta).unwrap());
                twins.update(NOW, 1, "esp", TwinPart::Reported, &Update::Put(device.clone()), None);
            }
            TwinEffect::Answer { ticket: 1, answer: ChangeAnswer::Refused(_) } => {
                twins.update(NOW, 1, "esp", TwinPart::Reported, &Update::Put(device.clone()), None);
            }
            _ => {}
        }
    }
    told
}

fn random_object(rng: &mut Rng, depth: usize) -> Value {
    let members = (0..rng.usize(1..4)).map(|_| {
        let value = match rng.u32(..4) {
            0 => Value::Null,
            1 => json!([null, rng.u32(..3)]),
            2 if depth > 0 => random_object(rng, depth - 1),
            _ => json!(rng.u32(..3)),
        };
        (rng.choice(["a", "b", "c"]).unwrap().to_string(), value)
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn patch(twins: &mut Twins, part: TwinPart, patch: Value) {
    twins.update(NOW, 1, "esp", part, &Update::Patch(patch), None);
}

fn drain(twins: &mut Twins) -> Vec<TwinEffect> {
    std::iter::from_fn(|| twins.poll_effect()).collect()
}

fn answers(twins: &mut Twins) -> Vec<(u64, ChangeAnswer)> {
    let answers = drain(twins).into_iter().filter_map(|effect| match effect {
        TwinEffect::Answer { ticket, answer } => Some((ticket, answer)),
        _ => None,
    });
    answers.collect()
}

fn delta(to: u64, version: u64, json: &str) -> TwinEffect {
    TwinEffect::Delta { device: "esp".into(), to, version, delta: json.into() }
}

fn is_delta(effect: &TwinEffect) -> bool {
    matches!(effect, TwinEffect::Delta { .. })
}

fn document(version: u64, value: &Value) -> Document {
    Document { version, json: value.to_string().into() }
}

fn done(version: u64, value: &Value, changed: bool) -> ChangeAnswer {
    let json: Arc<str> = value.to_string().into();
    ChangeAnswer::Done { version, json: Some(json), changed }
}
