//! Compressing and decompressing in pieces.

use fastrand::Rng;
use tautline_deflate::{
    Compress, Compressor, Corrupt, Decompress, Decompressor, Flush, History, Status, Window, WindowBits,
};

/// Sizes of pieces.
pub(crate) enum Pieces {
    /// Everything at once.
    Whole,
    /// So many bytes.
    Of(usize),
    /// Small and large ones.
    Random(Rng),
}

impl Pieces {
    pub(crate) fn random(seed: u64) -> Self {
        Self::Random(Rng::with_seed(seed))
    }

    fn next(&mut self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Of(len) => *len,
            Self::Random(rng) => {
                let most = [1, 3, 20, 300, 70_000][rng.usize(..5)];
                rng.usize(1..=most)
            }
        }
    }
}

pub(crate) fn history(bits: WindowBits) -> History<Box<[u8]>> {
    History::new(bits, vec![0; bits.history_bytes()].into()).unwrap()
}

pub(crate) fn window(bits: WindowBits) -> Window<Box<[u8]>> {
    Window::new(bits, vec![0; bits.window_bytes()].into()).unwrap()
}

/// Compresses everything, input and output in such pieces.
pub(crate) fn compress_in(
    by: &mut (impl Compress + ?Sized),
    data: &[u8],
    flush: Flush,
    pieces: &mut Pieces,
) -> Vec<u8> {
    let (mut made, mut at) = (Vec::new(), 0usize);
    let mut output = vec![0; (2 * data.len()).max(1000)];
    loop {
        let end = data.len().min(at.saturating_add(pieces.next()));
        let room = pieces.next().min(output.len());
        let asked = if end == data.len() { flush } else { Flush::None };
        let progress = by.compress(&data[at..end], &mut output[..room], asked);
        made.extend_from_slice(&output[..progress.produced]);
        at += progress.consumed;
        match progress.status {
            Status::NeedsOutput => assert_eq!(progress.produced, room),
            Status::NeedsInput => {
                assert_eq!(at, end, "it has taken everything");
                if asked == flush {
                    assert_ne!(flush, Flush::Finish);
                    return made;
                }
            }
            Status::Ended => {
                assert_eq!((at, asked), (data.len(), Flush::Finish));
                return made;
            }
        }
    }
}

/// Compresses everything as one message of a stream.
pub(crate) fn compress(history: &mut History<Box<[u8]>>, data: &[u8], flush: Flush) -> Vec<u8> {
    compress_in(&mut Compressor::<512>::new().with(history), data, flush, &mut Pieces::Whole)
}

/// Decompresses everything, input and output in such pieces; whatever it becomes, if that is at most `limit` bytes, or
/// the first `limit` bytes of it.
pub(crate) fn decompress_in(
    by: &mut (impl Decompress + ?Sized),
    data: &[u8],
    limit: usize,
    pieces: &mut Pieces,
) -> Result<(Vec<u8>, Status), Corrupt> {
    let (mut made, mut at) = (vec![0; limit], 0usize);
    let mut written = 0;
    loop {
        let end = data.len().min(at.saturating_add(pieces.next()));
        let room = pieces.next().min(limit - written);
        let progress = by.decompress(&data[at..end], &mut made[written..written + room])?;
        assert!(progress.produced <= room && progress.consumed <= end - at);
        written += progress.produced;
        at += progress.consumed;
        let stop = match progress.status {
            Status::NeedsOutput => {
                assert_eq!(progress.produced, room);
                written == limit
            }
            Status::NeedsInput => {
                assert_eq!(at, end, "it has taken everything");
                at == data.len()
            }
            Status::Ended => at == data.len(),
        };
        if stop {
            made.truncate(written);
            return Ok((made, progress.status));
        }
    }
}

/// Decompresses everything that one message of a stream is, and nothing more.
pub(crate) fn decompress(window: &mut Window<Box<[u8]>>, data: &[u8], limit: usize) -> Result<Vec<u8>, Corrupt> {
    let mut decompressor = Decompressor::new();
    let (made, status) = decompress_in(&mut decompressor.with(window), data, limit, &mut Pieces::Whole)?;
    assert_ne!(status, Status::NeedsOutput);
    assert!(decompressor.is_between_blocks());
    Ok(made)
}
