//! What is sent.

use fastrand::Rng;

/// Messages of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A device's reading, in JSON of some 92 bytes.
    Reading,
    /// 16 KiB of text.
    Text,
}

/// Messages, each another one.
pub(crate) struct Messages {
    kind: Kind,
    rng: Rng,
    number: u64,
    /// Where the next text begins.
    at: usize,
}

/// As people write it.
const TEXT: &str = concat!(
    include_str!("../../../docs/performance.md"),
    include_str!("../../../docs/labs.md"),
    include_str!("../../../ARCHITECTURE.md"),
);
const TEXT_LEN: usize = 16 * 1024;

impl Messages {
    /// The same ones each time.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, rng: Rng::with_seed(1), number: 0, at: 0 }
    }

    pub(crate) fn next(&mut self) -> String {
        self.number += 1;
        match self.kind {
            Kind::Reading => self.reading(),
            Kind::Text => self.text(),
        }
    }

    fn reading(&mut self) -> String {
        let time = 1_700_000_000 + self.number;
        let (celsius, humidity) = (2000 + self.rng.u16(..300), 400 + self.rng.u16(..100));
        format!(
            r#"{{"sensor":"t{}","number":{},"time":{time},"celsius":{}.{:02},"humidity":{}.{},"ok":true}}"#,
            self.rng.u8(..4),
            self.number,
            celsius / 100,
            celsius % 100,
            humidity / 10,
            humidity % 10,
        )
    }

    fn text(&mut self) -> String {
        let text = TEXT.as_bytes();
        let piece: Vec<u8> = text.iter().cycle().skip(self.at).take(TEXT_LEN).copied().collect();
        self.at = (self.at + TEXT_LEN) % text.len();
        // A character that was cut becomes another one.
        String::from_utf8_lossy(&piece).into_owned()
    }
}
