//! §5.5: control frames; §5.5.2 and §5.5.3: pings and pongs. Close frames have a table of their own.

use tautline_proto::{CloseCode, Kind, Violation};

use super::Table;
use crate::wire::{CLOSE, FIN, Form, PING, PONG};

pub(super) fn add(table: &mut Table) {
    too_long(table);
    pings(table);
    pongs(table);
}

fn too_long(table: &mut Table) {
    for (name, opcode) in [("ping", PING), ("pong", PONG), ("close", CLOSE)] {
        for len in [126, 127, 65536] {
            table.both("5.5", format_args!("a_{name}_of_{len}_bytes_is_refused"), move |s| {
                s.frame(FIN | opcode, &vec![b'*'; len]);
                s.violates_at(2, Violation::ControlTooLong);
                s.text("not heard");
            });
        }
        for (bits, form) in [(16, Form::Sixteen), (64, Form::SixtyFour)] {
            table.both("5.5", format_args!("a_{name}_with_a_length_of_{bits}_bits_is_refused"), move |s| {
                s.header(FIN | opcode, form, 5);
                s.violates_at(2, Violation::ControlTooLong);
                s.bytes(b"12345");
            });
        }
    }
    table.both("5.5", "a_ping_too_long_between_fragments_is_refused", |s| {
        s.first(Kind::Text, b"begun");
        s.ping(&[b'*'; 125]);
        let at = s.len() + 2;
        s.frame(FIN | PING, &[b'*'; 126]);
        s.violates_at(at, Violation::ControlTooLong);
    });
}

fn pings(table: &mut Table) {
    for (name, payload) in [
        ("without_payload", &b""[..]),
        ("of_one_byte", b"1"),
        ("with_text", b"Hello, world!"),
        ("with_bytes_that_are_not_text", &[0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]),
        ("of_124_bytes", &[0xfe; 124]),
        ("of_125_bytes", &[0xfe; 125]),
    ] {
        table.both("5.5.2", format_args!("a_ping_{name}_is_answered_with_its_payload"), move |s| {
            s.ping(payload);
            s.close(1000, "");
        });
    }
    table.both("5.5.2", "pings_of_every_length_are_answered", |s| {
        for len in 0..=125 {
            s.ping(&vec![len; usize::from(len)]);
        }
    });
    table.both("5.5.2", "ten_pings_in_a_row_are_answered_in_order", |s| {
        for i in 0..10 {
            s.ping(format!("payload {i}").as_bytes());
        }
    });
    table.both("5.5.2", "a_flood_of_pings_is_answered", |s| {
        for i in 0..2_000u32 {
            s.ping(&i.to_be_bytes());
        }
        s.text("still here");
    });
    table.both("5.5.2", "a_ping_that_arrives_in_pieces_is_answered_once_it_is_whole", |s| {
        s.header(FIN | PING, Form::Seven, 5);
        s.pause();
        s.bytes(b"12");
        s.end();
    });
    table.both("5.5.2", "pings_between_messages_are_answered", |s| {
        for kind in [Kind::Text, Kind::Binary, Kind::Text] {
            s.message(kind, b"message");
            s.ping(b"ping");
            s.message(kind, b"");
            s.ping(b"");
        }
    });
    table.both("5.5.2", "a_ping_after_a_close_frame_is_not_answered", |s| {
        s.close(1000, "");
        s.ping(b"too late");
    });
    table.both("5.5.2", "a_ping_after_our_close_frame_is_seen_but_not_answered", |s| {
        s.we_close(CloseCode::NORMAL, "");
        s.ping(b"too late");
        s.close(1000, "");
    });
}

fn pongs(table: &mut Table) {
    for (name, payload) in [("without_payload", &b""[..]), ("with_payload", b"unasked"), ("of_125_bytes", &[0xff; 125])]
    {
        table.both("5.5.3", format_args!("an_unsolicited_pong_{name}_asks_for_nothing"), move |s| {
            s.pong(payload);
        });
        table.both("5.5.3", format_args!("a_ping_behind_an_unsolicited_pong_{name}_is_answered"), move |s| {
            s.pong(payload);
            s.ping(b"asked");
            s.pong(payload);
        });
    }
    table.both("5.5.3", "a_pong_that_guesses_at_our_next_ping_answers_nothing", |s| {
        for number in 0..3u32 {
            s.pong(&number.to_be_bytes());
        }
    });
}
