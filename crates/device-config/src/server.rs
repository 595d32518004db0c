//! The server's address: `wss://192.168.1.20:8443/`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::problem::Problem;

const MAX_HOST: usize = 253;

/// The longest address, in bytes.
pub(crate) const MAX_ADDRESS: usize = 256;

/// Where the server is. The request's path is `path` and the client id, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server<'a> {
    /// Whether it is `wss://`.
    pub secure: bool,
    /// The host's name or address; an IPv6 address without its brackets. 1 to 253 bytes.
    pub host: &'a str,
    /// The port: 1 to 65535, without one 80 or 443.
    pub port: u16,
    /// What stands before the client id. Begins with `/`; a path that does not end with it runs into the id, as on the
    /// projects' devices.
    pub path: &'a str,
}

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A name, to be looked up.
    Name(&'a str),
    /// An IP address.
    Ip(IpAddr),
    /// `<host IP>`: what was to be filled in was not.
    Placeholder,
}

impl<'a> Server<'a> {
    /// What the host is.
    pub fn address(&self) -> Address<'a> {
        match self.host.parse() {
            Ok(ip) => Address::Ip(ip),
            Err(_) if is_placeholder(self.host) => Address::Placeholder,
            Err(_) => Address::Name(self.host),
        }
    }

    /// Reads an address as it can stand in `server`: for programs that take another one from elsewhere.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(url: &'a str) -> Result<Self, Problem> {
        if url.len() > MAX_ADDRESS {
            return Err(Problem::Text(1, MAX_ADDRESS));
        }
        let (scheme, rest) = url.split_once("://").ok_or(Problem::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(Problem::Scheme),
        };
        if rest.contains(['@', '?', '#']) {
            return Err(Problem::Extra);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::Path);
        }
        let (host, port) = split(authority)?;
        let port = match port {
            None if secure => 443,
            None => 80,
            // `parse` would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().unwrap_or(0),
            Some(_) => 0,
        };
        if port == 0 {
            return Err(Problem::Port);
        }
        Ok(Self { secure, host, port, path })
    }
}

/// `<...>`.
pub(crate) fn is_placeholder(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>')
}

/// Host and port.
fn split(authority: &str) -> Result<(&str, Option<&str>), Problem> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(Problem::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| Problem::Host)?;
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err(Problem::Port),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let good = authority.starts_with('[') || is_placeholder(host) || is_name(host) || host.parse::<Ipv4Addr>().is_ok();
    if good && matches!(host.len(), 1..=MAX_HOST) { Ok((host, port)) } else { Err(Problem::Host) }
}

/// Letters, digits, `-` and `_` between single dots. What ends in a number is an address, or a mistake in one.
fn is_name(host: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let host = host.strip_suffix('.').unwrap_or(host);
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    !numeric && host.split('.').all(|label| matches!(label.len(), 1..=63) && label.bytes().all(good))
}
