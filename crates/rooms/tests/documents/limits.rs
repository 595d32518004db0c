//! What documents are kept within.

use serde_json::json;
use tautline_rooms::{ChangeAnswer, ChangeProblem, DocumentKey, DocumentSettings, Update};

use crate::support::{NOW, Shared, document, done, key};

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
fn settings_out_of_bounds_are_named() {
    assert_eq!(DocumentSettings::default().validate(), Ok(()));
    let wrong = DocumentSettings { depth: 101, ..DocumentSettings::default() };
    assert_eq!(wrong.validate().unwrap_err().to_string(), "`depth` must be 1 to 100");
}
