//! Which web pages may open a connection (RFC 6455 sections 4.2.2 and 10.2, RFC 6454).

use core::net::{Ipv4Addr, Ipv6Addr};

use super::syntax::Authority;

/// Which Origin headers a server accepts.
///
/// Browsers add the header by themselves and pages cannot forge it, so it protects a user's browser from being used by
/// a foreign page. Other programs send what they like, or nothing: a request without Origin is always accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OriginPolicy<'a> {
    /// Accepts `null` (pages opened from a file), loopback hosts (`localhost`, `*.localhost`, 127.0.0.0/8, `::1`) and
    /// the host that the request itself names.
    ///
    /// The scheme is ignored, and so is the port when one of the two sides does not name any: small clients send
    /// `http://` for wss too.
    #[default]
    Default,
    /// Accepts every origin. For services that authenticate each message, or that are public anyway.
    Any,
    /// Accepts exactly these origins, such as `https://example.com` (no slash at the end), whatever their case; `null`
    /// too has to be listed.
    List(&'a [&'a str]),
}

impl OriginPolicy<'_> {
    /// Whether a request for this host may come from this origin.
    pub(super) fn allows(&self, origin: Option<&str>, host: &Authority<'_>) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::List(allowed) => allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
            Self::Default if origin == "null" => true,
            Self::Default => {
                let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
                Authority::parse(authority).is_some_and(|page| is_loopback(page.host) || page.matches(host))
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    const SUFFIX: &str = ".localhost";
    let under_localhost = |host: &str| {
        let start = host.len().checked_sub(SUFFIX.len())?;
        Some(start > 0 && host.get(start..)?.eq_ignore_ascii_case(SUFFIX))
    };
    host.eq_ignore_ascii_case("localhost")
        || under_localhost(host).unwrap_or(false)
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}
