//! An X.509 certificate as a view of its DER (RFC 5280 §4.1). Bounded: every part is looked at once, nothing recurses.

use core::ops::RangeInclusive;

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::Untrusted;

/// A certificate, taken apart. Nothing of it is trusted yet.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// What is signed.
    pub(crate) signed: &'a [u8],
    /// The AlgorithmIdentifier of the signature, in DER.
    pub(crate) algorithm: &'a [u8],
    /// The signature.
    pub(crate) signature: &'a [u8],
    /// Who issued it: a Name, in DER.
    pub(crate) issuer: &'a [u8],
    /// Whose it is: a Name, in DER.
    pub(crate) subject: &'a [u8],
    /// From when until when it is valid: Unix seconds.
    pub(crate) validity: RangeInclusive<u64>,
    /// The SubjectPublicKeyInfo.
    pub(crate) key: KeyInfo<'a>,
    /// What it says about itself.
    pub(crate) extensions: Extensions<'a>,
}

/// A SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyInfo<'a> {
    /// The AlgorithmIdentifier, in DER.
    pub(crate) algorithm: &'a [u8],
    /// The key's bytes.
    pub(crate) bytes: &'a [u8],
}

/// The extensions that matter here (RFC 5280 §4.2.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions<'a> {
    /// basicConstraints: whether it is an authority's.
    pub(crate) authority: Option<bool>,
    /// keyUsage: the bits, the first of them the highest.
    pub(crate) key_usage: Option<u16>,
    /// extKeyUsage: the content of the sequence of OIDs.
    pub(crate) purposes: Option<&'a [u8]>,
    /// subjectAltName: the content of the sequence of names.
    pub(crate) names: Option<&'a [u8]>,
    /// Another one is critical.
    pub(crate) critical: bool,
}

/// keyUsage: the key may sign (RFC 5280 §4.2.1.3, bit 0).
pub(crate) const DIGITAL_SIGNATURE: u16 = 0x8000;
/// keyUsage: the key may sign certificates (bit 5).
pub(crate) const CERTIFICATE_SIGN: u16 = 0x0400;

impl<'a> Certificate<'a> {
    /// Takes a certificate apart.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Untrusted> {
        let mut outer = sequence(der)?;
        let signed = outer.tlv_bytes()?;
        let algorithm = outer.tlv_bytes()?;
        let signature = bits(&mut outer)?;
        outer.finish(())?;

        let mut inner = sequence(signed)?;
        // [0] EXPLICIT Version; absent for version 1, which has no extensions.
        let version = AnyRef::decode(&mut inner)?;
        if version.tag() != explicit(TagNumber::N0) || version.value() != [2, 1, 2] {
            return Err(Untrusted::Version);
        }
        let _serial = AnyRef::decode(&mut inner)?;
        // RFC 5280 §4.1.1.2: both places name the same algorithm.
        if inner.tlv_bytes()? != algorithm {
            return Err(Untrusted::Malformed);
        }
        let issuer = inner.tlv_bytes()?;
        let mut validity = sequence(inner.tlv_bytes()?)?;
        let validity = {
            let range = time(&mut validity)?..=time(&mut validity)?;
            validity.finish(range)?
        };
        let subject = inner.tlv_bytes()?;
        let mut key = sequence(inner.tlv_bytes()?)?;
        let key = {
            let info = KeyInfo { algorithm: key.tlv_bytes()?, bytes: bits(&mut key)? };
            key.finish(info)?
        };
        let mut extensions = Extensions::default();
        while !inner.is_finished() {
            let part = AnyRef::decode(&mut inner)?;
            // [1] and [2] are unique identifiers, which nobody uses; [3] is the last.
            if part.tag() == explicit(TagNumber::N3) {
                extensions = Extensions::parse(part.value())?;
                break;
            }
        }
        inner.finish(())?;
        Ok(Self { signed, algorithm, signature, issuer, subject, validity, key, extensions })
    }

    /// The subject's common name, if it has exactly one and it is plain text.
    pub(crate) fn common_name(&self) -> Option<&'a str> {
        const COMMON_NAME: &[u8] = &[0x55, 4, 3];
        let mut found = None;
        let mut names = sequence(self.subject).ok()?;
        while !names.is_finished() {
            let set = AnyRef::decode(&mut names).ok()?;
            let mut attributes = SliceReader::new(set.value()).ok()?;
            while !attributes.is_finished() {
                let mut attribute = sequence(attributes.tlv_bytes().ok()?).ok()?;
                let kind = AnyRef::decode(&mut attribute).ok()?;
                let value = AnyRef::decode(&mut attribute).ok()?;
                if kind.value() == COMMON_NAME {
                    let text = matches!(value.tag(), Tag::Utf8String | Tag::PrintableString);
                    let text = text.then(|| core::str::from_utf8(value.value()).ok()).flatten()?;
                    if found.replace(text).is_some() {
                        return None;
                    }
                }
            }
        }
        found
    }
}

impl<'a> Extensions<'a> {
    fn parse(list: &'a [u8]) -> Result<Self, Untrusted> {
        let mut parsed = Self::default();
        let mut list = sequence(list)?;
        while !list.is_finished() {
            let mut extension = sequence(list.tlv_bytes()?)?;
            let kind = AnyRef::decode(&mut extension)?;
            let mut value = AnyRef::decode(&mut extension)?;
            let mut critical = false;
            if value.tag() == Tag::Boolean {
                critical = value.value() != [0];
                value = AnyRef::decode(&mut extension)?;
            }
            extension.finish(())?;
            if kind.tag() != Tag::ObjectIdentifier || value.tag() != Tag::OctetString {
                return Err(Untrusted::Malformed);
            }
            parsed.add(kind.value(), value.value(), critical)?;
        }
        Ok(parsed)
    }

    /// Takes one in. The object identifiers are 2.5.29.*n*, of which `kind` has the encoded form.
    fn add(&mut self, kind: &[u8], value: &'a [u8], critical: bool) -> Result<(), Untrusted> {
        match kind {
            [0x55, 29, 19] => once(&mut self.authority, basic_constraints(value)?),
            [0x55, 29, 15] => once(&mut self.key_usage, key_usage(value)?),
            [0x55, 29, 37] => once(&mut self.purposes, content(value)?),
            [0x55, 29, 17] => once(&mut self.names, content(value)?),
            _ => {
                self.critical |= critical;
                Ok(())
            }
        }
    }
}

/// The parts of a SEQUENCE that is all of `der`.
pub(crate) fn sequence(der: &[u8]) -> Result<SliceReader<'_>, Untrusted> {
    Ok(SliceReader::new(content(der)?)?)
}

fn content(der: &[u8]) -> Result<&[u8], Untrusted> {
    let any = AnyRef::from_der(der)?;
    if any.tag() == Tag::Sequence { Ok(any.value()) } else { Err(Untrusted::Malformed) }
}

/// RFC 5280 §4.2: no extension stands there twice.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Untrusted> {
    if slot.replace(value).is_some() { Err(Untrusted::Malformed) } else { Ok(()) }
}

fn explicit(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

fn bits<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], Untrusted> {
    BitStringRef::decode(reader)?.as_bytes().ok_or(Untrusted::Malformed)
}

fn time(reader: &mut SliceReader<'_>) -> Result<u64, Untrusted> {
    let duration = match reader.peek_tag()? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    };
    Ok(duration.as_secs())
}

/// RFC 5280 §4.2.1.9: `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`. The length of a path does not
/// matter where there is none.
fn basic_constraints(der: &[u8]) -> Result<bool, Untrusted> {
    let mut parts = sequence(der)?;
    if parts.is_finished() {
        return Ok(false);
    }
    let first = AnyRef::decode(&mut parts)?;
    Ok(first.tag() == Tag::Boolean && first.value() != [0])
}

/// RFC 5280 §4.2.1.3.
fn key_usage(der: &[u8]) -> Result<u16, Untrusted> {
    match BitStringRef::from_der(der)?.raw_bytes() {
        [first] => Ok(u16::from_be_bytes([*first, 0])),
        [first, second] => Ok(u16::from_be_bytes([*first, *second])),
        _ => Err(Untrusted::Malformed),
    }
}

impl From<der::Error> for Untrusted {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}
