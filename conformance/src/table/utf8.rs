//! §8.1 and §5.6: text is UTF-8, and what is not is refused at the first byte that shows it.

use tautline_proto::{Kind, Violation};

use super::Table;
use crate::wire::{CONTINUATION, FIN, TEXT};

pub(super) fn add(table: &mut Table) {
    for (name, text) in VALID {
        valid(table, name, text);
    }
    for (name, bytes) in INVALID {
        invalid(table, name, bytes);
    }
    for (name, bytes) in UNFINISHED {
        unfinished(table, name, bytes);
    }
    table.both("8.1", "every_character_of_the_first_planes_edges_arrives", |s| {
        for first in [0x0, 0x80, 0x7f0, 0x800, 0xd7f0, 0xe000, 0xfdd0, 0xfff0, 0x1_0000, 0x1_fff0, 0x10_fff0] {
            s.text(&(first..first + 16).filter_map(char::from_u32).collect::<String>());
        }
    });
    table.both("8.1", "text_that_is_not_utf8_is_refused_while_its_frame_is_still_coming", |s| {
        let payload = [b"good \xff", &[b'*'; 994][..]].concat();
        s.frame(FIN | TEXT, &payload);
        s.violates_at(s.len() - 994, Violation::InvalidUtf8);
    });
    table.both("8.1", "a_message_does_not_complete_the_character_of_another", |s| {
        s.frame(FIN | TEXT, b"\xce");
        s.violates(Violation::InvalidUtf8);
        s.frame(FIN | TEXT, b"\xba");
    });
    table.both("8.1", "a_binary_message_between_texts_is_not_checked", |s| {
        s.text("κόσμε");
        s.binary(b"\xce");
        s.text("κόσμε");
    });
}

/// What is text, after Kuhn's test file: edges of every length, and the characters that are valid though never assigned.
const VALID: [(&str, &str); 24] = [
    ("greek", "κόσμε"),
    ("latin_and_symbols", "Hello-µ@ßöäüàá-UTF-8!!"),
    ("the_first_of_one_byte", "\u{0}"),
    ("the_first_of_two_bytes", "\u{80}"),
    ("the_first_of_three_bytes", "\u{800}"),
    ("the_first_of_four_bytes", "\u{10000}"),
    ("the_last_of_one_byte", "\u{7f}"),
    ("the_last_of_two_bytes", "\u{7ff}"),
    ("the_last_of_three_bytes", "\u{ffff}"),
    ("the_last_of_four_bytes", "\u{10ffff}"),
    ("the_last_before_the_surrogates", "\u{d7ff}"),
    ("the_first_after_the_surrogates", "\u{e000}"),
    ("the_replacement_character", "\u{fffd}"),
    ("the_byte_order_mark", "\u{feff}text"),
    ("the_non_character_fffe", "\u{fffe}"),
    ("the_non_characters_of_arabic", "\u{fdd0}\u{fdef}"),
    ("the_non_characters_of_plane_1", "\u{1fffe}\u{1ffff}"),
    ("the_non_characters_of_plane_8", "\u{8fffe}\u{8ffff}"),
    ("the_non_characters_of_plane_16", "\u{10fffe}\u{10ffff}"),
    ("emoji", "👩‍🚀 🇨🇭 💚"),
    ("a_family_of_lengths", "aé€𝄞𝄞€éa"),
    ("a_null_inside", "a\u{0}b"),
    ("a_line_of_each", "one\ntwo\r\nδύο\n"),
    ("combining_characters", "e\u{301}\u{323}"),
];

/// What is not text: the kind of mistake, and the bytes.
const INVALID: [(&str, &[u8]); 60] = [
    // Continuation bytes with nothing to continue.
    ("the_first_continuation_alone", b"\x80"),
    ("the_last_continuation_alone", b"\xbf"),
    ("two_continuations", b"\x80\xbf"),
    ("six_continuations", b"\x80\xbf\x80\xbf\x80\xbf"),
    ("a_continuation_after_ascii", b"a\x80"),
    ("a_continuation_too_many", b"\xc3\xa9\x80"),
    // A character that is begun and not continued.
    ("two_bytes_begun_then_a_blank", b"\xc3 "),
    ("three_bytes_begun_then_a_blank", b"\xe2\x82 "),
    ("three_bytes_just_begun_then_a_blank", b"\xe2 "),
    ("four_bytes_begun_then_a_blank", b"\xf0\x9f\x92 "),
    ("four_bytes_half_begun_then_a_blank", b"\xf0\x9f "),
    ("four_bytes_just_begun_then_a_blank", b"\xf0 "),
    ("two_bytes_begun_twice", b"\xc3\xc3\xa9"),
    ("three_bytes_begun_then_two", b"\xe2\x82\xc3\xa9"),
    ("four_bytes_begun_then_three", b"\xf0\x9f\x92\xe2\x82\xac"),
    // Bytes that never occur.
    ("byte_c0", b"\xc0"),
    ("byte_c1", b"\xc1"),
    ("byte_f5", b"\xf5"),
    ("byte_f8", b"\xf8"),
    ("byte_fc", b"\xfc"),
    ("byte_fe", b"\xfe"),
    ("byte_ff", b"\xff"),
    ("bytes_fe_fe_ff_ff", b"\xfe\xfe\xff\xff"),
    ("five_bytes", b"\xf8\x88\x80\x80\x80"),
    ("six_bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("the_last_of_five_bytes", b"\xfb\xbf\xbf\xbf\xbf"),
    ("the_last_of_six_bytes", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    // Longer than needed.
    ("a_slash_in_two_bytes", b"\xc0\xaf"),
    ("a_slash_in_three_bytes", b"\xe0\x80\xaf"),
    ("a_slash_in_four_bytes", b"\xf0\x80\x80\xaf"),
    ("a_slash_in_five_bytes", b"\xf8\x80\x80\x80\xaf"),
    ("a_slash_in_six_bytes", b"\xfc\x80\x80\x80\x80\xaf"),
    ("a_null_in_two_bytes", b"\xc0\x80"),
    ("a_null_in_three_bytes", b"\xe0\x80\x80"),
    ("a_null_in_four_bytes", b"\xf0\x80\x80\x80"),
    ("a_null_in_five_bytes", b"\xf8\x80\x80\x80\x80"),
    ("a_null_in_six_bytes", b"\xfc\x80\x80\x80\x80\x80"),
    ("the_longest_overlong_two", b"\xc1\xbf"),
    ("the_longest_overlong_three", b"\xe0\x9f\xbf"),
    ("the_longest_overlong_four", b"\xf0\x8f\xbf\xbf"),
    ("the_longest_overlong_five", b"\xf8\x87\xbf\xbf\xbf"),
    ("the_longest_overlong_six", b"\xfc\x83\xbf\xbf\xbf\xbf"),
    // Surrogates.
    ("surrogate_d800", b"\xed\xa0\x80"),
    ("surrogate_db7f", b"\xed\xad\xbf"),
    ("surrogate_db80", b"\xed\xae\x80"),
    ("surrogate_dbff", b"\xed\xaf\xbf"),
    ("surrogate_dc00", b"\xed\xb0\x80"),
    ("surrogate_df80", b"\xed\xbe\x80"),
    ("surrogate_dfff", b"\xed\xbf\xbf"),
    ("surrogates_d800_dc00", b"\xed\xa0\x80\xed\xb0\x80"),
    ("surrogates_d800_dfff", b"\xed\xa0\x80\xed\xbf\xbf"),
    ("surrogates_dbff_dfff", b"\xed\xaf\xbf\xed\xbf\xbf"),
    // Beyond the last character.
    ("character_110000", b"\xf4\x90\x80\x80"),
    ("character_13ffff", b"\xf4\xbf\xbf\xbf"),
    ("character_140000", b"\xf5\x80\x80\x80"),
    ("character_1fffff", b"\xf7\xbf\xbf\xbf"),
    // Within good text.
    ("a_surrogate_within_text", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80edited"),
    ("character_110000_within_text", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80edited"),
    ("latin_1_within_text", b"caf\xe9 au lait"),
    ("a_null_overlong_within_text", b"null \xc0\x80 null"),
];

/// What would be text if it did not end there.
const UNFINISHED: [(&str, &[u8]); 8] = [
    ("two_bytes_cut_at_1", b"\xc3"),
    ("three_bytes_cut_at_1", b"\xe2"),
    ("three_bytes_cut_at_2", b"\xe2\x82"),
    ("four_bytes_cut_at_1", b"\xf0"),
    ("four_bytes_cut_at_2", b"\xf0\x9f"),
    ("four_bytes_cut_at_3", b"\xf0\x9f\x92"),
    ("text_cut_at_1", b"\xce\xba\xe1\xbd\xb9\xcf"),
    ("text_cut_at_2", b"text \xef\xbf"),
];

fn valid(table: &mut Table, name: &str, text: &'static str) {
    let bytes = text.as_bytes();
    table.both("8.1", format_args!("{name}_is_text"), move |s| s.text(text));
    table.both("8.1", format_args!("{name}_is_text_in_fragments_cut_at_any_two_places"), move |s| {
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                s.first(Kind::Text, &bytes[..a]);
                s.next(&bytes[a..b]);
                s.last(&bytes[b..]);
            }
        }
    });
    table.both("8.1", format_args!("{name}_is_text_in_fragments_of_one_byte"), move |s| {
        s.fragmented(Kind::Text, bytes, 1);
    });
    table.both("8.1", format_args!("{name}_is_a_close_reason"), move |s| s.close(1000, text));
}

fn invalid(table: &mut Table, name: &str, bytes: &'static [u8]) {
    // The first byte after which nothing could make it text.
    let bad = (1..=bytes.len())
        .find(|&len| std::str::from_utf8(&bytes[..len]).is_err_and(|e| e.error_len().is_some()))
        .expect("the bytes are not text whatever follows");
    for (place, before) in [("", ""), ("_behind_text", "κόσμε")] {
        table.both("8.1", format_args!("{name}{place}_is_refused"), move |s| {
            let payload = [before.as_bytes(), bytes].concat();
            s.text("good");
            s.frame(FIN | TEXT, &payload);
            s.violates_at(s.len() - bytes.len() + bad, Violation::InvalidUtf8);
            s.text("not heard");
        });
    }
    table.both("8.1", format_args!("{name}_in_fragments_of_one_byte_is_refused"), move |s| {
        for (i, byte) in bytes.iter().enumerate() {
            s.frame(if i == 0 { TEXT } else { CONTINUATION }, &[*byte]);
            if i + 1 == bad {
                s.violates(Violation::InvalidUtf8);
            }
        }
        s.frame(FIN | CONTINUATION, b"");
    });
    table.both("8.1", format_args!("{name}_in_the_second_fragment_is_refused"), move |s| {
        s.frame(TEXT, "κόσμε".as_bytes());
        s.pause();
        s.frame(CONTINUATION, bytes);
        s.violates_at(s.len() - bytes.len() + bad, Violation::InvalidUtf8);
        s.pause();
        s.frame(FIN | CONTINUATION, b" not heard");
    });
}

fn unfinished(table: &mut Table, name: &str, bytes: &'static [u8]) {
    table.both("8.1", format_args!("{name}_is_refused_at_the_end_of_the_message"), move |s| {
        s.frame(FIN | TEXT, bytes);
        s.violates(Violation::InvalidUtf8);
    });
    table.both("8.1", format_args!("{name}_is_refused_at_the_end_of_the_last_fragment"), move |s| {
        s.frame(TEXT, bytes);
        s.ping(b"nothing wrong yet");
        s.frame(FIN | CONTINUATION, b"");
        s.violates(Violation::InvalidUtf8);
    });
}
