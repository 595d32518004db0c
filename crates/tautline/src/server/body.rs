//! The body of an HTTP answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, SizeHint};

/// The body of an HTTP answer: bytes or text that are at hand, or a [stream](Self::stream) of them.
#[derive(Debug)]
pub struct Body(Kind);

/// What becomes of a body that fails: the connection ends, so that nobody takes the half for the whole.
type Error = Box<dyn std::error::Error + Send + Sync>;

enum Kind {
    Whole(Full<Bytes>),
    Stream(Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Body {
    /// A body that comes piece by piece, from anything that is one for hyper. It is asked for a piece only when the client has
    /// taken most of those before, and dropped when the client leaves. If it fails, the connection ends.
    pub fn stream<B>(body: B) -> Self
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
    {
        Self(Kind::Stream(Box::pin(body.map_err(Into::into))))
    }
}

impl Default for Body {
    /// A body without a byte.
    fn default() -> Self {
        Self(Kind::Whole(Full::default()))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Whole(Full::new(bytes.into())))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            // It cannot fail.
            Kind::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(whole) => whole.is_end_stream(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => whole.size_hint(),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}
