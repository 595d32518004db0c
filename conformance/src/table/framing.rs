//! §5.2, §5.7 and §5.8: reserved bits, reserved opcodes, lengths.

use tautline_proto::{Kind, Violation};

use super::Table;
use crate::script::Limits;
use crate::wire::{BINARY, CLOSE, CONTINUATION, FIN, Form, PING, PONG, TEXT};

pub(super) fn add(table: &mut Table) {
    reserved_bits(table);
    reserved_opcodes(table);
    lengths(table);
    lengths_not_minimal(table);

    table.both("5.7", "the_examples_of_the_rfc_are_understood", |s| {
        s.text("Hello");
        s.first(Kind::Text, b"Hel");
        s.last(b"lo");
        s.ping(b"Hello");
        s.pong(b"Hello");
        s.binary(&[0x5a; 256]);
        s.binary(&[0xa5; 65536]);
    });
}

fn reserved_bits(table: &mut Table) {
    for bits in 1..=7u8 {
        for (name, opcode) in [
            ("text", TEXT),
            ("binary", BINARY),
            ("continuation", CONTINUATION),
            ("ping", PING),
            ("pong", PONG),
            ("close", CLOSE),
        ] {
            table.both("5.2", format_args!("reserved_bits_{bits:03b}_on_a_{name}_frame_are_refused"), move |s| {
                s.frame(FIN | bits << 4 | opcode, b"");
                s.violates_at(1, Violation::ReservedBit);
                s.ping(b"not answered");
            });
        }
    }
    for bit in [0x40, 0x20, 0x10] {
        table.both("5.8", format_args!("bit_{bit:x}_has_no_meaning_without_an_extension"), move |s| {
            s.text("good");
            let at = s.len() + 1;
            s.frame(FIN | bit | TEXT, b"bad");
            s.violates_at(at, Violation::ReservedBit);
            s.text("not heard");
        });
        table.both("5.8", format_args!("bit_{bit:x}_is_refused_between_fragments"), move |s| {
            s.first(Kind::Text, b"begun");
            s.ping(b"answered");
            let at = s.len() + 1;
            s.frame(FIN | bit | CONTINUATION, b"bad");
            s.violates_at(at, Violation::ReservedBit);
        });
    }
}

fn reserved_opcodes(table: &mut Table) {
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        for (name, payload) in [("empty_", &b""[..]), ("", b"payload")] {
            table.both("5.2", format_args!("a_{name}frame_with_opcode_{opcode:x}_is_refused"), move |s| {
                s.frame(FIN | opcode, payload);
                s.violates_at(1, Violation::ReservedOpCode);
                s.ping(b"not answered");
            });
        }
        table.both("5.2", format_args!("opcode_{opcode:x}_is_refused_between_good_frames"), move |s| {
            s.text("good");
            s.ping(b"answered");
            let at = s.len() + 1;
            s.frame(opcode, b"bad");
            s.violates_at(at, Violation::ReservedOpCode);
            s.text("not heard");
        });
    }
}

fn lengths(table: &mut Table) {
    for len in [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537] {
        for (name, kind) in [("text", Kind::Text), ("binary", Kind::Binary)] {
            table.both("5.2", format_args!("a_{name}_message_of_{len}_bytes_arrives"), move |s| {
                s.message(kind, &vec![b'*'; len]);
                s.close(1000, "");
            });
        }
    }
    table.both("5.2", "messages_of_all_forms_of_length_follow_each_other", |s| {
        for len in [65536, 0, 126, 125, 65535, 1] {
            s.binary(&vec![0xfe; len]);
        }
    });
}

fn lengths_not_minimal(table: &mut Table) {
    for len in [0, 1, 125] {
        table.both("5.2", format_args!("a_length_of_{len}_in_16_bits_is_refused"), move |s| {
            s.header(FIN | BINARY, Form::Sixteen, len);
            s.violates_at(4, Violation::LengthNotMinimal);
            s.bytes(&vec![0; len as usize]);
        });
    }
    for len in [0, 1, 125, 126, 65535] {
        table.both("5.2", format_args!("a_length_of_{len}_in_64_bits_is_refused"), move |s| {
            s.header(FIN | TEXT, Form::SixtyFour, len);
            s.violates_at(10, Violation::LengthNotMinimal);
            s.bytes(&vec![b'*'; len as usize]);
        });
    }
    for (name, len) in [("with_its_top_bit", 1 << 63), ("of_all_ones", u64::MAX)] {
        table.both("5.2", format_args!("a_length_{name}_is_refused"), move |s| {
            // Not even without any limit.
            s.set_limits(Limits { frame: u64::MAX, message: u64::MAX, fragments: u32::MAX });
            s.header(FIN | BINARY, Form::SixtyFour, len);
            s.violates_at(10, Violation::LengthTooLarge);
        });
    }
    table.both("5.2", "the_largest_length_of_all_is_a_length", |s| {
        s.set_limits(Limits { frame: u64::MAX, message: u64::MAX, fragments: u32::MAX });
        s.header(BINARY, Form::SixtyFour, i64::MAX as u64);
        s.bytes(b"the beginning of it");
        s.end();
    });
}
