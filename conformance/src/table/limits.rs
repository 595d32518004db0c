//! §10.4: what an endpoint limits.

use tautline_proto::{Kind, Violation};

use super::Table;
use crate::script::Limits;
use crate::wire::{BINARY, CONTINUATION, FIN, Form, TEXT};

pub(super) fn add(table: &mut Table) {
    frames(table);
    messages(table);
    fragments(table);
}

fn frames(table: &mut Table) {
    for limit in [0, 1, 125, 126, 1000, 65535, 65536] {
        table.both(
            "10.4",
            format_args!("a_frame_of_the_limit_of_{limit}_is_taken_and_one_more_is_refused"),
            move |s| {
                s.set_limits(Limits { frame: limit, ..Limits::default() });
                s.binary(&vec![7; limit as usize]);
                header(s, FIN | BINARY, limit + 1);
                s.violates(Violation::FrameTooBig);
                s.bytes(&vec![7; limit as usize + 1]);
                s.text("not heard");
            },
        );
    }
    table.both("10.4", "a_frame_of_2_to_the_63_minus_1_is_refused_at_its_header", |s| {
        s.header(FIN | BINARY, Form::SixtyFour, i64::MAX as u64);
        s.violates(Violation::FrameTooBig);
    });
    table.both("10.4", "a_frame_over_16_mib_is_refused_at_its_header", |s| {
        header(s, FIN | TEXT, (16 << 20) + 1);
        s.violates(Violation::FrameTooBig);
        s.bytes(&[b'*'; 1000]);
    });
    table.both("10.4", "a_limit_on_frames_does_not_hold_for_control_frames", |s| {
        s.set_limits(Limits { frame: 0, message: 0, fragments: 1 });
        s.ping(&[7; 125]);
        s.text("");
        s.close(1000, "reason");
    });
}

fn messages(table: &mut Table) {
    for limit in [0, 1, 126, 65536] {
        table.both(
            "10.4",
            format_args!("a_message_of_the_limit_of_{limit}_is_taken_and_one_more_is_refused"),
            move |s| {
                s.set_limits(Limits { message: limit, ..Limits::default() });
                s.binary(&vec![7; limit as usize]);
                s.fragmented(Kind::Binary, &vec![7; limit as usize], (limit as usize).div_ceil(3).max(1));
                header(s, FIN | BINARY, limit + 1);
                s.violates(Violation::MessageTooBig);
                s.text("not heard");
            },
        );
    }
    table.both("10.4", "fragments_that_add_up_to_more_than_the_limit_are_refused_at_the_header_that_shows_it", |s| {
        s.set_limits(Limits { message: 10, ..Limits::default() });
        s.first(Kind::Text, b"12345");
        s.ping(b"does not count");
        s.next(b"67890");
        s.next(b"");
        header(s, FIN | CONTINUATION, 1);
        s.violates(Violation::MessageTooBig);
        s.bytes(b"1");
    });
    table.both("10.4", "each_message_is_counted_for_itself", |s| {
        s.set_limits(Limits { message: 10, fragments: 3, ..Limits::default() });
        for _ in 0..10 {
            s.fragmented(Kind::Text, b"1234567890", 4);
        }
    });
}

fn fragments(table: &mut Table) {
    for limit in [1, 2, 3, 100] {
        table.both("10.4", format_args!("{limit}_fragments_are_taken_and_one_more_is_refused"), move |s| {
            s.set_limits(Limits { fragments: limit, ..Limits::default() });
            for _ in 0..2 {
                s.fragmented(Kind::Text, &vec![b'*'; limit as usize - 1], 1);
            }
            s.first(Kind::Text, b"");
            for _ in 1..limit {
                s.ping(b"does not count");
                s.next(b"");
            }
            header(s, FIN | CONTINUATION, 0);
            s.violates(Violation::TooManyFragments);
        });
    }
    table.both("10.4", "empty_fragments_without_end_are_refused", |s| {
        s.first(Kind::Binary, b"");
        (1..262_144).for_each(|_| s.next(b""));
        header(s, CONTINUATION, 0);
        s.violates(Violation::TooManyFragments);
    });
}

fn header(s: &mut crate::Script, first: u8, len: u64) {
    s.header(first, Form::minimal(len), len);
}
