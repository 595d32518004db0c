//! A TLS session: opened, split into halves, closed.

use core::fmt;

use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::{
    FlushPolicy, MaxFragmentLength, TLS_RECORD_OVERHEAD, TlsConfig, TlsConnection, TlsContext, TlsError, TlsReader,
    TlsWriter,
};

use crate::Error;
use crate::name::ServerName;
use crate::provider::{Entropy, Provider};
use crate::settings::{Buffers, MIN_READ_BUFFER, MIN_WRITE_BUFFER, READ_BUFFER, Settings, Trust};
use crate::suite::Suite;
use crate::verifier::Verifier;
use crate::wire::Wire;

/// The most that a record carries (RFC 8446 §5.1), and the most of one after `MaxFragmentLength::Bits12`.
const FRAGMENT: usize = 1 << 14;
const SHORT_FRAGMENT: usize = 1 << 12;

/// An open TLS session with a server that has been checked.
pub struct Session<'a, S: Read + Write> {
    tls: TlsConnection<'a, &'a Wire<S>, Suite>,
    wire: &'a Wire<S>,
    read_over: bool,
    write_over: bool,
}

/// The half that receives.
pub struct Reader<'s, S: Read + Write> {
    tls: TlsReader<'s, &'s Wire<S>, Suite>,
    wire: &'s Wire<S>,
    over: &'s mut bool,
}

/// The half that sends. What is written leaves with a flush, or when a record is full.
pub struct Writer<'s, S: Read + Write> {
    tls: TlsWriter<'s, &'s Wire<S>, Suite>,
    wire: &'s Wire<S>,
    over: &'s mut bool,
}

/// Does the handshake of TLS 1.3.
///
/// `random` has to give bytes that nobody can predict: a hardware generator, or a cryptographic one seeded from it.
///
/// There is no deadline inside: a server that says nothing, or chatters, has to be given up by whoever waits.
///
/// # Errors
///
/// Why there is no session. The connection is of no use then.
///
/// # Cancel safety
///
/// Dropping the future ends the handshake, and with it the connection.
pub async fn open<'a, S: Read + Write>(
    wire: &'a mut Wire<S>,
    buffers: Buffers<'a>,
    settings: &Settings<'_>,
    random: impl FnMut(&mut [u8]),
) -> Result<Session<'a, S>, Error> {
    // Borrowed for itself, so that no other session uses it; shared by this one's halves.
    let wire = &*wire;
    wire.begin();
    let Buffers { read, write } = buffers;
    if read.len() < MIN_READ_BUFFER || write.len() < MIN_WRITE_BUFFER {
        return Err(Error::Room);
    }
    let mut config = TlsConfig::new();
    // RFC 6066 §3: an address is not told.
    if let ServerName::Dns(name) = settings.server {
        config = config.with_server_name(name);
    }
    let mut fragment = FRAGMENT;
    if read.len() < READ_BUFFER {
        config = config.with_max_fragment_length(MaxFragmentLength::Bits12);
        // A server that agrees wants short records, too; whether it did is not known here.
        fragment = SHORT_FRAGMENT;
    }
    let used = write.len().min(fragment + TLS_RECORD_OVERHEAD);
    let mut tls = TlsConnection::new(wire, read, &mut write[..used]);
    // The transport is flushed when the caller flushes, and not for each record of a long message.
    tls.set_flush_policy(FlushPolicy::Relaxed);

    let verifier = match settings.trust {
        Trust::Authority(authority) => Some(Verifier::new(authority, settings.server, settings.time)),
        Trust::Anybody => None,
    };
    let mut provider = Provider { random: Entropy(random), verifier, identity: settings.identity };
    let handshake = tls.open(TlsContext::new(&config, &mut provider)).await;
    let verifier = provider.verifier.as_ref();
    // What embedded-tls says about a certificate that was refused is less than what the verifier knows.
    let refusal = verifier.and_then(Verifier::refusal);
    handshake.map_err(|error| refusal.map_or_else(|| Error::from_tls(error), Error::from))?;
    verifier.map_or(Ok(()), Verifier::verdict)?;
    wire.open();
    Ok(Session { tls, wire, read_over: false, write_over: false })
}

impl<S: Read + Write> Session<'_, S> {
    /// Two halves that work at the same time: a read goes on waiting while something is written.
    pub fn split(&mut self) -> (Reader<'_, S>, Writer<'_, S>) {
        let (reader, writer) = self.tls.split();
        (
            Reader { tls: reader, wire: self.wire, over: &mut self.read_over },
            Writer { tls: writer, wire: self.wire, over: &mut self.write_over },
        )
    }

    /// Sends what is buffered, and the alert that tells the server that nothing follows (RFC 8446 §6.1); nothing if the server has
    /// ended the session. The transport is not closed.
    ///
    /// # Errors
    ///
    /// If the transport fails, or a write had failed or been dropped before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves out the alert; the server sees a connection that was cut.
    pub async fn close(mut self) -> Result<(), Error> {
        if self.write_over {
            return Err(Error::Over);
        }
        // The server has ended the session, and embedded-tls would send the alert without encrypting it.
        if !self.tls.is_opened() {
            return Ok(());
        }
        self.tls.close().await.map(drop).map_err(|(_, error)| Error::from_tls(error))
    }
}

impl<S: Read + Write> ErrorType for Reader<'_, S> {
    type Error = Error;
}

impl<S: Read + Write> Read for Reader<'_, S> {
    /// Reads what the server sent; 0 at the end of the session.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if the transport ends before the session does; [`Error::Over`] after any other error, and after a read that was
    /// dropped inside a record.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping a read before a record begins to arrive, if the same holds for the transport. Within a record it ends
    /// the session, as embedded-tls cannot go on there.
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        if *self.over || self.wire.is_inside_record() {
            return Err(Error::Over);
        }
        match self.tls.read(buf).await {
            Ok(read) => Ok(read),
            Err(TlsError::ConnectionClosed | TlsError::MissingHandshake) => Ok(0),
            Err(error) => {
                *self.over = true;
                Err(match error {
                    // Which one embedded-tls does not tell.
                    TlsError::InternalError => Error::Aborted,
                    other => Error::from_tls(other),
                })
            }
        }
    }
}

impl<S: Read + Write> ErrorType for Writer<'_, S> {
    type Error = Error;
}

impl<S: Read + Write> Writer<'_, S> {
    /// From here on the session is over unless [`done`](Self::done) follows: embedded-tls would encrypt the next record with the
    /// nonce of the one that failed or was dropped, and so give both away.
    fn begin(&mut self) -> Result<(), Error> {
        if core::mem::replace(self.over, true) { Err(Error::Over) } else { Ok(()) }
    }

    fn done(&mut self) {
        *self.over = false;
    }
}

impl<S: Read + Write> Write for Writer<'_, S> {
    /// Takes at least a byte into the current record, and sends the record if it is full.
    ///
    /// # Errors
    ///
    /// If the transport fails; [`Error::Over`] after that, after the end of the session, and after a write or flush that was dropped.
    ///
    /// # Cancel safety
    ///
    /// None: dropping it ends the session.
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.begin()?;
        let written = self.tls.write(buf).await.map_err(Error::from_tls)?;
        self.done();
        Ok(written)
    }

    /// Sends what was written, and flushes the transport.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// None: dropping it ends the session.
    async fn flush(&mut self) -> Result<(), Error> {
        self.begin()?;
        self.tls.flush().await.map_err(Error::from_tls)?;
        self.wire.flush().await.map_err(Error::Transport)?;
        self.done();
        Ok(())
    }
}

impl<S: Read + Write> fmt::Debug for Session<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl<S: Read + Write> fmt::Debug for Reader<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<S: Read + Write> fmt::Debug for Writer<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
