//! The table of the Origin policy.

use super::*;
use crate::handshake::server::OriginPolicy;

fn allowed(policy: OriginPolicy<'_>, host: &str, origin: Option<&str>) -> bool {
    let mut added = std::vec![("Host", host)];
    added.extend(origin.map(|origin| ("Origin", origin)));
    let bytes = request(&valid_with("Host", &added));
    match serve(&bytes, &Options { origin: policy, ..Options::default() }) {
        Ok(_) => true,
        Err(Refusal::OriginNotAllowed) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn s10_2_default_allows_absent_null_and_loopback() {
    for origin in [
        None,
        Some("null"),
        Some("http://localhost"),
        Some("https://LOCALHOST:3000"),
        Some("http://app.localhost:8000"),
        Some("http://127.0.0.1:5500"),
        Some("http://127.1.2.3"),
        Some("http://[::1]:8000"),
    ] {
        assert!(allowed(OriginPolicy::Default, "hub.example.com", origin), "{origin:?}");
    }
}

#[test]
fn s10_2_default_allows_the_host_itself_ignoring_scheme_and_missing_port() {
    for (host, origin) in [
        ("hub.example.com", "https://hub.example.com"),
        ("hub.example.com", "https://hub.example.com:8443"),
        ("hub.example.com:8443", "http://hub.example.com"),
        ("hub.example.com:8443", "http://hub.example.com:8443"),
        ("HUB.example.com", "http://hub.EXAMPLE.com"),
        ("192.168.4.1:9001", "http://192.168.4.1:9001"),
        ("[fe80::1]:80", "http://[fe80::1]"),
        ("192.168.4.1:7681", "192.168.4.1"),
    ] {
        assert!(allowed(OriginPolicy::Default, host, Some(origin)), "{host} {origin}");
    }
}

#[test]
fn s10_2_default_refuses_other_pages() {
    for origin in [
        "https://evil.example",
        "https://hub.example.com.evil.example",
        "https://evil-hub.example.com",
        "https://example.com",
        "https://hub.example.com:1",
        "http://localhost.evil.example",
        "http://notlocalhost",
        "http://.localhost",
        "http://128.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://evil.example/localhost",
        "http://evil.example@localhost",
        "http://localhost@evil.example",
        "http://[::2]",
        "NULL",
        "",
        "http://localhost http://evil.example",
    ] {
        assert!(!allowed(OriginPolicy::Default, "hub.example.com:8443", Some(origin)), "{origin}");
    }
}

#[test]
fn http_5_4_default_compares_with_an_absolute_target_rather_than_host() {
    let headers = valid_with("", &[("Origin", "https://other.example")]);
    let bytes = head("GET http://other.example/ HTTP/1.1", &headers);
    assert!(serve(&bytes, &Options::default()).is_ok());
}

#[test]
fn s10_2_any_allows_everything() {
    for origin in [None, Some("null"), Some("https://evil.example"), Some("not an origin")] {
        assert!(allowed(OriginPolicy::Any, "a", origin));
    }
}

#[test]
fn s10_2_list_allows_exactly_its_origins_and_programs_without_any() {
    let policy = OriginPolicy::List(&["https://a.example", "http://b.example:8080"]);
    for origin in [None, Some("https://a.example"), Some("HTTPS://A.example"), Some("http://b.example:8080")] {
        assert!(allowed(policy, "a.example", origin), "{origin:?}");
    }
    for origin in ["http://a.example", "https://a.example:444", "http://b.example", "null", "http://localhost"] {
        assert!(!allowed(policy, "a.example", Some(origin)), "{origin}");
    }
    assert!(allowed(OriginPolicy::List(&["null"]), "a", Some("null")));
}

#[test]
fn s4_2_2_foreign_origin_is_403() {
    assert_eq!(Refusal::OriginNotAllowed.status(), 403);
}
