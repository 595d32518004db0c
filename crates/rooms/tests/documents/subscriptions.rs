//! What subscribers get, call by call.

use serde_json::json;
use tautline_rooms::{ChangeProblem, Delta, DocumentEffect, DocumentSettings};

use crate::support::{Shared, document, key};

#[test]
fn a_subscriber_gets_the_document_and_then_what_changes() {
    let mut documents = Shared::volatile();
    documents.put("a", json!({"long": "so that a patch is shorter", "x": 1}), None);
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
