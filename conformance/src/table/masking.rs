//! §5.1 and §5.3: which side masks, and how.

use tautline_proto::{Kind, Role, Violation};

use super::Table;
use crate::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};

pub(super) fn add(table: &mut Table) {
    for (name, first) in [
        ("text", FIN | TEXT),
        ("binary", FIN | BINARY),
        ("first_fragment", TEXT),
        ("continuation", FIN | CONTINUATION),
        ("ping", FIN | PING),
        ("pong", FIN | PONG),
        ("close", FIN | CLOSE),
    ] {
        for payload in [&b""[..], b"Hi"] {
            let amount = if payload.is_empty() { "an_empty" } else { "a" };
            wrongly(table, format!("{amount}_{name}"), first, payload);
        }
    }
    wrongly(table, "a_long_binary".into(), FIN | BINARY, &[7; 70_000]);

    table.only(Role::Server, "5.1", "an_unmasked_frame_after_a_good_one_is_refused", |s| {
        s.text("good");
        let at = s.len() + 2;
        s.frame_masked_wrongly(FIN | TEXT, b"bad");
        s.violates_at(at, Violation::NotMasked);
        s.text("not heard");
    });

    for (name, first, violation) in [
        ("reserved_bit", 0xc1, Violation::ReservedBit),
        ("reserved_opcode", 0x83, Violation::ReservedOpCode),
        ("fragmented_control_frame", PING, Violation::FragmentedControl),
    ] {
        table.both("5.1", format_args!("a_{name}_shows_before_a_wrong_mask_does"), move |s| {
            s.frame_masked_wrongly(first, b"Hi");
            s.violates_at(1, violation);
        });
    }

    for (name, key) in [("zero", [0; 4]), ("ones", [0xff; 4]), ("rising", [1, 2, 3, 4])] {
        table.only(Role::Server, "5.3", format_args!("a_masking_key_of_{name}_is_taken_off"), move |s| {
            s.set_key(key);
            s.text("Hello, κόσμε");
            s.binary(&[0, 1, 2, 0xff]);
            s.ping(b"still masked");
            s.close(1000, "done");
        });
    }
    table.both("5.3", "payloads_of_every_length_up_to_40_are_unmasked", |s| {
        for len in 0..=40u8 {
            s.binary(&(0..len).collect::<Vec<_>>());
        }
    });
    table.both("5.3", "every_fragment_is_unmasked_with_its_own_key_from_its_own_beginning", |s| {
        let payload: Vec<u8> = (0..=255).collect();
        for size in 1..=9 {
            s.fragmented(Kind::Binary, &payload[..50], size);
        }
    });
}

fn wrongly(table: &mut Table, what: String, first: u8, payload: &'static [u8]) {
    for (role, masked, violation) in
        [(Role::Server, "unmasked", Violation::NotMasked), (Role::Client, "masked", Violation::Masked)]
    {
        table.only(role, "5.1", format_args!("{what}_frame_is_refused_{masked}"), move |s| {
            s.frame_masked_wrongly(first, payload);
            s.violates_at(2, violation);
            s.text("not heard");
            s.ping(b"not answered");
        });
    }
}
