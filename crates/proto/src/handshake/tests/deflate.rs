//! Negotiating permessage-deflate (RFC 7692 section 7.1).

use super::std::string::{String, ToString};
use super::*;
use crate::handshake::client::{self, Violation};
use crate::handshake::deflate::{Acceptance, Offer, Sender, Unlimited, WindowBits};

const TAKEOVER: bool = true;

fn sender(bits: u8, takeover: bool) -> Sender {
    Sender { window: WindowBits::new(bits).unwrap(), takeover }
}

/// What a server with this acceptance answers to this offer.
fn accept(acceptance: &Acceptance, offer: &str) -> Option<String> {
    let bytes = request(&valid_with("", &[("Sec-WebSocket-Extensions", offer)]));
    let options = Options { deflate: Some(*acceptance), ..Options::default() };
    serve(&bytes, &options).unwrap().extensions().map(ToString::to_string)
}

/// What a client with this offer makes of an answer: how both compress.
fn agree(offer: Offer, answer: &str) -> Result<Option<(Sender, Sender)>, Violation> {
    let offered = client::Offered { deflate: Some(offer), others: None };
    let request = client::Request { extensions: Some(&offered), ..client::Request::new("a", 80, "/", *NONCE) };
    let added = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];
    let extensions = [("Sec-WebSocket-Extensions", answer)];
    let headers = [&added[..], if answer.is_empty() { &[] } else { &extensions }].concat();
    let bytes = head("HTTP/1.1 101 Switching Protocols", &headers);
    let mut handshake = client::Handshake::new(Instant::ZERO, &request, &Limits::DEFAULT);
    match handshake.receive(Instant::ZERO, &bytes) {
        client::Progress::Complete(response) => {
            Ok(response.deflate().map(|parameters| (parameters.server, parameters.client)))
        }
        client::Progress::Failed(client::Error::Violation(violation)) => Err(violation),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r7692_7_1_a_server_answers_what_it_was_offered() {
    let acceptance = Acceptance::default();
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("foo, permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=\"1\\0\"", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
        // Section 7.1.3: an offer that is not understood is declined, and the next one is looked at.
        (
            "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
    ] {
        assert_eq!(accept(&acceptance, offer).as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn r7692_7_1_an_offer_that_breaks_the_rules_is_declined_and_not_the_connection() {
    for offer in [
        "foo",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "Permessage-Deflate",
    ] {
        assert_eq!(accept(&Acceptance::default(), offer), None, "{offer}");
    }
}

#[test]
fn r7692_7_1_a_server_asks_for_less_than_it_is_offered() {
    let small =
        Acceptance { server: sender(9, TAKEOVER), client: sender(10, TAKEOVER), unlimited: Unlimited::NoTakeover };
    for (offer, answer) in [
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
        ),
        // Section 7.1.2.2: never named if the offer does not name it.
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover; server_max_window_bits=9"),
    ] {
        assert_eq!(accept(&small, offer).as_deref(), Some(answer), "{offer}");
    }
    let accept_all = Acceptance { unlimited: Unlimited::Accept, ..small };
    assert_eq!(
        accept(&accept_all, "permessage-deflate").as_deref(),
        Some("permessage-deflate; server_max_window_bits=9")
    );
    let strict = Acceptance { unlimited: Unlimited::Decline, ..small };
    assert_eq!(accept(&strict, "permessage-deflate"), None);
    let second = "permessage-deflate; server_max_window_bits=12, permessage-deflate; client_max_window_bits";
    let answer = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10";
    assert_eq!(accept(&strict, second).as_deref(), Some(answer));
    let fan_out = Acceptance { server: sender(15, false), client: sender(15, false), ..small };
    let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(accept(&fan_out, "permessage-deflate").as_deref(), Some(answer));
}

#[test]
fn r7692_7_1_an_offer_says_what_it_has_to() {
    let all = Sender::DEFAULT;
    for (offer, text) in [
        (Offer { server: all, client: all }, "permessage-deflate; client_max_window_bits"),
        (
            Offer { server: sender(9, false), client: sender(8, false) },
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=8",
        ),
        (
            Offer { server: sender(15, false), client: sender(14, TAKEOVER) },
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=14",
        ),
        (
            Offer { server: sender(10, false), client: sender(10, false) },
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=10",
        ),
    ] {
        assert_eq!(offer.text().as_str(), text);
    }
}

#[test]
fn r7692_7_1_an_answer_is_held_against_the_offer() {
    let all = Offer::default();
    let small = Offer { server: sender(10, false), client: sender(9, false) };
    let full = Sender::DEFAULT;
    for (offer, answer, expected) in [
        (all, "", Ok(None)),
        (all, "permessage-deflate", Ok(Some((full, full)))),
        (all, "permessage-deflate; client_max_window_bits=8", Ok(Some((full, sender(8, TAKEOVER))))),
        // A server may limit itself without being asked.
        (
            all,
            "permessage-deflate; server_max_window_bits=\"9\"; server_no_context_takeover",
            Ok(Some((sender(9, false), full))),
        ),
        (all, "permessage-deflate; client_no_context_takeover", Ok(Some((full, sender(15, false))))),
        (
            small,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
            Ok(Some((sender(10, false), sender(9, false)))),
        ),
        (
            small,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=8",
            Ok(Some((sender(8, false), sender(8, false)))),
        ),
        // It lets us have more than we asked for.
        (
            small,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=15",
            Ok(Some((sender(10, false), sender(9, false)))),
        ),
        // It did not do what was asked.
        (small, "permessage-deflate", Err(Violation::DeflateParameters)),
        (small, "permessage-deflate; server_max_window_bits=10", Err(Violation::DeflateParameters)),
        (small, "permessage-deflate; server_no_context_takeover", Err(Violation::DeflateParameters)),
        (
            small,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
            Err(Violation::DeflateParameters),
        ),
        // It says what no server may.
        (all, "permessage-deflate; client_max_window_bits", Err(Violation::DeflateParameters)),
        (all, "permessage-deflate; server_max_window_bits", Err(Violation::DeflateParameters)),
        (all, "permessage-deflate; unknown", Err(Violation::DeflateParameters)),
        (all, "permessage-deflate; server_max_window_bits=7", Err(Violation::DeflateParameters)),
        (
            all,
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            Err(Violation::DeflateParameters),
        ),
        (all, "permessage-deflate, permessage-deflate", Err(Violation::DeflateParameters)),
        (all, "foo", Err(Violation::ExtensionNotOffered)),
    ] {
        assert_eq!(agree(offer, answer), expected, "{answer}");
    }
}

#[test]
fn r7692_7_1_whatever_we_offer_and_accept_both_sides_understand_alike() {
    let senders = || (8..=15).flat_map(|bits| [sender(bits, true), sender(bits, false)]);
    for (server, client) in senders().flat_map(|server| senders().map(move |client| (server, client))) {
        let offer = Offer { server, client };
        for acceptance in senders().map(|own| Acceptance { server: own, client: own, ..Acceptance::default() }) {
            let bytes = request(&valid_with("", &[("Sec-WebSocket-Extensions", offer.text().as_str())]));
            let options = Options { deflate: Some(acceptance), ..Options::default() };
            let accepted = serve(&bytes, &options).unwrap();
            let agreed = accepted.deflate().map(|parameters| (parameters.server, parameters.client));
            assert_eq!(agree(offer, accepted.extensions().unwrap()), Ok(agreed), "{offer:?} {acceptance:?}");
        }
    }
}
