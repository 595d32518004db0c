//! Which token a request shows, in one of three ways.

use http::{HeaderMap, header};

/// The beginning of a subprotocol that is a token: what a page can set, which cannot set headers.
pub(crate) const SUBPROTOCOL: &str = "tautline.token.";

/// A request shows several tokens that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several;

/// The token that a request shows: as `Authorization: Bearer`, among the subprotocols that it offers, or as `token` in its
/// query. It may be none that there is, and need not even look like one.
pub(super) fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<Option<&'a str>, Several> {
    let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let bearer = values(header::AUTHORIZATION).filter_map(|value| {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let offered = values(header::SEC_WEBSOCKET_PROTOCOL).flat_map(|list| list.split(','));
    let subprotocol = offered.filter_map(|name| name.trim().strip_prefix(SUBPROTOCOL));
    let pairs = query.unwrap_or_default().split('&');
    let in_query = pairs.filter_map(|pair| match pair.split_once('=') {
        Some(("token", token)) => Some(token),
        _ => None,
    });
    let mut all = bearer.chain(subprotocol).chain(in_query);
    let first = all.next();
    if all.all(|other| Some(other) == first) { Ok(first) } else { Err(Several) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[(&'static str, &str)], query: Option<&str>) -> Result<Option<String>, Several> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        presented(&map, query).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_in_a_header_among_the_subprotocols_or_in_the_query() {
        let found = Ok(Some("tl_1".to_owned()));
        for (headers, query) in [
            (&[("authorization", "Bearer tl_1")][..], None),
            (&[("authorization", "bearer  tl_1 ")], None),
            (&[("sec-websocket-protocol", "tautline.v1.json, tautline.token.tl_1")], None),
            (&[("sec-websocket-protocol", "a"), ("sec-websocket-protocol", "tautline.token.tl_1")], None),
            (&[], Some("epoch=1&token=tl_1")),
            (&[("authorization", "Basic eDp5")], Some("token=tl_1")),
            (&[("authorization", "Bearer tl_1")], Some("token=tl_1&token=tl_1")),
        ] {
            assert_eq!(shown(headers, query), found, "{headers:?} {query:?}");
        }
        assert_eq!(shown(&[("authorization", "Basic eDp5")], Some("tokens=1&x")), Ok(None));
        assert_eq!(shown(&[("authorization", "Bearer")], None), Ok(Some(String::new())), "it is a bad one");
        assert_eq!(shown(&[], Some("token=")), Ok(Some(String::new())));
    }

    #[test]
    fn two_that_differ_are_too_many() {
        let bearer = ("authorization", "Bearer tl_1");
        assert_eq!(shown(&[bearer], Some("token=tl_2")), Err(Several));
        assert_eq!(shown(&[bearer, ("authorization", "Bearer tl_2")], None), Err(Several));
        assert_eq!(shown(&[bearer, ("sec-websocket-protocol", "tautline.token.")], None), Err(Several));
    }
}
