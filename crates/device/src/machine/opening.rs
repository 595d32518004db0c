//! The opening handshake.

use tautline_proto::Instant;
use tautline_proto::handshake::WriteError;
use tautline_proto::handshake::client::{Handshake, Request};

use crate::event::{Cause, Handler};
use crate::settings::CLIENT_ID;
use crate::text::Text;
use crate::transport::Random;

use super::{Machine, Phase, draw};

impl Machine<'_> {
    /// There is a connection: writes the request to `request` and answers its length. All of it has to be written to the transport.
    ///
    /// `receive` is the buffer that the transport will be read into; the server's answer has to fit in it. It is used for the target before.
    ///
    /// `None`: it cannot be written, and the client has stopped with [`Cause::Request`].
    pub fn open(
        &mut self,
        now: Instant,
        random: &mut impl Random,
        handler: &mut impl Handler,
        receive: &mut [u8],
        request: &mut [u8],
    ) -> Option<usize> {
        match self.write(now, draw(random), handler, receive, request) {
            Ok(len) => Some(len),
            Err(error) => {
                self.lost(now, Cause::Request(error));
                None
            }
        }
    }

    fn write(
        &mut self,
        now: Instant,
        key_nonce: [u8; 16],
        handler: &mut impl Handler,
        receive: &mut [u8],
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
        let settings = self.settings;
        // Without its target, which does not live as long as what the answer is judged by.
        let request = Request {
            secure: settings.secure,
            subprotocols: settings.subprotocols,
            origin: settings.origin,
            user_agent: settings.user_agent,
            authorization: settings.authorization,
            extensions: self.codec.extensions(),
            extra: settings.headers,
            ..Request::new(settings.host, settings.port, "/", key_nonce)
        };
        let room = receive.len();
        let mut target = Text::new(receive);
        self.write_target(handler, &mut target);
        let needed = target.len();
        let target = target.finish().ok_or(WriteError::BufferTooSmall { needed })?;
        let len = request.write_for(target, out)?;
        self.phase = Phase::Opening(Handshake::new(now, &request, &settings.limits.within(room)));
        Ok(len)
    }

    fn write_target(&self, handler: &mut impl Handler, target: &mut Text<'_>) {
        let path = self.settings.path;
        let mut rest = path.as_bytes();
        // Not `split`, whose search is for texts much longer than this, and as much code.
        while let Some(at) = rest.windows(CLIENT_ID.len()).position(|piece| piece == CLIENT_ID.as_bytes()) {
            target.bytes(&rest[..at]);
            match self.settings.client_id {
                Some(id) => target.encoded(id),
                None => target.hex(&self.id.unwrap_or_default()),
            }
            rest = &rest[at + CLIENT_ID.len()..];
        }
        target.bytes(rest);
        let before = target.len();
        target.put(if path.bytes().any(|byte| byte == b'?') { "&" } else { "?" });
        handler.query(target);
        if target.len() == before + 1 {
            target.truncate(before);
        }
    }
}
