//! Apps on loops, and their connections, as other threads see them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tautline_proto::CloseCode;
use tautline_proto::app::{App, ConnectionId, Io, Opening, Slow};
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::handshake::server::Rejection;

use crate::encoded::Encoded;
use crate::inbox::{Inbox, Post};
use crate::overview::Overview;
use crate::profile::Profile;
use crate::socket::Socket;

/// An app on a loop. Cloning it gives another handle to the same app.
///
/// `Host<A>` also gives access to the app itself; [`untyped`](Self::untyped) forgets which one it is.
pub struct Host<A: ?Sized = dyn App> {
    inbox: Arc<Inbox>,
    app: u8,
    of: PhantomData<fn(&mut A)>,
}

/// What a client asks for: [`Opening`], owned.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path, percent-encoded as it was sent, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// The subprotocol that was selected.
    pub subprotocol: Option<String>,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// The name that the client has proven to have.
    pub identity: Option<String>,
    /// What the app is to know besides. It is kept while the connection lives, for
    /// [`Engine::close_attached`](crate::Engine::close_attached).
    pub attached: Option<Attached>,
    /// Whether its connection is encrypted.
    pub secure: bool,
    /// How its messages are compressed, as the answer to its handshake will say; `None`: they are not.
    pub deflate: Option<Parameters>,
    /// How its connection is to behave.
    pub profile: Arc<Profile>,
}

/// Something that is attached to a connection.
pub type Attached = Arc<dyn Any + Send + Sync>;

/// A connection whose opening handshake has been answered.
#[derive(Debug)]
pub struct Handover {
    /// The socket, non-blocking.
    pub socket: TcpStream,
    /// Its TLS session, whose handshake is complete.
    #[cfg(feature = "tls")]
    pub tls: Option<rustls::ServerConnection>,
    /// What was read behind the opening handshake.
    pub leftover: Vec<u8>,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostError {
    /// The messages that wait for the loop have reached [`Settings::inbox`](crate::Settings::inbox).
    Full,
    /// The engine has ended.
    Ended,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too much waits for the event loop",
            Self::Ended => "the engine has ended",
        })
    }
}

impl std::error::Error for PostError {}

impl<A: ?Sized> Clone for Host<A> {
    fn clone(&self) -> Self {
        Self::new(self.inbox.clone(), self.app)
    }
}

impl<A: ?Sized> fmt::Debug for Host<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("app", &self.app).finish_non_exhaustive()
    }
}

impl<A: ?Sized> Host<A> {
    pub(crate) fn new(inbox: Arc<Inbox>, app: u8) -> Self {
        Self { inbox, app, of: PhantomData }
    }

    /// The same app, without access to it.
    pub fn untyped(&self) -> Host {
        Host::new(self.inbox.clone(), self.app)
    }

    /// Asks the app whether it admits a client. If so, the connection is open as far as the app is concerned: what is sent
    /// to it waits for [`Admitted::adopt`]. `reply` is called by the loop and must not block; a panicking app answers
    /// 500, an engine that ends 503.
    pub fn admit(&self, request: Request, reply: impl FnOnce(Result<Admitted, Rejection>) + Send + 'static) {
        let (inbox, peer) = (self.inbox.clone(), request.peer);
        let mut ask = Ask(Some(Box::new(reply)));
        let reply = Box::new(move |answer: Result<ConnectionId, Rejection>| {
            ask.answer(answer.map(|id| Admitted { inbox, id, peer, waiting: true }));
        });
        // A loop that has ended drops the question, and that answers it.
        let _ = self.inbox.push(Post::Admit { app: self.app, request, reply });
    }

    /// Sends a message to many connections of this loop. What becomes of it shows in the loop's
    /// [`Counters`](crate::Counters).
    ///
    /// # Errors
    ///
    /// The message was not accepted.
    pub fn publish(&self, to: Vec<ConnectionId>, message: &Encoded, slow: Slow) -> Result<(), PostError> {
        publish(&self.inbox, to, message, slow)
    }

    /// Has the loop tell of the newest connections of the app that are older than `before`, newest first, at most `limit` of
    /// them. `told` is called by the loop and must not block; it is dropped if the engine has ended.
    pub fn connections(
        &self,
        before: Option<ConnectionId>,
        limit: usize,
        told: impl FnOnce(Vec<Overview>) + Send + 'static,
    ) {
        let _ = self.inbox.push(Post::Overview { app: self.app, before, limit, told: Box::new(told) });
    }

    /// A connection of this loop.
    pub fn connection(&self, id: ConnectionId) -> Connection {
        Connection { inbox: self.inbox.clone(), id }
    }
}

impl<A: App + 'static> Host<A> {
    /// Has the loop call `visit` with the app. It must not block.
    ///
    /// # Errors
    ///
    /// The engine has ended.
    pub fn visit(&self, visit: impl FnOnce(&mut A, &mut dyn Io) + Send + 'static) -> Result<(), PostError> {
        let visit = Box::new(|app: &mut dyn crate::event_loop::Hosted, io: &mut dyn Io| {
            // The engine gave this handle out for an app of this type.
            if let Some(app) = (app as &mut dyn std::any::Any).downcast_mut() {
                visit(app, io);
            }
        });
        self.inbox.push(Post::Visit(self.app, visit)).map_err(|_| PostError::Ended)
    }
}

type AskReply = Box<dyn FnOnce(Result<Admitted, Rejection>) + Send>;

/// A question that is always answered.
struct Ask(Option<AskReply>);

impl Ask {
    fn answer(&mut self, answer: Result<Admitted, Rejection>) {
        if let Some(reply) = self.0.take() {
            reply(answer);
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.answer(Err(Rejection::new(503)));
    }
}

/// A client that an app has admitted. Dropping it tells the app that the client is gone.
pub struct Admitted {
    inbox: Arc<Inbox>,
    id: ConnectionId,
    peer: Option<SocketAddr>,
    waiting: bool,
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Admitted {
    /// The connection that it will be.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Moves the client's connection to the loop, for good. The opening handshake has to be answered. If the engine has
    /// ended, the socket is dropped.
    pub fn adopt(mut self, handover: Handover) -> Connection {
        let tcp = mio::net::TcpStream::from_std(handover.socket);
        #[cfg(feature = "tls")]
        let transport = match handover.tls {
            Some(session) => Socket::secure(tcp, session),
            None => Socket::plain(tcp),
        };
        #[cfg(not(feature = "tls"))]
        let transport = Socket::plain(tcp);
        self.waiting = false;
        self.inbox.count_adoption();
        let _ = self.inbox.push(Post::Adopt { id: self.id, peer: self.peer, transport, leftover: handover.leftover });
        Connection { inbox: self.inbox.clone(), id: self.id }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.waiting {
            let _ = self.inbox.push(Post::Abandon(self.id));
        }
    }
}

/// A connection, for other threads than its loop's. What is asked of one that is gone has no effect.
#[derive(Clone)]
pub struct Connection {
    inbox: Arc<Inbox>,
    id: ConnectionId,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Connection {
    /// Which one it is.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sends a message. A connection whose queue is full is closed with 1013.
    ///
    /// # Errors
    ///
    /// The message was not accepted.
    pub fn send(&self, message: impl Into<Encoded>) -> Result<(), PostError> {
        publish(&self.inbox, vec![self.id], &message.into(), Slow::Disconnect)
    }

    /// Begins to close it. The reason is cut to 123 bytes.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let _ = self.inbox.push(Post::Close(self.id, code, reason.into()));
    }
}

fn publish(inbox: &Inbox, to: Vec<ConnectionId>, message: &Encoded, slow: Slow) -> Result<(), PostError> {
    let bytes = message.frame().len();
    if !inbox.reserve(bytes) {
        return Err(PostError::Full);
    }
    inbox.push(Post::Publish { to, message: message.clone(), slow }).map_err(|_| PostError::Ended)
}

impl Request {
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening {
            path: &self.path,
            query: self.query.as_deref(),
            subprotocol: self.subprotocol.as_deref(),
            peer: self.peer,
            identity: self.identity.as_deref(),
            attached: self.attached.as_deref(),
            secure: self.secure,
            deflate: self.deflate,
        }
    }
}
