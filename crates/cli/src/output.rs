//! Standard output and error, which may be closed.

use std::fmt;
use std::io::{self, Write};

/// Writes a line to standard output, and out of the buffer. Who reads it may be gone, which is not worth ending a
/// server for.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = try_say(line);
}

/// As [`say`], for those whose purpose is the output.
pub(crate) fn try_say(line: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a line to standard error.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text from elsewhere, without what could move the cursor or recolour the terminal.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            out.extend(c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes in hexadecimal, with spaces.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Rows in columns under headings, a line each.
pub(crate) fn table<const COLUMNS: usize>(headings: &[&str; COLUMNS], rows: &[[String; COLUMNS]]) -> Vec<String> {
    let headings = headings.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_made_visible() {
        assert_eq!(harmless("a\tb\nñ"), "a\tb\nñ");
        assert_eq!(harmless("\u{1b}[2J\r\u{9b}1m"), "\\u{1b}[2J\\r\\u{9b}1m");
    }

    #[test]
    fn bytes_are_written_in_pairs_of_digits() {
        assert_eq!(hex(&[0, 0xff, 0x0a]), "00 ff 0a");
        assert_eq!(hex(&[]), "");
    }
}
