//! The heads of dynamic blocks (RFC 1951 §3.2.7).

use super::{Decompressor, State, turn::Turn};
use crate::{
    alphabet::{CODE_LENGTH_ORDER, CODE_LENGTHS, DISTANCES, END_OF_BLOCK, LITERALS},
    error::Corrupt,
};

/// How many codes the head of a dynamic block tells the lengths of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    literals: u16,
    distances: u8,
    code_lengths: u8,
}

impl Decompressor {
    /// RFC 1951 §3.2.7.
    pub(super) fn counts<M>(&mut self, turn: &mut Turn<'_, M>) -> Result<bool, Corrupt> {
        let Some(bits) = self.take(turn, 14) else { return Ok(false) };
        let counts = Counts {
            literals: 257 + (bits & 31) as u16,
            distances: 1 + (bits >> 5 & 31) as u8,
            code_lengths: 4 + (bits >> 10) as u8,
        };
        if usize::from(counts.literals) > LITERALS || usize::from(counts.distances) > DISTANCES {
            return Err(Corrupt::TooManyCodes);
        }
        self.lengths[..CODE_LENGTHS].fill(0);
        self.state = State::CodeLengthLengths { counts, known: 0 };
        Ok(true)
    }

    pub(super) fn code_length_lengths<M>(
        &mut self,
        turn: &mut Turn<'_, M>,
        counts: Counts,
        known: u8,
    ) -> Result<bool, Corrupt> {
        if known < counts.code_lengths {
            let Some(length) = self.take(turn, 3) else { return Ok(false) };
            self.lengths[usize::from(CODE_LENGTH_ORDER[usize::from(known)])] = length as u8;
            self.state = State::CodeLengthLengths { counts, known: known + 1 };
            return Ok(true);
        }
        // The distances' code is not known yet, so this one can have its place.
        if !self.distances.set(&self.lengths[..CODE_LENGTHS], true) {
            return Err(Corrupt::CodeLengths);
        }
        self.state = State::Lengths { counts, known: 0 };
        Ok(true)
    }

    pub(super) fn code_lengths<M>(
        &mut self,
        turn: &mut Turn<'_, M>,
        counts: Counts,
        known: u16,
    ) -> Result<bool, Corrupt> {
        let literals = usize::from(counts.literals);
        let all = literals + usize::from(counts.distances);
        let start = usize::from(known);
        if start == all {
            let (literals, distances) = self.lengths[..all].split_at(literals);
            let ends = literals[usize::from(END_OF_BLOCK)] != 0;
            if !ends || !self.literals.set(literals, false) || !self.distances.set(distances, false) {
                return Err(Corrupt::CodeLengths);
            }
            self.state = State::Symbols;
            return Ok(true);
        }
        self.refill(turn);
        let (symbol, used) = self.distances.symbol(self.bits)?;
        let (extra, repeat) = match symbol {
            16 => (2, 3),
            17 => (3, 3),
            18 => (7, 11),
            _ => (0, 1),
        };
        if used + extra > self.count {
            return Ok(false);
        }
        let repeat = repeat + (self.bits >> used & ((1 << extra) - 1)) as usize;
        self.drop_bits(used + extra);
        let length = match symbol {
            16 if start == 0 => return Err(Corrupt::CodeLengths),
            16 => self.lengths[start - 1],
            17 | 18 => 0,
            length => length as u8,
        };
        let end = start + repeat;
        if end > all {
            return Err(Corrupt::CodeLengths);
        }
        self.lengths[start..end].fill(length);
        self.state = State::Lengths { counts, known: end as u16 };
        Ok(true)
    }
}
