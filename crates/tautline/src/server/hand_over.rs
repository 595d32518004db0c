//! Connections that something else carries.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tautline_proto::CloseCode;

use super::BoxFuture;
use super::addresses::Share;
use super::request::{Refusal, Request};
use crate::stream::Stream;

/// Something that carries connections instead of this library: see
/// [`Server::hand_over`](crate::Server::hand_over).
pub trait Carrier: Send + Sync + 'static {
    /// What stands for a client that is admitted, until its connection is open. It is dropped if the client leaves before.
    type Admitted: Send + 'static;

    /// Is asked about every valid WebSocket request before it is answered.
    ///
    /// # Errors
    ///
    /// The answer that the client gets if it is refused.
    fn admit(&self, request: Request) -> impl Future<Output = Result<Self::Admitted, Refusal>> + Send;

    /// Takes a connection over whose opening handshake has been answered. Must not block.
    fn carry(&self, admitted: Self::Admitted, handover: Handover);

    /// How many of the connections that were taken over are open. They count towards
    /// [`Server::max_connections`](crate::Server::max_connections).
    fn open(&self) -> usize;

    /// The server shuts down: closes with `code` what was taken over, and is done when all has ended, at the latest after
    /// `timeout`. What is admitted already may still be handed over meanwhile. A carrier of several servers is told so by
    /// each.
    fn drain(&self, code: CloseCode, timeout: Duration) -> impl Future<Output = ()> + Send;
}

/// A connection whose opening handshake has been answered, and which is nobody's.
#[derive(Debug)]
pub struct Handover {
    /// The socket, non-blocking, registered nowhere.
    pub socket: std::net::TcpStream,
    /// Its TLS session. It may hold input that was received, and output that was not sent yet.
    #[cfg(feature = "tls")]
    pub tls: Option<rustls::ServerConnection>,
    /// What was read behind the handshake.
    pub leftover: Bytes,
    /// The address of the client.
    pub peer: SocketAddr,
    /// What the connection has of what its address may have, if that is limited. It counts until this is dropped, or
    /// [kept](Share::keep).
    pub share: Option<Share>,
}

impl Handover {
    pub(super) fn new(stream: Stream, leftover: &[u8], peer: SocketAddr, share: Option<Share>) -> io::Result<Self> {
        // Copied, since these few bytes would hold on to all of hyper's buffer.
        let leftover = Bytes::copy_from_slice(leftover);
        #[cfg(feature = "tls")]
        let (socket, tls) = stream.into_parts()?;
        #[cfg(not(feature = "tls"))]
        let socket = stream.into_parts()?;
        Ok(Self {
            socket,
            #[cfg(feature = "tls")]
            tls,
            leftover,
            peer,
            share,
        })
    }
}

/// Gives a connection to the carrier that has admitted it.
pub(super) type Carry = Box<dyn FnOnce(Handover) + Send>;

/// A [`Carrier`] of any type.
pub(super) trait AnyCarrier: Send + Sync {
    fn admit(self: Arc<Self>, request: Request) -> BoxFuture<Result<Carry, Refusal>>;

    fn open(&self) -> usize;

    fn drain(self: Arc<Self>, code: CloseCode, timeout: Duration) -> BoxFuture<()>;
}

impl<C: Carrier> AnyCarrier for C {
    fn admit(self: Arc<Self>, request: Request) -> BoxFuture<Result<Carry, Refusal>> {
        Box::pin(async move {
            let admitted = Carrier::admit(&*self, request).await?;
            let carry: Carry = Box::new(move |handover| self.carry(admitted, handover));
            Ok(carry)
        })
    }

    fn open(&self) -> usize {
        Carrier::open(self)
    }

    fn drain(self: Arc<Self>, code: CloseCode, timeout: Duration) -> BoxFuture<()> {
        Box::pin(async move { Carrier::drain(&*self, code, timeout).await })
    }
}
