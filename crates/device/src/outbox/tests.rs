extern crate std;

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::*;

fn push(outbox: &mut Outbox<'_>, policy: Policy, text: &str) -> Result<u32, PushError> {
    outbox.push(Kind::Text, policy, text.as_bytes())
}

/// The payloads in the order in which they would be sent.
fn waiting(outbox: &Outbox<'_>) -> Vec<String> {
    let payload = |(at, record): (usize, Record)| {
        String::from_utf8(outbox.memory[at + HEADER..at + record.size()].to_vec()).unwrap()
    };
    outbox.records().map(payload).collect()
}

/// Sends the next message, and answers it.
fn send(outbox: &mut Outbox<'_>) -> Option<String> {
    let len = outbox.outgoing()?.len as usize;
    let payload = String::from_utf8(outbox.payload().to_vec()).unwrap();
    assert_eq!(payload.len(), len);
    outbox.sent();
    Some(payload)
}

#[test]
fn messages_leave_in_their_order() {
    let mut memory = [0; 100];
    let mut outbox = Outbox::new(&mut memory);
    for text in ["one", "two", "three"] {
        push(&mut outbox, Policy::DropNewest, text).unwrap();
    }
    let sent: Vec<_> = core::iter::from_fn(|| send(&mut outbox)).collect();
    assert_eq!(sent, ["one", "two", "three"]);
    assert!(outbox.is_empty());
}

#[test]
fn a_message_that_finds_no_room_is_refused_and_nothing_is_dropped_for_it() {
    let mut memory = [0; 2 * (HEADER + 4)];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::DropOldest, "old ").unwrap();
    push(&mut outbox, Policy::DropNewest, "keep").unwrap();
    assert_eq!(push(&mut outbox, Policy::DropNewest, "new "), Err(PushError::Full));
    // Dropping all that may be dropped would not help.
    assert_eq!(push(&mut outbox, Policy::DropOldest, "longer"), Err(PushError::Full));
    assert_eq!(push(&mut outbox, Policy::DropOldest, &"x".repeat(40)), Err(PushError::TooLarge));
    assert_eq!(waiting(&outbox), ["old ", "keep"]);
    assert_eq!(outbox.counters(), Counters { taken: 2, refused: 3, ..Counters::ZERO });
}

#[test]
fn the_oldest_expendable_messages_make_room() {
    let mut memory = [0; 3 * (HEADER + 2)];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::DropNewest, "k1").unwrap();
    push(&mut outbox, Policy::DropOldest, "e1").unwrap();
    push(&mut outbox, Policy::DropOldest, "e2").unwrap();
    push(&mut outbox, Policy::DropOldest, "e3").unwrap();
    assert_eq!(waiting(&outbox), ["k1", "e2", "e3"]);
    assert_eq!(outbox.counters(), Counters { taken: 4, dropped: 1, ..Counters::ZERO });
}

#[test]
fn the_latest_value_keeps_the_place_of_the_one_before() {
    let mut memory = [0; 200];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::KeepLatest(1), "a=1").unwrap();
    push(&mut outbox, Policy::KeepLatest(2), "b=1").unwrap();
    push(&mut outbox, Policy::DropNewest, "event").unwrap();
    push(&mut outbox, Policy::KeepLatest(1), "a=2222").unwrap();
    push(&mut outbox, Policy::KeepLatest(2), "").unwrap();
    assert_eq!(waiting(&outbox), ["a=2222", "", "event"]);
    assert_eq!(outbox.counters(), Counters { taken: 5, replaced: 2, ..Counters::ZERO });
}

#[test]
fn a_latest_value_that_has_grown_drops_others_if_that_helps() {
    let mut memory = [0; 3 * (HEADER + 4)];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::DropOldest, "old1").unwrap();
    push(&mut outbox, Policy::KeepLatest(1), "a=01").unwrap();
    push(&mut outbox, Policy::DropNewest, "keep").unwrap();
    push(&mut outbox, Policy::KeepLatest(1), "a=0123456789").unwrap();
    assert_eq!(waiting(&outbox), ["a=0123456789", "keep"]);
    assert_eq!(push(&mut outbox, Policy::KeepLatest(1), &"9".repeat(24)), Err(PushError::Full));
    assert_eq!(waiting(&outbox), ["a=0123456789", "keep"]);
}

#[test]
fn what_is_being_sent_is_neither_dropped_nor_replaced() {
    let mut memory = [0; 2 * (HEADER + 3)];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::KeepLatest(1), "a=1").unwrap();
    assert!(outbox.outgoing().is_some());
    push(&mut outbox, Policy::KeepLatest(1), "a=2").unwrap();
    assert_eq!(push(&mut outbox, Policy::DropOldest, "more"), Err(PushError::Full));
    push(&mut outbox, Policy::KeepLatest(1), "a=3").unwrap();
    assert_eq!(send(&mut outbox).unwrap(), "a=1");
    assert_eq!(send(&mut outbox).unwrap(), "a=3");
}

#[test]
fn a_message_is_sent_again_if_the_connection_ended_before_all_of_it_was_taken() {
    let mut memory = [0; 100];
    let mut outbox = Outbox::new(&mut memory);
    push(&mut outbox, Policy::DropNewest, "one").unwrap();
    outbox.outgoing();
    outbox.disconnected();
    assert_eq!(send(&mut outbox).unwrap(), "one");
}

#[test]
fn a_message_that_is_to_be_acknowledged_is_sent_again_over_the_next_connection() {
    let mut memory = [0; 100];
    let mut outbox = Outbox::new(&mut memory);
    let whole = Part::Whole(Kind::Text);
    let id = outbox.push_payload(whole, Policy::DropNewest, true, &&b"one"[..]).unwrap();
    assert_eq!(send(&mut outbox).unwrap(), "one");
    assert_eq!(send(&mut outbox), None);
    outbox.disconnected();
    assert_eq!(send(&mut outbox).unwrap(), "one");
    assert!(outbox.acknowledge(id));
    assert!(!outbox.acknowledge(id));
    assert!(outbox.is_empty());
    assert_eq!(outbox.counters(), Counters { taken: 1, sent: 1, ..Counters::ZERO });
}

#[test]
fn an_acknowledgement_of_what_is_being_sent_again_lets_it_finish() {
    let mut memory = [0; 100];
    let mut outbox = Outbox::new(&mut memory);
    let id = outbox.push_payload(Part::Whole(Kind::Text), Policy::DropNewest, true, &&b"one"[..]).unwrap();
    send(&mut outbox);
    outbox.disconnected();
    outbox.outgoing();
    assert!(outbox.acknowledge(id));
    assert_eq!(send(&mut outbox).unwrap(), "one");
    assert!(outbox.is_empty());
    assert_eq!(outbox.counters().sent, 1);
}

#[test]
fn rfc6455_s5_4_nothing_comes_between_the_fragments_of_a_message() {
    let mut memory = [0; 200];
    let mut outbox = Outbox::new(&mut memory);
    let fragment = |outbox: &mut Outbox<'_>, part, text: &str| {
        outbox.push_payload(part, Policy::DropNewest, false, &text.as_bytes()).unwrap()
    };
    fragment(&mut outbox, Part::First(Kind::Text), "a");
    push(&mut outbox, Policy::DropNewest, "between").unwrap();
    assert_eq!(send(&mut outbox).unwrap(), "a");
    assert_eq!(send(&mut outbox), None);
    fragment(&mut outbox, Part::Next, "b");
    fragment(&mut outbox, Part::Last, "c");
    let sent: Vec<_> = core::iter::from_fn(|| send(&mut outbox)).collect();
    assert_eq!(sent, ["b", "c", "between"]);
}

#[test]
fn the_end_of_the_connection_drops_the_fragments_and_keeps_the_messages() {
    let mut memory = [0; 200];
    let mut outbox = Outbox::new(&mut memory);
    outbox.push_payload(Part::First(Kind::Text), Policy::DropNewest, false, &&b"a"[..]).unwrap();
    outbox.push_payload(Part::Next, Policy::DropNewest, false, &&b"b"[..]).unwrap();
    push(&mut outbox, Policy::DropNewest, "message").unwrap();
    send(&mut outbox);
    outbox.disconnected();
    assert_eq!(waiting(&outbox), ["message"]);
    assert_eq!(send(&mut outbox).unwrap(), "message");
}

/// A plain list does the same as the outbox does in its memory.
#[test]
fn any_sequence_keeps_the_order_the_payloads_and_the_counts() {
    let mut random = fastrand::Rng::with_seed(7);
    for size in [40, 64, 200, 1000] {
        let mut memory = vec![0; size];
        let mut outbox = Outbox::new(&mut memory);
        let mut number = 0u32;
        for _ in 0..20_000 {
            match random.u32(..10) {
                0..=5 => {
                    number += 1;
                    let text = format!("{number:.<width$}", width = random.usize(1..60));
                    let policy = match random.u32(..3) {
                        0 => Policy::DropNewest,
                        1 => Policy::DropOldest,
                        _ => Policy::KeepLatest(random.u16(..3)),
                    };
                    let before = waiting(&outbox);
                    let dropped = outbox.counters().dropped + outbox.counters().replaced;
                    let taken = push(&mut outbox, policy, &text).is_ok();
                    let after = waiting(&outbox);
                    assert_eq!(after.contains(&text), taken);
                    let gone = outbox.counters().dropped + outbox.counters().replaced - dropped;
                    assert_eq!(after.len(), before.len() + usize::from(taken) - gone as usize);
                    let kept: Vec<_> = after.iter().filter(|message| **message != text).collect();
                    let order: Vec<_> = before.iter().filter(|message| after.contains(message)).collect();
                    assert_eq!(kept, order);
                }
                6 | 7 => {
                    send(&mut outbox);
                }
                8 => {
                    outbox.outgoing();
                }
                _ => outbox.disconnected(),
            }
            let Counters { taken, sent, dropped, replaced, .. } = outbox.counters();
            assert_eq!(taken, sent + dropped + replaced + waiting(&outbox).len() as u32);
        }
    }
}
