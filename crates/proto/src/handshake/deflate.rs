//! Negotiating permessage-deflate (RFC 7692 section 7.1).
//!
//! A server has an [`Acceptance`], which turns a client's offers into [`Parameters`] or declines them; a client has an
//! [`Offer`], and holds the server's answer to it. Neither compresses: what was agreed says how to.

use core::fmt;

pub use tautline_deflate::WindowBits;

use super::extensions::{Extension, ParamValue};

/// The extension's registered name (RFC 7692 section 9).
pub const NAME: &str = "permessage-deflate";

/// How one side compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    /// How far back a message may refer.
    pub window: WindowBits,
    /// Whether a message may refer to the messages before it ("context takeover").
    pub takeover: bool,
}

impl Sender {
    /// What holds if nothing is said: 32 KiB, with context takeover.
    pub const DEFAULT: Self = Self { window: WindowBits::MAX, takeover: true };
}

impl Default for Sender {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What was agreed: how the server compresses, and how the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    /// How the server compresses.
    pub server: Sender,
    /// How the client compresses.
    pub client: Sender,
}

/// What a server does with a client that does not let its window be limited: one that does not offer
/// `client_max_window_bits`, such as Firefox and Safari.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unlimited {
    /// It may use 32 KiB, and refer to earlier messages if [`Acceptance::client`] allows that.
    Accept,
    /// It may use 32 KiB within each message, so that a window is only needed while a message is read.
    #[default]
    NoTakeover,
    /// It does not compress, nor is it sent anything compressed.
    Decline,
}

/// What a server agrees to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acceptance {
    /// How the server compresses at most: a client may ask for less.
    pub server: Sender,
    /// How clients are asked to compress at most.
    pub client: Sender,
    /// What becomes of clients that cannot be asked for a smaller window than 32 KiB, if [`client`](Self::client) has one.
    pub unlimited: Unlimited,
}

impl Acceptance {
    /// The first of the client's offers that can be accepted, as it is accepted; `None`: there is none, and the connection is
    /// one without compression (RFC 7692 section 5.1).
    pub fn accept<'a>(&self, offers: impl Iterator<Item = Extension<'a>>) -> Option<Accepted> {
        offers.filter(|offer| offer.name() == NAME).find_map(|offer| self.accept_one(&offer))
    }

    fn accept_one(&self, offer: &Extension<'_>) -> Option<Accepted> {
        let offer = Params::read(offer, Side::Client)?;
        let server = Sender {
            window: offer.server_window.unwrap_or(WindowBits::MAX).min(self.server.window),
            takeover: self.server.takeover && !offer.server_no_takeover,
        };
        // Section 7.1.1.2: a client may tell that it will not take its context over.
        let mut client =
            Sender { window: WindowBits::MAX, takeover: self.client.takeover && !offer.client_no_takeover };
        match offer.client_window {
            // Section 7.1.2.2: the answer may name it only if the offer does.
            Some(offered) => client.window = offered.unwrap_or(WindowBits::MAX).min(self.client.window),
            None if self.client.window == WindowBits::MAX => {}
            None => match self.unlimited {
                Unlimited::Accept => {}
                Unlimited::NoTakeover => client.takeover = false,
                Unlimited::Decline => return None,
            },
        }
        let parameters = Parameters { server, client };
        let mut text = Text::default();
        text.put(NAME);
        text.flag("server_no_context_takeover", !server.takeover);
        text.flag("client_no_context_takeover", !client.takeover);
        // Some gateways break on window parameters, so what holds anyway is not said, unless the client asks for an answer.
        text.window("server_max_window_bits", server.window, offer.server_window.is_some());
        text.window("client_max_window_bits", client.window, false);
        Some(Accepted { parameters, text })
    }
}

/// What a server has agreed to, and the value of Sec-WebSocket-Extensions that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    parameters: Parameters,
    text: Text,
}

impl Accepted {
    /// What was agreed.
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// The value of Sec-WebSocket-Extensions.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// What a client offers.
///
/// A server that accepts the offer has to follow [`server`](Self::server): it compresses like that, or with less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offer {
    /// How the server may compress at most.
    pub server: Sender,
    /// How the client compresses at most: the server may ask for less.
    pub client: Sender,
}

impl Offer {
    /// The value of Sec-WebSocket-Extensions.
    pub fn text(&self) -> Text {
        let mut text = Text::default();
        text.put(NAME);
        text.flag("server_no_context_takeover", !self.server.takeover);
        text.flag("client_no_context_takeover", !self.client.takeover);
        text.window("server_max_window_bits", self.server.window, false);
        // Section 7.1.2.2: without a value it says that the client can be limited.
        match self.client.window {
            WindowBits::MAX => text.flag("client_max_window_bits", true),
            window => text.window("client_max_window_bits", window, true),
        }
        text
    }

    /// What a server has agreed to, from all extensions of its answer; `None` if it declined.
    ///
    /// # Errors
    ///
    /// The answer is none to this offer (RFC 7692 section 7.1.3): the connection has to be failed.
    pub fn agreed<'a>(&self, answer: impl Iterator<Item = Extension<'a>>) -> Result<Option<Parameters>, BadParameters> {
        let mut answer = answer.filter(|extension| extension.name() == NAME);
        let Some(answered) = answer.next() else { return Ok(None) };
        if answer.next().is_some() {
            return Err(BadParameters);
        }
        self.parameters(&answered).map(Some).ok_or(BadParameters)
    }

    fn parameters(&self, answer: &Extension<'_>) -> Option<Parameters> {
        let answer = Params::read(answer, Side::Server)?;
        let server =
            Sender { window: answer.server_window.unwrap_or(WindowBits::MAX), takeover: !answer.server_no_takeover };
        // Sections 7.1.1.1 and 7.1.2.1: who accepts the offer says so, with the same window or a smaller one.
        if server.window > self.server.window || (server.takeover && !self.server.takeover) {
            return None;
        }
        // Section 7.1.2.2: ours is a hint, and a larger window is leave that we do not take.
        let window = answer.client_window.flatten().unwrap_or(WindowBits::MAX).min(self.client.window);
        let takeover = self.client.takeover && !answer.client_no_takeover;
        Some(Parameters { server, client: Sender { window, takeover } })
    }
}

/// A server accepted permessage-deflate in a way that was not offered, or that RFC 7692 does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadParameters;

/// The value of a Sec-WebSocket-Extensions header that names this extension.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Text {
    /// The longest: every parameter, each window of two digits.
    const MAX: usize = "permessage-deflate\
        ; server_no_context_takeover; client_no_context_takeover\
        ; server_max_window_bits=15; client_max_window_bits=15"
        .len();

    /// As text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn put(&mut self, text: &str) {
        let start = usize::from(self.len);
        self.bytes[start..start + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.put("; ");
            self.put(name);
        }
    }

    /// A window that is the default anyway is named only if it has to be.
    fn window(&mut self, name: &str, window: WindowBits, always: bool) {
        if always || window < WindowBits::MAX {
            self.flag(name, true);
            self.put("=");
            self.put(decimal(window));
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; Self::MAX], len: 0 }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Whose parameters are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// The parameters of one offer or answer.
#[derive(Default)]
struct Params {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_window: Option<WindowBits>,
    /// In an offer it may stand without a value.
    client_window: Option<Option<WindowBits>>,
}

impl Params {
    /// `None` if one is unknown, doubled, or has a value that it may not have (sections 7.1.1 to 7.1.3).
    fn read(extension: &Extension<'_>, side: Side) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in extension.params() {
            let window = match &value {
                Some(value) => Some(window_bits(value)?),
                None => None,
            };
            let new = match (name, window) {
                ("server_no_context_takeover", None) => !core::mem::replace(&mut read.server_no_takeover, true),
                ("client_no_context_takeover", None) => !core::mem::replace(&mut read.client_no_takeover, true),
                ("server_max_window_bits", Some(bits)) => read.server_window.replace(bits).is_none(),
                ("client_max_window_bits", None) if side == Side::Server => false,
                ("client_max_window_bits", bits) => read.client_window.replace(bits).is_none(),
                _ => false,
            };
            if !new {
                return None;
            }
        }
        Some(read)
    }
}

/// Section 7.1.2: 8 to 15, without leading zeros.
fn window_bits(value: &ParamValue<'_>) -> Option<WindowBits> {
    (WindowBits::MIN.value()..=WindowBits::MAX.value())
        .filter_map(WindowBits::new)
        .find(|&bits| *value == *decimal(bits))
}

const fn decimal(window: WindowBits) -> &'static str {
    match window.value() {
        8 => "8",
        9 => "9",
        10 => "10",
        11 => "11",
        12 => "12",
        13 => "13",
        14 => "14",
        _ => "15",
    }
}
