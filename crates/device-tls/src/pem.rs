//! PEM to DER without an allocator (RFC 7468).

use core::fmt;

use base64ct::{Base64, Encoding};

use crate::certificate::sequence;

/// What is looked for in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A certificate: `CERTIFICATE`.
    Certificate,
    /// A private key that is not encrypted: `EC PRIVATE KEY` (SEC1) or `PRIVATE KEY` (PKCS#8).
    Key,
}

/// Why a file does not contain what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemError {
    /// Neither DER nor PEM, or PEM without it.
    Absent,
    /// The key is encrypted: it has to be decrypted before it comes to the device.
    Encrypted,
    /// The key is an RSA key, which needs an allocator.
    Rsa,
    /// The block has no end, or holds what is not Base64.
    Malformed,
    /// The memory is smaller than the DER: three quarters of the PEM are enough.
    Room,
}

/// The DER in a file that is PEM or DER already: the first block of the kind, in `memory`, or the file itself.
///
/// ```
/// use tautline_device_tls::{Content, der};
///
/// let mut memory = [0; 64];
/// let file = b"-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\n";
/// assert_eq!(der(file, Content::Certificate, &mut memory), Ok(&[0x30, 3, 2, 1, 7][..]));
/// ```
///
/// # Errors
///
/// If it is not there, encrypted, of a kind that is not supported, malformed, or too large for `memory`.
pub fn der<'a>(file: &'a [u8], content: Content, memory: &'a mut [u8]) -> Result<&'a [u8], PemError> {
    // Whatever is looked for, it is a SEQUENCE.
    if sequence(file).is_ok() {
        return Ok(file);
    }
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let label = line.strip_prefix(b"-----BEGIN ").and_then(|rest| rest.strip_suffix(b"-----"));
        match (label, content) {
            (Some(b"CERTIFICATE"), Content::Certificate) | (Some(b"EC PRIVATE KEY" | b"PRIVATE KEY"), Content::Key) => {
                return decode(lines, memory);
            }
            (Some(b"ENCRYPTED PRIVATE KEY"), Content::Key) => return Err(PemError::Encrypted),
            (Some(b"RSA PRIVATE KEY"), Content::Key) => return Err(PemError::Rsa),
            _ => {}
        }
    }
    Err(PemError::Absent)
}

/// The lines up to the end of the block. Four characters at a time, since lines can have any length.
fn decode<'l, 'a>(lines: impl Iterator<Item = &'l [u8]>, memory: &'a mut [u8]) -> Result<&'a [u8], PemError> {
    let (mut len, mut group, mut filled) = (0, [0; 4], 0);
    for line in lines {
        if line.starts_with(b"-----END ") {
            return if filled == 0 && len > 0 { Ok(&memory[..len]) } else { Err(PemError::Malformed) };
        }
        // `Proc-Type: 4,ENCRYPTED`, of old (RFC 1421 §4.6.1.1).
        if line.contains(&b':') {
            return Err(PemError::Encrypted);
        }
        for character in line {
            group[filled] = *character;
            filled = (filled + 1) % group.len();
            if filled == 0 {
                let mut bytes = [0; 3];
                let bytes = Base64::decode(group, &mut bytes).map_err(|_| PemError::Malformed)?;
                memory.get_mut(len..len + bytes.len()).ok_or(PemError::Room)?.copy_from_slice(bytes);
                len += bytes.len();
            }
        }
    }
    Err(PemError::Malformed)
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "what is looked for is not in the file, neither as PEM nor as DER",
            Self::Encrypted => "the private key is encrypted; a device needs it without a password",
            Self::Rsa => "RSA keys are not supported; a key on P-256 is",
            Self::Malformed => "malformed PEM",
            Self::Room => "the memory for the decoded file is too small",
        })
    }
}

impl core::error::Error for PemError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(file: &str, content: Content) -> Result<usize, PemError> {
        der(file.as_bytes(), content, &mut [0; 8]).map(<[u8]>::len)
    }

    #[test]
    fn der_is_taken_as_it_is() {
        assert_eq!(der(&[0x30, 3, 2, 1, 7], Content::Key, &mut []), Ok(&[0x30, 3, 2, 1, 7][..]));
        let (mut long, text) = ([7; 3 + 0x80], b"0 is the tag of a SEQUENCE and a digit");
        long[..3].copy_from_slice(&[0x30, 0x81, 0x80]);
        assert_eq!(der(&long, Content::Key, &mut []), Ok(&long[..]));
        assert_eq!(der(text, Content::Key, &mut []), Err(PemError::Absent));
    }

    #[test]
    fn other_blocks_and_text_are_passed_over_and_lines_have_any_length_and_end() {
        let file = "Key of the lab\r\n-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n\
            -----BEGIN EC PRIVATE KEY-----\r\nMAM\r\nCA\r\n\r\nQc=\r\n-----END EC PRIVATE KEY-----";
        assert_eq!(der(file.as_bytes(), Content::Key, &mut [0; 5]), Ok(&[0x30, 3, 2, 1, 7][..]));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (file, content, error) in [
            ("", Content::Key, PemError::Absent),
            ("-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----", Content::Key, PemError::Absent),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQc=\n", Content::Key, PemError::Encrypted),
            ("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", Content::Key, PemError::Encrypted),
            ("-----BEGIN RSA PRIVATE KEY-----\nMAMCAQc=\n", Content::Key, PemError::Rsa),
            ("-----BEGIN PRIVATE KEY-----\nMAMCAQc=\n", Content::Key, PemError::Malformed),
            ("-----BEGIN PRIVATE KEY-----\nMAMCAQc\n-----END PRIVATE KEY-----", Content::Key, PemError::Malformed),
            ("-----BEGIN PRIVATE KEY-----\nMAM*AQc=\n-----END PRIVATE KEY-----", Content::Key, PemError::Malformed),
            ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", Content::Key, PemError::Malformed),
            ("-----BEGIN PRIVATE KEY-----\nMAMCAQcAAAAAAAAA\n-----END PRIVATE KEY-----", Content::Key, PemError::Room),
        ] {
            assert_eq!(decoded(file, content), Err(error), "{file}");
        }
    }
}
