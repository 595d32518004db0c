//! The files of a device without a file system: an archive in its flash.
//!
//! Each file is a line `NAME LENGTH`, and then so many bytes. The archive ends with the first byte that begins no such
//! line, as flash that was never written does.

/// The longest line: a name of 64 bytes, a blank, a length and the line's end.
const LINE: usize = 80;

/// An archive of files.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a>(&'a [u8]);

impl<'a> Files<'a> {
    /// The archive at the beginning of these bytes.
    pub const fn new(flash: &'a [u8]) -> Self {
        Self(flash)
    }

    /// The bytes of the file of this name.
    pub fn read(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let (its_name, bytes, after) = first(rest)?;
            if its_name == name {
                return Some(bytes);
            }
            rest = after;
        }
    }

    /// The text of the file of this name, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.read(name)?).ok()
    }
}

/// Name and bytes of the first file, and what follows it.
fn first(archive: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let end = archive.iter().take(LINE).position(|byte| *byte == b'\n')?;
    let (name, length) = core::str::from_utf8(&archive[..end]).ok()?.rsplit_once(' ')?;
    let (bytes, after) = archive[end + 1..].split_at_checked(length.parse().ok()?)?;
    Some((name, bytes, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_name_and_keep_their_bytes() {
        let files = Files::new(b"config.json 2\n{}ESP Client 1.key 3\n\0\xff\nempty 0\nlast 1\nx\xff\xff\xff");
        assert_eq!(files.text("config.json"), Some("{}"));
        assert_eq!(files.read("ESP Client 1.key"), Some(&b"\0\xff\n"[..]));
        assert_eq!(files.text("ESP Client 1.key"), None);
        assert_eq!(files.read("empty"), Some(&b""[..]));
        assert_eq!(files.read("last"), Some(&b"x"[..]));
        assert_eq!(files.read("another"), None);
    }

    #[test]
    fn flash_that_holds_no_archive_has_no_files() {
        for flash in
            [&b""[..], &[0xff; 200], &[0; 200], b"a 5\nfour", b"a b\n", b"a 99999999999999999999\n", b"no line"]
        {
            assert_eq!(Files::new(flash).read("a"), None, "{flash:?}");
        }
    }
}
