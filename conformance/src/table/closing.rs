//! §5.5.1, §7 and the registry of close codes.

use tautline_proto::{CloseCode, Kind, Violation};

use super::Table;
use crate::script::close_payload;
use crate::wire::{BINARY, CLOSE, FIN, Form, PING};

pub(super) fn add(table: &mut Table) {
    the_peer_closes(table);
    bad_close_frames(table);
    we_close(table);
    without_a_close_frame(table);
    failing(table);
    codes(table);
}

fn the_peer_closes(table: &mut Table) {
    table.both("5.5.1", "a_close_frame_without_code_is_answered_without_code", |s| s.close_without_code());
    table.both("5.5.1", "a_close_frame_is_answered_with_its_code", |s| s.close(1000, ""));
    table.both("5.5.1", "a_reason_is_handed_up", |s| s.close(1001, "going, κόσμε"));
    table.both("5.5.1", "the_longest_reason_is_handed_up", |s| {
        s.close(
            1000,
            "************************************************************************************************\
            ***************************",
        );
    });
    table.both("5.5.1", "messages_before_a_close_frame_are_delivered", |s| {
        s.text("one");
        s.fragmented(Kind::Binary, b"fragmented", 3);
        s.close(1000, "");
    });
    for (name, code) in [("with", Some(1000)), ("without", None)] {
        let close = move |s: &mut crate::Script| match code {
            Some(code) => s.close(code, ""),
            None => s.close_without_code(),
        };
        table.both("5.5.1", format_args!("data_after_a_close_frame_{name}_code_is_ignored"), move |s| {
            close(s);
            s.text("too late");
            s.binary(&[7; 70_000]);
        });
        table.both("5.5.1", format_args!("a_second_close_frame_after_one_{name}_code_is_ignored"), move |s| {
            close(s);
            s.close(1001, "again");
        });
        table.both("5.5.1", format_args!("nonsense_after_a_close_frame_{name}_code_is_ignored"), move |s| {
            close(s);
            s.bytes(&[0xff; 200]);
        });
        table.both("5.5.1", format_args!("a_ping_after_a_close_frame_{name}_code_is_ignored"), move |s| {
            close(s);
            s.ping(b"too late");
        });
    }
    table.both("7.1.1", "a_peer_that_ends_its_side_after_its_close_frame_is_answered", |s| {
        s.close(1000, "");
        s.end();
    });
    table.both("7.1.4", "a_close_frame_makes_a_clean_end_of_an_unfinished_message", |s| {
        s.first(Kind::Text, b"begun");
        s.close(1000, "");
        s.end();
    });
}

fn bad_close_frames(table: &mut Table) {
    table.both("5.5.1", "a_close_frame_of_one_byte_is_refused", |s| {
        s.frame(FIN | CLOSE, &[3]);
        s.violates(Violation::TruncatedCloseCode);
    });
    table.both("5.5.1", "a_close_frame_of_one_byte_in_reply_is_refused", |s| {
        s.we_close(CloseCode::NORMAL, "");
        s.frame(FIN | CLOSE, &[3]);
        s.violates(Violation::TruncatedCloseCode);
    });
    for (name, reason) in [
        ("an_overlong_form", &b"bad \xc0\xaf"[..]),
        ("a_surrogate", b"bad \xed\xa0\x80"),
        ("a_cut_character", b"bad \xce"),
        ("a_byte_that_is_never_right", b"\xff bad"),
    ] {
        table.both("5.5.1", format_args!("a_reason_with_{name}_is_refused"), move |s| {
            s.frame(FIN | CLOSE, &close_payload(1000, reason));
            s.violates(Violation::InvalidCloseReason);
            s.text("not heard");
        });
    }
    table.both("5.5.1", "a_close_frame_that_arrives_in_pieces_counts_once_it_is_whole", |s| {
        s.header(FIN | CLOSE, Form::Seven, 5);
        s.pause();
        s.bytes(b"12");
        s.end();
    });
}

fn we_close(table: &mut Table) {
    table.both("7.1.1", "our_close_frame_is_answered", |s| {
        s.we_close(CloseCode::NORMAL, "done");
        s.close(1000, "done");
    });
    table.both("7.1.1", "our_close_frame_is_answered_and_the_transport_ends", |s| {
        s.we_close(CloseCode::GOING_AWAY, "");
        s.close(1001, "");
        s.end();
    });
    table.both("7.1.1", "our_close_frame_crosses_the_peers", |s| {
        s.we_close(CloseCode::GOING_AWAY, "mine");
        s.close(4000, "yours");
        s.ping(b"too late");
    });
    table.both("7.1.1", "a_reply_without_code_is_a_reply", |s| {
        s.we_close(CloseCode::NORMAL, "");
        s.close_without_code();
    });
    table.both("5.5.1", "messages_that_come_before_the_reply_are_delivered", |s| {
        s.text("before");
        s.we_close(CloseCode::NORMAL, "");
        s.text("on its way already");
        s.fragmented(Kind::Binary, b"fragmented", 3);
        s.pong(b"");
        s.close(1000, "");
        s.text("too late");
    });
    table.both("5.5.1", "we_may_close_within_a_message_of_the_peer", |s| {
        s.first(Kind::Text, b"begun, ");
        s.we_close(CloseCode::NORMAL, "");
        s.last(b"ended");
        s.close(1000, "");
    });
    table.both("7.1.4", "a_transport_that_ends_without_the_reply_is_not_clean", |s| {
        s.we_close(CloseCode::NORMAL, "");
        s.text("on its way already");
        s.end();
    });
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
        table.both("7.4.1", format_args!("closing_with_{}_sends_no_code", code.as_u16()), move |s| {
            s.we_close(code, "a reason needs a code");
            s.close_without_code();
        });
    }
}

fn without_a_close_frame(table: &mut Table) {
    table.both("7.1.5", "a_transport_that_just_ends_has_no_code", |s| s.end());
    table.both("7.1.5", "a_transport_that_ends_after_messages_has_no_code", |s| {
        s.text("one");
        s.ping(b"answered");
        s.end();
    });
    table.both("7.1.5", "a_transport_that_ends_inside_a_header_has_no_code", |s| {
        s.frame(FIN | BINARY, &[7; 200]);
        s.cut(201);
        s.end();
    });
    table.both("7.1.5", "a_transport_that_ends_inside_a_ping_has_no_code", |s| {
        s.frame(FIN | PING, b"ping");
        s.cut(1);
        s.end();
    });
    table.both("7.1.5", "a_transport_that_ends_inside_a_close_frame_has_no_code", |s| {
        s.frame(FIN | CLOSE, &close_payload(1000, b""));
        s.cut(1);
        s.end();
    });
    table.both("7.1.5", "a_transport_that_ends_inside_a_message_has_no_code", |s| {
        s.first(Kind::Binary, b"begun");
        s.end();
    });
    table.both("7.1.6", "the_reason_of_the_peer_is_the_reason", |s| s.close(3000, "the reason"));
}

fn failing(table: &mut Table) {
    table.both("7.1.7", "nothing_is_delivered_after_a_failure", |s| {
        s.text("good");
        let at = s.len() + 1;
        s.frame(0xf1, b"bad");
        s.violates_at(at, Violation::ReservedBit);
        s.text("good again");
        s.ping(b"not answered");
        s.close(1000, "not answered");
    });
    table.both("7.1.7", "a_failed_peer_that_ends_its_side_is_done", |s| {
        s.frame(0x83, b"bad");
        s.violates_at(1, Violation::ReservedOpCode);
        s.end();
    });
    table.both("7.1.7", "a_failure_while_closing_sends_no_second_close_frame", |s| {
        s.we_close(CloseCode::NORMAL, "");
        s.text("good");
        let at = s.len() + 1;
        s.frame(0x83, b"bad");
        s.violates_at(at, Violation::ReservedOpCode);
        s.close(1000, "");
    });
    table.both("7.1.7", "pongs_that_are_due_precede_the_failure", |s| {
        s.ping(b"answered");
        let at = s.len() + 1;
        s.frame(0xc1, b"bad");
        s.violates_at(at, Violation::ReservedBit);
    });
}

fn codes(table: &mut Table) {
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3001, 3999, 4000, 4001, 4999]) {
        table.both("7.4.1", format_args!("code_{code}_is_taken_and_echoed"), move |s| s.close(code, "reason"));
    }
    for code in [
        0, 1, 255, 256, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1099, 1100, 1999, 2000, 2999, 5000, 5001, 32768, 65535,
    ] {
        table.both("7.4.2", format_args!("code_{code}_is_refused"), move |s| {
            s.frame(FIN | CLOSE, &close_payload(code, b""));
            s.violates(Violation::InvalidCloseCode);
            s.text("not heard");
        });
        table.both("7.4.2", format_args!("code_{code}_with_a_reason_is_refused"), move |s| {
            s.frame(FIN | CLOSE, &close_payload(code, b"reason"));
            s.violates(Violation::InvalidCloseCode);
        });
    }
}
