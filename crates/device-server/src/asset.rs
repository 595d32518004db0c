//! Pages that lie in flash.

/// A page, script or picture that is sent from where it lies, usually flash: it takes no RAM.
///
/// ```
/// use tautline_device_server::Asset;
///
/// static PAGES: [Asset; 1] =
///     [Asset::new("/", "text/html; charset=utf-8", b"<!doctype html><h1>Hello</h1>").tagged("\"1\"")];
/// assert!(Asset::find(&PAGES, "/").is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) etag: Option<&'static str>,
}

impl Asset {
    /// What is sent for a path (as it stands in the request, percent-encoded, without the query).
    pub const fn new(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { path, content_type, bytes, etag: None }
    }

    /// Gives it an entity tag (RFC 9110 section 8.8.3), quotes included, such as `"1.2.0"` of the firmware that it belongs
    /// to: a browser that has it already gets 304 and no bytes.
    pub const fn tagged(mut self, etag: &'static str) -> Self {
        let bytes = etag.as_bytes();
        assert!(bytes.len() >= 2 && bytes[0] == b'"' && bytes[bytes.len() - 1] == b'"', "a tag stands in quotes");
        self.etag = Some(etag);
        self
    }

    /// The one with this path.
    pub fn find<'a>(assets: &'a [Self], path: &str) -> Option<&'a Self> {
        assets.iter().find(|asset| asset.path == path)
    }

    /// Whether an If-None-Match header names the tag (RFC 9110 section 13.1.2; weak comparison).
    pub(crate) fn is_named_by(&self, if_none_match: &[u8]) -> bool {
        let Some(etag) = self.etag else { return false };
        if_none_match
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_13_1_2_tags_are_compared_weakly_in_lists_and_by_an_asterisk() {
        let asset = Asset::new("/", "text/plain", b"x").tagged("\"1\"");
        for named in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*", "\"0\" ,W/\"1\""] {
            assert!(asset.is_named_by(named.as_bytes()), "{named}");
        }
        for other in ["", "\"10\"", "1", "W/1", "\"\""] {
            assert!(!asset.is_named_by(other.as_bytes()), "{other}");
        }
        assert!(!Asset::new("/", "text/plain", b"x").is_named_by(b"*"));
    }
}
