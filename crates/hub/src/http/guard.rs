//! Which requests come from where they should: protection of a user's browser from foreign pages.
//!
//! A page of another site can make a browser send requests here, though not read the answers; it is known by its `Origin`. By
//! DNS rebinding it can give this hub's address a name of its own, and read the answers too; then `Host` has that name.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tautline::{AddressLimits, Addresses, Origins};

use super::problem::{Kind, Problem};

/// Names below these nobody can have in the public DNS (RFC 6762, RFC 8375, and reserved for private use by ICANN).
const LOCAL: [&str; 3] = [".local", ".home.arpa", ".internal"];

/// Which hosts the hub is, and which pages may change something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Origins,
    /// Who has sent requests that change something.
    requests: Addresses,
}

impl Guard {
    /// `hosts` are the names under which the hub is reached, besides `localhost`, addresses and names that are only local. `origins` are those that may
    /// open connections.
    pub(crate) fn new(hosts: Vec<String>, origins: Origins) -> Self {
        Self { hosts, origins, requests: Addresses::default() }
    }

    /// How many requests that change something an address may send.
    pub(crate) fn limit(self, limits: AddressLimits) -> Self {
        Self { requests: Addresses::new(limits), ..self }
    }

    /// Whether a request is for this hub, and not sent by a foreign page to change something here.
    ///
    /// # Errors
    ///
    /// The answer that says why not.
    pub(crate) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = host(uri, headers)?;
        if !is_own(host, &self.hosts) {
            let detail = "the Host header names a host that this hub is not known as: reach it by an address, as localhost, by a \
                          name below .local, .home.arpa or .internal, or by one that it is configured for";
            return Err(Problem::new(Kind::WrongHost, detail));
        }
        if method.is_safe() {
            return Ok(());
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let allowed = match (origins.next(), origins.next()) {
            // Not a browser.
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.allows(origin, host)),
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        Err(Problem::new(Kind::CrossSite, "the Origin header names another site, which may not change anything here"))
    }

    /// Whether the client's address has not sent too many requests that change something.
    ///
    /// # Errors
    ///
    /// The answer that says so.
    pub(crate) fn pace(&self, request: &Parts) -> Result<(), Problem> {
        let Some(peer) = request.extensions.get::<SocketAddr>().filter(|_| !request.method.is_safe()) else {
            return Ok(());
        };
        self.requests.take(peer.ip()).map_err(|much| {
            if let Some(refused) = much.to_log {
                tracing::warn!(%peer, refused, "too many requests from an address: refused");
            }
            Problem::new(Kind::TooMany, "your address sends too many requests that change something")
                .retry_after(much.retry_after)
        })
    }

    /// Whether a page may open a WebSocket, as far as its being the same host's counts: where that host is none of ours,
    /// somebody has given our address a name of his own. All else about origins was decided with the handshake.
    pub(crate) fn lets_open(&self, headers: &HeaderMap) -> bool {
        let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let (Some(origin), Some(host)) = (value(header::ORIGIN), value(header::HOST)) else { return true };
        match &self.origins {
            Origins::SameHost => is_own(host, &self.hosts) || !is_same_name(origin, host),
            // Whoever has listed origins has said which ones.
            _ => true,
        }
    }

    fn allows(&self, origin: &str, host: &str) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::List(list) if list.iter().any(|listed| listed.eq_ignore_ascii_case(origin)) => true,
            _ => is_same_host(origin, host),
        }
    }
}

/// The host that a request is for, perhaps with a port.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let named = match (uri.authority(), first) {
        // HTTP/2 has it there, and so has a request in absolute form, whose Host header means nothing (RFC 9112 section 3.2.2).
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(host)) => host.to_str().ok(),
        (None, None) => None,
    };
    let problem = |detail| Problem::new(Kind::BadRequest, detail);
    match named {
        _ if second.is_some() => Err(problem("there are several Host headers")),
        Some(host) => Ok(host),
        None => Err(problem("there is no Host header that can be understood")),
    }
}

/// Whether a host (perhaps with a port) is an address, `localhost` or below, a name that only the local network knows, or one
/// of `names`. Other names lead here only if somebody has made them so.
fn is_own(host: &str, names: &[String]) -> bool {
    let Some((host, _)) = split(host) else { return false };
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is = |name: &String| name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(&host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || LOCAL.iter().any(|local| host.ends_with(local))
        || (!host.is_empty() && names.iter().any(is))
}

/// Whether an origin has the name of the host that the request is for, whatever the port.
fn is_same_name(origin: &str, host: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    match (split(authority), split(host)) {
        (Some((page, _)), Some((own, _))) => page.eq_ignore_ascii_case(own),
        _ => false,
    }
}

/// Whether an origin is that of the host and port that the request is for. The scheme may differ, since a proxy may have
/// ended TLS.
fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (Some((page, page_port)), Some((own, own_port))) = (split(authority), split(host)) else { return false };
    page.eq_ignore_ascii_case(own) && page_port.unwrap_or(default) == own_port.unwrap_or(default)
}

/// Host and port.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    match authority[end..].rfind(':') {
        None if end == 0 || end == authority.len() => Some((authority, None)),
        Some(colon) if end == 0 || colon == 0 => {
            Some((&authority[..end + colon], Some(port(&authority[end + colon + 1..])?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(guard: &Guard, method: &Method, headers: &[(&'static str, &str)]) -> Option<Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        guard.check(method, &Uri::from_static("/api/rooms"), &map).err().map(|problem| problem.kind())
    }

    #[test]
    fn a_host_is_an_address_localhost_or_configured() {
        let names = ["hub.example".to_owned(), "Box.local.".to_owned()];
        for own in [
            "127.0.0.1",
            "192.168.1.5:8000",
            "[::1]",
            "[fe80::1]:8000",
            "localhost:8000",
            "LOCALHOST.",
            "a.localhost",
            "hub.example",
            "HUB.example.:443",
            "box.local",
            "raspberrypi.local:8000",
            "hub.home.arpa",
            "hub.lab.INTERNAL.",
        ] {
            assert!(is_own(own, &names), "{own}");
        }
        for foreign in [
            "",
            ":80",
            ".",
            "evil.example",
            "hub.example.evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "notlocal",
            "internal",
            "hub.local.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            "[evil.example]",
            "[::1]x",
            "[::1]evil:80",
            "localhost:port",
            "localhost:+80",
            "localhost:99999",
            "user@localhost",
        ] {
            assert!(!is_own(foreign, &names), "{foreign}");
        }
    }

    #[test]
    fn whoever_names_another_host_is_told_which_ones_would_do() {
        let headers = HeaderMap::from_iter([(header::HOST, "evil.example".parse().unwrap())]);
        let problem = Guard::default().check(&Method::GET, &Uri::from_static("/api"), &headers).unwrap_err();
        for name in LOCAL.iter().chain(&["address", "localhost", "configured"]) {
            assert!(problem.detail().contains(name), "{name} is not in {:?}", problem.detail());
        }
    }

    #[test]
    fn an_origin_is_the_same_host_with_the_same_port() {
        for (origin, host) in [
            ("http://localhost:8000", "localhost:8000"),
            ("http://127.0.0.1", "127.0.0.1"),
            ("https://Hub.example", "hub.EXAMPLE"),
            ("https://hub.example", "hub.example:443"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(is_same_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "localhost"),
            ("", "localhost"),
            ("http://localhost:3000", "localhost:8000"),
            ("http://localhost", "localhost:8000"),
            ("http://evil.example", "localhost"),
            ("http://localhost.evil.example", "localhost"),
            ("http://localhost:x", "localhost"),
        ] {
            assert!(!is_same_host(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn reading_needs_the_right_host_and_changing_the_right_origin_too() {
        let guard = Guard::default();
        let (own, foreign) = (("host", "localhost:8000"), ("origin", "http://evil.example"));
        assert_eq!(kind(&guard, &Method::GET, &[own, foreign]), None, "the page cannot read the answer");
        assert_eq!(kind(&guard, &Method::POST, &[own]), None, "no browser");
        assert_eq!(kind(&guard, &Method::POST, &[own, ("origin", "http://localhost:8000")]), None);
        assert_eq!(kind(&guard, &Method::POST, &[own, foreign]), Some(Kind::CrossSite));
        assert_eq!(kind(&guard, &Method::DELETE, &[own, ("origin", "null")]), Some(Kind::CrossSite));
        let twice = [own, ("origin", "http://localhost:8000"), foreign];
        assert_eq!(kind(&guard, &Method::POST, &twice), Some(Kind::CrossSite));
        assert_eq!(kind(&guard, &Method::GET, &[("host", "evil.example")]), Some(Kind::WrongHost));
        assert_eq!(kind(&guard, &Method::GET, &[]), Some(Kind::BadRequest));
        assert_eq!(kind(&guard, &Method::GET, &[own, ("host", "evil.example")]), Some(Kind::BadRequest));
    }

    #[test]
    fn a_page_of_a_name_that_is_not_ours_opens_no_websocket() {
        let opens = |guard: &Guard, origin: &str, host: &str| {
            let headers = [(header::ORIGIN, origin.parse().unwrap()), (header::HOST, host.parse().unwrap())];
            guard.lets_open(&HeaderMap::from_iter(headers))
        };
        let guard = Guard::new(vec!["hub.example".into()], Origins::SameHost);
        assert!(!opens(&guard, "http://evil.example:8000", "evil.example:8000"));
        assert!(!opens(&guard, "http://EVIL.example", "evil.example:8000"));
        for (origin, host) in [
            ("http://localhost:8000", "localhost:8000"),
            ("http://192.168.1.5:8000", "192.168.1.5:8000"),
            ("https://hub.example", "hub.example"),
            ("http://box.local:8000", "box.local:8000"),
            ("null", "evil.example"),
            ("http://localhost:3000", "other.example"),
        ] {
            assert!(opens(&guard, origin, host), "{origin} {host}");
        }
        assert!(
            guard.lets_open(&HeaderMap::from_iter([(header::HOST, "evil.example".parse().unwrap())])),
            "no browser"
        );
        assert!(opens(&Guard::new(vec![], Origins::Any), "http://a.example", "a.example"));
    }

    #[test]
    fn configured_origins_may_change_things_too() {
        let headers = [("host", "localhost"), ("origin", "https://app.example")];
        let listed = Guard::new(Vec::new(), Origins::List(vec!["https://APP.example".into()]));
        assert_eq!(kind(&listed, &Method::POST, &headers), None);
        assert_eq!(kind(&listed, &Method::POST, &[headers[0], ("origin", "http://localhost")]), None);
        assert_eq!(kind(&Guard::new(Vec::new(), Origins::Any), &Method::POST, &headers), None);
    }

    #[test]
    fn http_2_and_requests_in_absolute_form_name_the_host_in_the_target() {
        let check = |uri| {
            let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
            Guard::default().check(&Method::GET, &Uri::from_static(uri), &headers).map_err(|problem| problem.kind())
        };
        assert_eq!(check("https://127.0.0.1:8000/api"), Ok(()));
        assert_eq!(check("https://evil.example/api"), Err(Kind::WrongHost));
    }
}
