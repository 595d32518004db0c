//! §5.6 and §6.2: data frames and what is delivered.

use tautline_proto::Kind;

use super::Table;

pub(super) fn add(table: &mut Table) {
    table.both("5.6", "empty_messages_are_messages", |s| {
        s.text("");
        s.binary(b"");
        s.text("");
    });
    table.both("5.6", "binary_takes_every_byte", |s| {
        s.binary(&(0..=255).collect::<Vec<u8>>());
    });
    table.both("5.6", "binary_need_not_be_text", |s| {
        s.binary(b"\xc0\x80\xed\xa0\x80\xf5");
        s.fragmented(Kind::Binary, b"\xff\xfe\xfd", 1);
    });
    table.both("5.6", "text_takes_every_character_of_ascii", |s| {
        s.text(&(0..=127u8).map(char::from).collect::<String>());
    });
    table.both("6.2", "messages_in_one_read_arrive_in_order", |s| {
        for i in 0..500 {
            s.text(&format!("message {i}"));
        }
    });
    table.both("6.2", "kinds_and_fragmentation_may_alternate", |s| {
        for i in 0..20 {
            s.text("whole text");
            s.fragmented(Kind::Binary, b"fragmented bytes", 1 + i);
            s.ping(b"");
            s.binary(b"whole bytes");
            s.fragmented(Kind::Text, "fragmented tëxt".as_bytes(), 1 + i);
            s.pong(b"");
        }
    });
    table.both("6.2", "a_message_is_delivered_only_when_its_last_byte_is_there", |s| {
        s.frame(0x81, b"cut short");
        s.cut(1);
        s.end();
    });
    table.both("6.2", "a_header_that_is_cut_off_is_no_message", |s| {
        s.text("whole");
        s.frame(0x82, &[7; 300]);
        s.cut(298);
        s.end();
    });
    large(table);
}

/// The ground of Autobahn's groups 9 and 10.
fn large(table: &mut Table) {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    for (name, kind, payload) in [("text", Kind::Text, "Ω≈ç√∫˜µ≤≥÷ plain "), ("binary", Kind::Binary, "\0binary")]
    {
        let of_len = move |len: usize| -> Vec<u8> {
            let mut bytes = payload.repeat(len / payload.len()).into_bytes();
            bytes.resize(len, b'.');
            bytes
        };
        for (size, len) in [
            ("64_kib", 64 * KIB),
            ("256_kib", 256 * KIB),
            ("1_mib", MIB),
            ("4_mib", 4 * MIB),
            ("8_mib", 8 * MIB),
            ("16_mib", 16 * MIB),
        ] {
            table.both("6.2", format_args!("{name}_of_{size}_arrives"), move |s| {
                s.message(kind, &of_len(len));
                s.ping(b"and then");
            });
        }
        for (size, fragment) in
            [("64", 64), ("256", 256), ("1k", KIB), ("4k", 4 * KIB), ("64k", 64 * KIB), ("1m", MIB), ("4m", 4 * MIB)]
        {
            table.both("6.2", format_args!("{name}_of_4_mib_in_fragments_of_{size}_arrives"), move |s| {
                // 64 bytes a fragment come to one fragment more than the default limit.
                s.set_limits(crate::Limits { fragments: 100_000, ..Default::default() });
                s.fragmented(kind, &of_len(4 * MIB), fragment);
            });
        }
        for fragment in [64, 256, 1_300] {
            table.both("6.2", format_args!("{name}_of_64_kib_in_fragments_of_{fragment}_arrives"), move |s| {
                s.fragmented(kind, &of_len(64 * KIB), fragment);
            });
        }
        table.both("6.2", format_args!("{name}_of_1_mib_arrives_in_pieces_of_64"), move |s| {
            s.message(kind, &of_len(MIB));
            s.chop(64);
        });
        for len in [0, 16, 64, 256, KIB, 4 * KIB, 16 * KIB] {
            table.both("6.2", format_args!("a_hundred_messages_of_{len}_bytes_of_{name}_arrive"), move |s| {
                (0..100).for_each(|_| s.message(kind, &of_len(len)));
            });
        }
    }
}
