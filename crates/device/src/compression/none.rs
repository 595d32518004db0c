//! In place of compression, without the feature `deflate`: nothing is offered, so nothing is compressed.

use core::marker::PhantomData;

use tautline_proto::handshake::client::Extensions;
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::{Compressed, Connection, Control, Data, Instant};

use crate::machine::Surroundings;
use crate::outbox::Outgoing;

#[derive(Debug)]
pub(crate) struct Codec<'a>(PhantomData<&'a ()>);

impl<'a> Codec<'a> {
    pub(crate) const NONE: Self = Self(PhantomData);
    pub(crate) const EXISTS: bool = false;

    pub(crate) fn extensions(&self) -> Option<&'a dyn Extensions> {
        None
    }

    pub(crate) fn begin(&mut self, _: Option<Parameters>) -> Option<Parameters> {
        None
    }

    pub(crate) fn inflate(
        &mut self,
        _: Instant,
        _: &mut Connection<Surroundings<'_>>,
        _: &mut Compressed<'_>,
        _: &mut Control,
    ) -> Option<Data<'_>> {
        None
    }

    pub(crate) fn takes(&self, _: Outgoing) -> bool {
        false
    }

    pub(crate) fn give(
        &mut self,
        _: &mut Connection<Surroundings<'_>>,
        _: Outgoing,
        _: &[u8],
        _: [u8; 4],
        _: &mut [u8],
    ) -> usize {
        0
    }

    pub(crate) fn is_complete(&self) -> bool {
        false
    }

    pub(crate) fn sent(&mut self) {}
}
