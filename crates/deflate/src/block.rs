//! Blocks: what they say, in which form that is shortest, and how it is written (RFC 1951 §3.2.3 to §3.2.7).

use crate::{
    alphabet::{CODE_LENGTH_ORDER, CODE_LENGTHS, DISTANCES, END_OF_BLOCK, LITERALS, MIN_MATCH},
    bit_writer::{BitWriter, Output},
    encode::{Codes, FIXED, Runs, codes, distance_symbol, length_symbol, lengths},
    search::Match,
    token::Token,
};

/// Whoever takes fewer bits than this in the fixed code is not helped by one of its own, whose head takes some 40 bytes.
const WORTH_A_CODE: u32 = 600;

/// What a block says, and the code for it.
#[derive(Debug)]
pub(crate) struct Block<const TOKENS: usize> {
    tokens: [Token; TOKENS],
    used: usize,
    /// Literals behind the last token.
    literals: usize,
    /// How much text it stands for.
    text: usize,
    /// If it is not the fixed one.
    codes: Codes,
    /// Of the code in which the lengths of the codes are written.
    code_lengths: [u8; CODE_LENGTHS],
}

/// How far a block is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writing {
    /// Before the lengths of the code of code lengths.
    CodeLengths { told: usize },
    /// Before the lengths of the codes.
    Lengths { told: usize },
    /// Compressed, before a token and after some of its literals, which begin in the text at `at`.
    Tokens { fixed: bool, token: usize, literals: usize, at: usize },
    /// Stored, before what is in the text at `at`.
    Stored { at: usize },
}

impl<const TOKENS: usize> Block<TOKENS> {
    pub(crate) const fn new() -> Self {
        Self {
            tokens: [Token::new(0, None); TOKENS],
            used: 0,
            literals: 0,
            text: 0,
            codes: Codes::new(),
            code_lengths: [0; CODE_LENGTHS],
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.used, self.literals, self.text) = (0, 0, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text == 0
    }

    /// How much text it stands for.
    pub(crate) fn text(&self) -> usize {
        self.text
    }

    /// How much more text it may stand for, if that is `longest` in all.
    pub(crate) fn room(&self, longest: usize) -> usize {
        // One is for the last literals.
        if self.used + 1 < TOKENS { longest - self.text } else { 0 }
    }

    /// Adds a match, or a literal if there is none, of at most `room` bytes. Returns how many bytes that is.
    pub(crate) fn push(&mut self, found: Option<Match>, room: usize) -> usize {
        let found = found.map(|found| Match { length: found.length.min(room as u16), ..found });
        let len = match found.filter(|found| usize::from(found.length) >= MIN_MATCH) {
            Some(found) => {
                self.push_token(Some(found));
                found.length.into()
            }
            None => {
                self.literals += 1;
                if self.literals == Token::MAX_LITERALS {
                    self.push_token(None);
                }
                1
            }
        };
        self.text += len;
        len
    }

    /// Decides how the block is written, and puts the first bits of its head: 42 at most.
    pub(crate) fn begin(&mut self, text: &[u8], last: bool, bits: &mut BitWriter) -> Writing {
        if self.literals > 0 {
            self.push_token(None);
        }
        let last = u64::from(last);
        let stored = 3 + 7 + 32 + 8 * text.len() as u32;
        let fixed = 3 + self.fixed_bits(text);
        if fixed.min(stored) >= WORTH_A_CODE {
            let dynamic = 3 + self.make_codes(text);
            if dynamic < fixed.min(stored) {
                bits.put(last | 2 << 1, 3);
                bits.put(LITERALS as u64 - 257, 5);
                bits.put((self.told_lengths().len() - LITERALS) as u64 - 1, 5);
                bits.put(self.told_code_lengths().len() as u64 - 4, 4);
                return Writing::CodeLengths { told: 0 };
            }
        }
        if stored < fixed {
            bits.put(last, 3);
            bits.align();
            let len = text.len() as u64;
            bits.put(len | (!len & 0xffff) << 16, 32);
            return Writing::Stored { at: 0 };
        }
        bits.put(last | 1 << 1, 3);
        Writing::Tokens { fixed: true, token: 0, literals: 0, at: 0 }
    }
}

impl<const TOKENS: usize> Block<TOKENS> {
    /// Writes on from where it was interrupted. Returns where the output is full, or `None` when all is put.
    pub(crate) fn write(
        &self,
        text: &[u8],
        mut writing: Writing,
        bits: &mut BitWriter,
        output: &mut Output<'_>,
    ) -> Option<Writing> {
        loop {
            writing = match writing {
                Writing::CodeLengths { told } => match self.told_code_lengths().get(told) {
                    None => Writing::Lengths { told: 0 },
                    Some(_) if !bits.make_room(output) => return Some(writing),
                    Some(&symbol) => {
                        bits.put(self.code_lengths[usize::from(symbol)].into(), 3);
                        Writing::CodeLengths { told: told + 1 }
                    }
                },
                Writing::Lengths { told } => match self.write_lengths(told, bits, output) {
                    Some(told) => return Some(Writing::Lengths { told }),
                    None => Writing::Tokens { fixed: false, token: 0, literals: 0, at: 0 },
                },
                Writing::Tokens { fixed, token, literals, at } => {
                    let codes = if fixed { &FIXED } else { &self.codes };
                    return self
                        .write_tokens(codes, text, (token, literals, at), bits, output)
                        .map(|(token, literals, at)| Writing::Tokens { fixed, token, literals, at });
                }
                Writing::Stored { at } => {
                    if !bits.write(output) {
                        return Some(writing);
                    }
                    let at = at + output.copy(&text[at..]);
                    return (at < text.len()).then_some(Writing::Stored { at });
                }
            }
        }
    }

    fn write_lengths(&self, told: usize, bits: &mut BitWriter, output: &mut Output<'_>) -> Option<usize> {
        let mut code = [0; CODE_LENGTHS];
        codes(&mut code, &self.code_lengths);
        let mut runs = Runs { lengths: self.told_lengths(), told };
        loop {
            let told = runs.told;
            if !bits.make_room(output) {
                return Some(told);
            }
            let (symbol, extra, extra_bits) = runs.next()?;
            let symbol = usize::from(symbol);
            bits.put(code[symbol].into(), self.code_lengths[symbol].into());
            bits.put(extra.into(), extra_bits.into());
        }
    }

    /// From a token, some of its literals, and a place in the text.
    fn write_tokens(
        &self,
        codes: &Codes,
        text: &[u8],
        (first, mut literals, mut at): (usize, usize, usize),
        bits: &mut BitWriter,
        output: &mut Output<'_>,
    ) -> Option<(usize, usize, usize)> {
        for (index, token) in self.tokens[..self.used].iter().enumerate().skip(first) {
            for &byte in &text[at..at + token.literals() - literals] {
                if !bits.make_room(output) {
                    return Some((index, literals, at));
                }
                codes.put(byte.into(), bits);
                (literals, at) = (literals + 1, at + 1);
            }
            if !bits.make_room(output) {
                return Some((index, literals, at));
            }
            if let Some(Match { length, distance }) = token.found() {
                for symbol in [length_symbol(length), distance_symbol(distance)] {
                    codes.put(symbol.place, bits);
                    bits.put(symbol.extra.into(), symbol.extra_bits);
                }
                at += usize::from(length);
            }
            literals = 0;
        }
        if !bits.make_room(output) {
            return Some((self.used, 0, at));
        }
        codes.put(END_OF_BLOCK.into(), bits);
        None
    }

    fn push_token(&mut self, found: Option<Match>) {
        self.tokens[self.used] = Token::new(self.literals, found);
        self.used += 1;
        self.literals = 0;
    }

    /// The literals of each token, and its match.
    fn said<'a>(&'a self, mut text: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Option<Match>)> {
        self.tokens[..self.used].iter().map(move |token| {
            let (literals, rest) = text.split_at(token.literals());
            let found = token.found();
            text = &rest[found.map_or(0, |found| found.length.into())..];
            (literals, found)
        })
    }

    /// How many bits it takes in the fixed code.
    fn fixed_bits(&self, text: &[u8]) -> u32 {
        let place = |place: usize| u32::from(FIXED.lengths[place]);
        let mut bits = place(END_OF_BLOCK.into());
        for (literals, found) in self.said(text) {
            bits += literals.iter().map(|&byte| 8 + u32::from(byte > 143)).sum::<u32>();
            if let Some(Match { length, distance }) = found {
                for symbol in [length_symbol(length), distance_symbol(distance)] {
                    bits += place(symbol.place) + symbol.extra_bits;
                }
            }
        }
        bits
    }

    /// Makes the best codes, and returns how many bits everything takes in them, their lengths included.
    fn make_codes(&mut self, text: &[u8]) -> u32 {
        let mut counts = [0; LITERALS + DISTANCES];
        let mut bits = 0;
        for (literals, found) in self.said(text) {
            for &byte in literals {
                counts[usize::from(byte)] += 1;
            }
            if let Some(Match { length, distance }) = found {
                for symbol in [length_symbol(length), distance_symbol(distance)] {
                    counts[symbol.place] += 1;
                    bits += symbol.extra_bits;
                }
            }
        }
        counts[usize::from(END_OF_BLOCK)] = 1;
        self.codes.codes = counts;
        bits += self.codes.make();

        let mut counts = [0; CODE_LENGTHS];
        for (symbol, _, extra_bits) in (Runs { lengths: self.told_lengths(), told: 0 }) {
            counts[usize::from(symbol)] += 1;
            bits += u32::from(extra_bits);
        }
        lengths(&counts, &mut self.code_lengths, 7);
        let each = counts.iter().zip(&self.code_lengths);
        bits += each.map(|(&count, &length)| u32::from(count) * u32::from(length)).sum::<u32>();
        bits + 14 + 3 * self.told_code_lengths().len() as u32
    }

    /// The lengths that the head of a dynamic block tells: all of literals and lengths, since leaving some out would save a
    /// byte at most, and those of the distances up to the last one.
    fn told_lengths(&self) -> &[u8] {
        let last = self.codes.lengths[LITERALS..].iter().rposition(|&length| length > 0);
        &self.codes.lengths[..LITERALS + 1 + last.unwrap_or(0)]
    }

    /// The symbols of code lengths whose lengths are told.
    fn told_code_lengths(&self) -> &'static [u8] {
        let last = CODE_LENGTH_ORDER.iter().rposition(|&symbol| self.code_lengths[usize::from(symbol)] > 0);
        &CODE_LENGTH_ORDER[..(1 + last.unwrap_or(0)).max(4)]
    }
}
