//! What can fail: the server's certificate, the protocol, the network, or what the caller gave.

use core::fmt;

use embedded_io_async::ErrorKind;
use embedded_tls::TlsError;
use embedded_tls::alert::AlertDescription;

/// Why there is no TLS session, or not any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server's certificate is not to be trusted. Trying again does not help, except after [`Untrusted::NotYetValid`].
    Untrusted(Untrusted),
    /// The server ended the handshake with this alert (RFC 8446 §6.2), for instance 70, which means that it does not speak
    /// TLS 1.3.
    Refused(u8),
    /// The server ended an open session with an alert. The first read after the handshake gives this if the server wants a
    /// client certificate or does not accept the one it got (RFC 8446 §4.4.2.4).
    Aborted,
    /// The server, or somebody in between, sent what TLS 1.3 does not allow or embedded-tls cannot do.
    Protocol,
    /// A record did not decrypt, so it was changed on its way; or it holds what an open session has no use for.
    Record,
    /// The transport failed.
    Transport(ErrorKind),
    /// The transport ended, without the alert that ends a session: what follows may have been cut off.
    Ended,
    /// [`Buffers`](crate::Buffers) are smaller than their minimum, or than what is to be put into them: a record of the server's, the
    /// client's certificate.
    Room,
    /// An earlier operation failed or was dropped half-way, so the session is over.
    Over,
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untrusted {
    /// It is not an X.509 certificate in DER, or one with an extension twice.
    Malformed,
    /// It is not of version 3, so it cannot say what it is for.
    Version,
    /// The pinned certificate is not that of an authority (basicConstraints, keyUsage).
    NoAuthority,
    /// A kind of key or signature that is not supported, or not without a feature of this crate.
    Algorithm,
    /// Somebody else than the pinned authority issued it.
    Issuer,
    /// It has the pinned authority's name, and not its signature.
    Signature,
    /// It belongs to an authority, and not to a server.
    Authority,
    /// It is not for servers (extended key usage without serverAuth): a device's certificate, for instance.
    Purpose,
    /// Its key is not for signing (key usage without digitalSignature).
    KeyUsage,
    /// It has a critical extension that this crate does not know.
    Critical,
    /// It is for other names or addresses.
    Name,
    /// The clock says that it is not valid yet.
    NotYetValid,
    /// The clock says that it has expired.
    Expired,
    /// The server showed no certificate.
    Missing,
    /// The server did not prove that it has the certificate's private key.
    Unproven,
}

impl Error {
    /// The error as a plain text, for logs and for errors of other types.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Untrusted(why) => why.reason(),
            Self::Refused(70) => "the server does not speak TLS 1.3",
            Self::Refused(40 | 71) => "the server has no cipher or kind of key in common with this device",
            Self::Refused(112) => "the server does not know its name",
            Self::Refused(_) => "the server refused the handshake",
            Self::Aborted => "the server ended the session with an alert; it may not accept the client's certificate",
            Self::Protocol => "the server broke the rules of TLS 1.3, or sent what this device does not support",
            Self::Record => "a record does not decrypt, or has no place in an open session",
            Self::Transport(_) => "the transport failed",
            Self::Ended => "the connection ended without the end of the session",
            Self::Room => "a buffer is too small",
            Self::Over => "the session is over",
        }
    }

    /// What embedded-tls says, without what only the verifier knows.
    pub(crate) fn from_tls(error: TlsError) -> Self {
        match error {
            // The transport's own `InvalidData` comes from our check of record headers.
            TlsError::Io(ErrorKind::InvalidData) => Self::Protocol,
            TlsError::Io(kind) => Self::Transport(kind),
            TlsError::IoError => Self::Ended,
            TlsError::HandshakeAborted(_, AlertDescription::CloseNotify) => Self::Ended,
            TlsError::HandshakeAborted(_, description) => Self::Refused(description as u8),
            TlsError::InsufficientSpace | TlsError::OutOfMemory => Self::Room,
            TlsError::CryptoError => Self::Record,
            TlsError::MissingHandshake | TlsError::ConnectionClosed => Self::Over,
            _ => Self::Protocol,
        }
    }
}

impl Untrusted {
    /// The reason as a plain text.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the certificate is malformed",
            Self::Version => "the certificate is not of version 3",
            Self::NoAuthority => "the pinned certificate is not that of an authority",
            Self::Algorithm => "the certificate has a kind of key or signature that is not supported",
            Self::Issuer => "the certificate was issued by somebody else than the pinned authority",
            Self::Signature => "the certificate's signature is not that of the pinned authority",
            Self::Authority => "the certificate belongs to an authority, not to a server",
            Self::Purpose => "the certificate is not for servers",
            Self::KeyUsage => "the certificate's key is not for signing",
            Self::Critical => "the certificate has a critical extension that is not known",
            Self::Name => "the certificate is for another name or address",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::Expired => "the certificate has expired",
            Self::Missing => "the server showed no certificate",
            Self::Unproven => "the server did not prove that the certificate is its own",
        }
    }
}

impl From<Untrusted> for Error {
    fn from(why: Untrusted) -> Self {
        Self::Untrusted(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match self {
            Self::Refused(alert) => write!(f, " (alert {alert})"),
            Self::Transport(kind) => write!(f, " ({kind:?})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Error {}

impl core::error::Error for Untrusted {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(kind) => *kind,
            Self::Ended | Self::Over => ErrorKind::ConnectionAborted,
            Self::Refused(_) | Self::Aborted => ErrorKind::ConnectionRefused,
            Self::Untrusted(_) => ErrorKind::PermissionDenied,
            Self::Protocol | Self::Record => ErrorKind::InvalidData,
            Self::Room => ErrorKind::OutOfMemory,
        }
    }
}
