//! The keys, and what they may be.

use crate::json::{Scanner, Text};
use crate::problem::{Error, Notice, Problem, Syntax, Warning};
use crate::server::{Address, MAX_ADDRESS, Server, is_placeholder};

/// The authority's file, where `ssl` does not name it: what the projects' script copies to the controller.
pub const DEFAULT_CA: &str = "ca.der";

/// The longest `client_id`, in bytes.
pub const MAX_CLIENT_ID: usize = 128;

const COMMA_MAY_BE_MISSING: &str = "socket_delay_ms";

/// A device's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config<'a> {
    /// `wifi`: the network.
    pub wifi: Wifi<'a>,
    /// `server`: the server.
    pub server: Server<'a>,
    /// `ssl`: how the server is checked, and who the device is. There for `wss://`, and only then.
    pub tls: Option<Tls<'a>>,
    /// `socket_delay_ms`: how long the MicroPython client waits between two looks at its socket, in milliseconds, 0 to 60,000. Whoever
    /// is woken by the network has no use for it.
    pub socket_delay_ms: u32,
    /// `client_id`: who the device is to the server, 1 to 128 bytes. Not in the projects' files, where it is a random number.
    pub client_id: Option<&'a str>,
}

/// The Wi-Fi network, and how hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wifi<'a> {
    /// `SSID`: its name, 1 to 32 bytes.
    pub ssid: &'a str,
    /// `password`: empty for an open network, else 8 to 63 bytes, or 64 hexadecimal digits (a key).
    pub password: &'a str,
    /// `attempts`: how often to try to connect in one go, 1 to 1,000.
    pub attempts: u32,
    /// `delay_in_msec`: how long to wait after each attempt for it to succeed, in milliseconds, 0 to 60,000.
    pub delay_ms: u32,
}

/// TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// `cert_reqs`: whether the server's certificate is checked.
    pub verification: Verification,
    /// `ca`: the file with the certificate of the authority that is trusted, 1 to 128 bytes; else [`DEFAULT_CA`].
    pub ca: &'a str,
    /// `cert` and `key`: the device's own files, for a server that asks for them.
    pub identity: Option<Files<'a>>,
}

/// Whether the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// `cert_reqs` 0: not at all. Whoever controls the network can read and change everything.
    Nothing,
    /// `cert_reqs` 2, and 1: it has to be good.
    Required,
}

/// The device's certificate and private key: names of files in its memory, 1 to 128 bytes each, PEM or DER inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files<'a> {
    /// `cert`.
    pub certificate: &'a str,
    /// `key`.
    pub key: &'a str,
}

impl<'a> Config<'a> {
    /// Reads a file. `memory` takes the texts that have escapes; a file's length of it is always enough. `warn` is told of
    /// what is odd.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line and key; then what is missing, with its key.
    pub fn read<'f: 'a>(
        file: &'f [u8],
        memory: &'a mut [u8],
        warn: impl FnMut(Warning<'f>),
    ) -> Result<Self, Error<'f>> {
        let mut reader = Reader { scanner: Scanner::new(file), memory, warn, key: "" };
        if reader.peek()? != b'{' {
            return Err(reader.error(Syntax::Start));
        }
        let config = reader.config()?;
        reader.key = "";
        reader.scanner.finish().map_err(|syntax| reader.error(syntax))?;
        Ok(config)
    }
}

/// Where it is in the file, and what for.
struct Reader<'f, 'a, F> {
    scanner: Scanner<'f>,
    memory: &'a mut [u8],
    warn: F,
    /// The key that it is at, or was at last.
    key: &'f str,
}

/// The keys of an object.
struct Members {
    /// With the names of the objects that they are in.
    known: &'static [&'static str],
    /// One bit for each that has come.
    seen: u8,
    begun: bool,
}

impl<'f: 'a, 'a, F: FnMut(Warning<'f>)> Reader<'f, 'a, F> {
    fn config(&mut self) -> Result<Config<'a>, Error<'f>> {
        let mut members = self.object(&["wifi", "server", "ssl", COMMA_MAY_BE_MISSING, "client_id"])?;
        let (mut wifi, mut server, mut tls, mut socket_delay_ms, mut client_id) = (None, None, None, None, None);
        while let Some(key) = self.next(&mut members)? {
            match key {
                "wifi" => wifi = Some(self.wifi()?),
                "server" => server = Some(self.server()?),
                "ssl" => tls = Some((self.scanner.line(), self.tls()?)),
                "client_id" => client_id = Some(self.text(1, MAX_CLIENT_ID)?),
                _ => socket_delay_ms = Some(self.number(0, 60_000)?),
            }
            // What comes next comes after all of it.
            self.key = key;
        }
        let server = server.ok_or(missing("server"))?;
        let tls = match tls {
            None if server.secure => return Err(missing("ssl")),
            Some((line, _)) if !server.secure => {
                (self.warn)(Warning { line, key: "ssl", notice: Notice::Unused });
                None
            }
            tls => tls.map(|(_, tls)| tls),
        };
        Ok(Config {
            wifi: wifi.ok_or(missing("wifi"))?,
            server,
            tls,
            socket_delay_ms: socket_delay_ms.ok_or(missing("socket_delay_ms"))?,
            client_id,
        })
    }

    fn wifi(&mut self) -> Result<Wifi<'a>, Error<'f>> {
        let mut members = self.object(&["wifi.SSID", "wifi.password", "wifi.attempts", "wifi.delay_in_msec"])?;
        let (mut ssid, mut password, mut attempts, mut delay_ms) = (None, None, None, None);
        while let Some(key) = self.next(&mut members)? {
            match key {
                "wifi.SSID" => ssid = Some(self.filled_in(1, 32)?),
                "wifi.password" => password = Some(self.password()?),
                "wifi.attempts" => attempts = Some(self.number(1, 1000)?),
                _ => delay_ms = Some(self.number(0, 60_000)?),
            }
        }
        Ok(Wifi {
            ssid: ssid.ok_or(missing("wifi.SSID"))?,
            password: password.ok_or(missing("wifi.password"))?,
            attempts: attempts.ok_or(missing("wifi.attempts"))?,
            delay_ms: delay_ms.ok_or(missing("wifi.delay_in_msec"))?,
        })
    }

    /// IEEE 802.11i: a passphrase, or the key that would be made of it.
    fn password(&mut self) -> Result<&'a str, Error<'f>> {
        let password = self.filled_in(0, 64)?;
        let key = || password.bytes().all(|byte| byte.is_ascii_hexdigit());
        match password.len() {
            0 | 8..=63 => Ok(password),
            64 if key() => Ok(password),
            _ => Err(self.error(Problem::Password)),
        }
    }

    fn server(&mut self) -> Result<Server<'a>, Error<'f>> {
        let server = self.text(1, MAX_ADDRESS)?;
        let server = Server::parse(server).map_err(|problem| self.error(problem))?;
        if server.address() == Address::Placeholder {
            self.notice(Notice::Placeholder);
        }
        Ok(server)
    }

    fn tls(&mut self) -> Result<Tls<'a>, Error<'f>> {
        let mut members = self.object(&["ssl.ca", "ssl.cert", "ssl.key", "ssl.cert_reqs"])?;
        let (mut ca, mut certificate, mut key_file, mut verification) = (None, None, None, None);
        while let Some(key) = self.next(&mut members)? {
            match key {
                "ssl.ca" => ca = Some(self.text(1, 128)?),
                "ssl.cert" => certificate = Some(self.text(1, 128)?),
                "ssl.key" => key_file = Some(self.text(1, 128)?),
                _ => verification = Some(self.verification()?),
            }
        }
        let identity = match (certificate, key_file) {
            (Some(certificate), Some(key)) => Some(Files { certificate, key }),
            (None, None) => None,
            (None, _) => return Err(missing("ssl.cert")),
            (_, None) => return Err(missing("ssl.key")),
        };
        let verification = verification.ok_or(missing("ssl.cert_reqs"))?;
        Ok(Tls { verification, ca: ca.unwrap_or(DEFAULT_CA), identity })
    }

    /// The numbers of Python's `ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`.
    fn verification(&mut self) -> Result<Verification, Error<'f>> {
        let number = self.number(0, 2)?;
        if number == 1 {
            self.notice(Notice::Optional);
        }
        Ok(if number == 0 { Verification::Nothing } else { Verification::Required })
    }

    /// Goes into an object.
    fn object(&mut self, known: &'static [&'static str]) -> Result<Members, Error<'f>> {
        self.peek()?;
        if self.scanner.pass(b'{').map_err(|syntax| self.error(syntax))? {
            Ok(Members { known, seen: 0, begun: false })
        } else {
            Err(self.error(Problem::Object))
        }
    }

    /// The next key that is known; its value is next. `None` at the object's end.
    fn next(&mut self, members: &mut Members) -> Result<Option<&'static str>, Error<'f>> {
        loop {
            let Some(key) = self.key(members)? else { return Ok(None) };
            // An unknown key may be long, and may be anything.
            let place = members.known.iter().position(|known| key.is(known.rsplit('.').next().unwrap_or(known)));
            let Some(place) = place else {
                self.key = key.raw();
                self.notice(Notice::Unknown);
                self.scanner.skip().map_err(|syntax| self.error(syntax))?;
                continue;
            };
            let known = members.known[place];
            self.key = known;
            if members.seen & 1 << place != 0 {
                return Err(self.error(Problem::Twice));
            }
            members.seen |= 1 << place;
            return Ok(Some(known));
        }
    }

    /// The next key, up to its colon.
    fn key(&mut self, members: &mut Members) -> Result<Option<Text<'f>>, Error<'f>> {
        let first = !core::mem::replace(&mut members.begun, true);
        let passed = |byte, reader: &mut Self| reader.scanner.pass(byte).map_err(|syntax| reader.error(syntax));
        if passed(b'}', self)? {
            return Ok(None);
        }
        let comma = first || passed(b',', self)?;
        if !first && comma && self.peek()? == b'}' {
            return Err(self.error(Syntax::LastComma));
        }
        if !comma {
            self.forgive_comma(members)?;
        }
        let key = self.scanner.key().map_err(|syntax| self.error(syntax))?;
        if !passed(b':', self)? {
            self.key = key.raw();
            return Err(self.error(Syntax::Colon));
        }
        Ok(Some(key))
    }

    /// Two of the projects' own listings lack the comma before this key. Nowhere else is one forgiven.
    fn forgive_comma(&mut self, members: &Members) -> Result<(), Error<'f>> {
        let next = if self.peek()? == b'"' { self.scanner.clone().key().ok() } else { None };
        if members.known.contains(&COMMA_MAY_BE_MISSING) && next.is_some_and(|key| key.is(COMMA_MAY_BE_MISSING)) {
            self.key = COMMA_MAY_BE_MISSING;
            self.notice(Notice::Comma);
            return Ok(());
        }
        Err(self.error(Syntax::Comma))
    }

    /// A text of so many bytes.
    fn text(&mut self, least: usize, most: usize) -> Result<&'a str, Error<'f>> {
        if self.peek()? != b'"' {
            return Err(self.error(Problem::Text(least, most)));
        }
        let text = self.scanner.text().map_err(|syntax| self.error(syntax))?;
        let text = self.decode(text).map_err(|problem| self.error(problem))?;
        if (least..=most).contains(&text.len()) && !text.contains(char::is_control) {
            Ok(text)
        } else {
            Err(self.error(Problem::Text(least, most)))
        }
    }

    /// A text that the projects' listings leave open.
    fn filled_in(&mut self, least: usize, most: usize) -> Result<&'a str, Error<'f>> {
        let text = self.text(least, most)?;
        if is_placeholder(text) {
            self.notice(Notice::Placeholder);
        }
        Ok(text)
    }

    fn number(&mut self, least: u32, most: u32) -> Result<u32, Error<'f>> {
        let wrong = Problem::Number(least, most);
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return Err(self.error(wrong));
        }
        let number = self.scanner.number().map_err(|syntax| self.error(syntax))?;
        number.whole().filter(|number| (least..=most).contains(number)).ok_or_else(|| self.error(wrong))
    }

    /// What a text means: as it stands in the file, or without its escapes in the memory.
    fn decode(&mut self, text: Text<'f>) -> Result<&'a str, Problem> {
        if !text.has_escapes() {
            return Ok(text.raw());
        }
        let memory = core::mem::take(&mut self.memory);
        let mut len = 0;
        for char in text.chars() {
            let mut utf8 = [0; 4];
            let utf8 = char.encode_utf8(&mut utf8).as_bytes();
            memory.get_mut(len..len + utf8.len()).ok_or(Problem::Room)?.copy_from_slice(utf8);
            len += utf8.len();
        }
        let (decoded, rest) = memory.split_at_mut(len);
        self.memory = rest;
        core::str::from_utf8(decoded).map_err(|_| Syntax::Utf8.into())
    }

    fn peek(&mut self) -> Result<u8, Error<'f>> {
        self.scanner.peek().map_err(|syntax| self.error(syntax))
    }

    fn notice(&mut self, notice: Notice) {
        (self.warn)(Warning { line: self.scanner.line(), key: self.key, notice });
    }

    fn error(&self, problem: impl Into<Problem>) -> Error<'f> {
        Error { line: self.scanner.line(), key: self.key, problem: problem.into() }
    }
}

fn missing(key: &'static str) -> Error<'static> {
    Error { line: 0, key, problem: Problem::Missing }
}
