//! §5.4: fragmentation, alone and with control frames between the fragments.

use tautline_proto::{Kind, Violation};

use super::Table;
use crate::script::Script;
use crate::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};

pub(super) fn add(table: &mut Table) {
    for (name, kind) in [("text", Kind::Text), ("binary", Kind::Binary)] {
        assembled(table, name, kind);
        interleaved(table, name, kind);
    }
    refused(table);
}

fn assembled(table: &mut Table, name: &'static str, kind: Kind) {
    for size in [1, 2, 3, 7] {
        table.both("5.4", format_args!("{name}_in_fragments_of_{size}_is_put_together"), move |s| {
            s.fragmented(kind, b"put together again", size);
            s.message(kind, b"whole");
        });
    }
    table.both("5.4", format_args!("empty_fragments_of_{name}_count_for_nothing"), move |s| {
        s.first(kind, b"");
        s.next(b"");
        s.last(b"");
        s.first(kind, b"");
        s.next(b"middle");
        s.last(b"");
        s.first(kind, b"begin");
        s.next(b"");
        s.last(b"end");
    });
    table.both("5.4", format_args!("fragments_of_{name}_arrive_with_pauses"), move |s| {
        s.first(kind, b"one ");
        s.pause();
        s.next(b"two ");
        s.pause();
        s.next(b"");
        s.pause();
        s.last(b"three");
    });
    table.both("5.4", format_args!("fragments_of_{name}_have_every_form_of_length"), move |s| {
        s.first(kind, &[b'a'; 125]);
        s.next(&[b'b'; 126]);
        s.next(&[b'c'; 65535]);
        s.last(&[b'd'; 65536]);
    });
    table.both("5.4", format_args!("a_thousand_fragments_of_{name}_are_put_together"), move |s| {
        s.fragmented(kind, &[b'*'; 1000], 1);
    });
    table.both("5.4", format_args!("a_message_of_{name}_that_never_ends_is_never_delivered"), move |s| {
        s.first(kind, b"begun");
        s.next(b", and");
        s.end();
    });
}

/// What stands in one gap between two fragments.
const GAPS: [(&str, &[Between]); 7] = [
    ("none", &[]),
    ("ping", &[Between::Ping]),
    ("pong", &[Between::Pong]),
    ("ping_ping", &[Between::Ping, Between::Ping]),
    ("ping_pong", &[Between::Ping, Between::Pong]),
    ("pong_ping", &[Between::Pong, Between::Ping]),
    ("long_ping", &[Between::LongPing]),
];

#[derive(Clone, Copy)]
enum Between {
    Ping,
    Pong,
    LongPing,
}

impl Between {
    fn write(self, s: &mut Script) {
        match self {
            Self::Ping => s.ping(b"are you there?"),
            Self::Pong => s.pong(b""),
            Self::LongPing => s.ping(&[0x80; 125]),
        }
    }
}

fn interleaved(table: &mut Table, name: &'static str, kind: Kind) {
    for (first_name, first_gap) in GAPS {
        for (second_name, second_gap) in GAPS {
            let behaviour =
                format!("{name}_with_{first_name}_then_{second_name}_between_its_fragments_is_put_together");
            table.both("5.4", behaviour, move |s| {
                s.first(kind, b"Hel");
                first_gap.iter().for_each(|frame| frame.write(s));
                s.next(b"lo, ");
                second_gap.iter().for_each(|frame| frame.write(s));
                s.last(b"world");
                s.message(kind, b"and another");
            });
        }
    }
    table.both(
        "5.4",
        format_args!("a_ping_between_fragments_of_{name}_is_answered_before_the_message_ends"),
        move |s| {
            s.first(kind, b"begun");
            s.ping(b"now");
        },
    );
    table.both("5.4", format_args!("a_ping_inside_a_cut_character_or_byte_of_{name}_disturbs_nothing"), move |s| {
        for byte in "κόσμε".bytes().take(9) {
            if s.is_empty() {
                s.first(kind, &[byte])
            } else {
                s.next(&[byte])
            }
            s.ping(&[byte]);
        }
        s.last(&"κόσμε".as_bytes()[9..]);
    });
    for (place, fragments) in [("the_first_fragment", 1), ("two_fragments", 2)] {
        table.both("5.4", format_args!("a_close_after_{place}_of_{name}_ends_the_connection"), move |s| {
            s.first(kind, b"begun");
            (1..fragments).for_each(|_| s.next(b", and"));
            s.close(1001, "no time");
            s.frame(FIN | CONTINUATION, b"too late");
        });
    }
}

fn refused(table: &mut Table) {
    for (name, fin) in [("last", FIN), ("middle", 0)] {
        for payload in [&b""[..], b"payload"] {
            let amount = if payload.is_empty() { "empty_" } else { "" };
            table.both("5.4", format_args!("an_{amount}{name}_continuation_of_nothing_is_refused"), move |s| {
                header_then_payload(s, fin | CONTINUATION, payload, Violation::UnexpectedContinuation);
                s.text("not heard");
            });
            table.both(
                "5.4",
                format_args!("an_{amount}{name}_continuation_after_a_whole_message_is_refused"),
                move |s| {
                    s.text("whole");
                    header_then_payload(s, fin | CONTINUATION, payload, Violation::UnexpectedContinuation);
                    s.text("not heard");
                },
            );
            table.both("5.4", format_args!("an_{amount}{name}_continuation_after_the_last_one_is_refused"), move |s| {
                s.first(Kind::Text, b"frag");
                s.last(b"mented");
                header_then_payload(s, fin | CONTINUATION, payload, Violation::UnexpectedContinuation);
                s.frame(TEXT, b"not heard");
            });
        }
    }
    for (begun, kind) in [("text", Kind::Text), ("binary", Kind::Binary)] {
        for (new, first) in
            [("text", FIN | TEXT), ("binary", FIN | BINARY), ("fragmented_text", TEXT), ("fragmented_binary", BINARY)]
        {
            table.both("5.4", format_args!("{new}_inside_a_message_of_{begun}_is_refused"), move |s| {
                s.first(kind, b"begun");
                s.ping(b"answered");
                header_then_payload(s, first, b"new", Violation::ExpectedContinuation);
                s.frame(FIN | CONTINUATION, b"not heard");
            });
        }
    }
    for (name, opcode) in [("ping", PING), ("pong", PONG), ("close", CLOSE)] {
        table.both("5.4", format_args!("a_fragmented_{name}_is_refused"), move |s| {
            s.frame(opcode, b"frag");
            s.violates_at(1, Violation::FragmentedControl);
            s.frame(FIN | CONTINUATION, b"ment");
        });
        table.both("5.4", format_args!("a_fragmented_{name}_between_fragments_is_refused"), move |s| {
            s.first(Kind::Text, b"begun");
            let at = s.len() + 1;
            s.frame(opcode, b"");
            s.violates_at(at, Violation::FragmentedControl);
        });
    }
}

/// The header alone must be enough to see the violation.
fn header_then_payload(s: &mut Script, first: u8, payload: &[u8], violation: Violation) {
    let before = s.len();
    s.frame(first, payload);
    let header_len = s.len() - before - payload.len();
    s.violates_at(before + header_len, violation);
}
