//! How much may wait.

/// How a store is run.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) waiting_bytes: usize,
    pub(crate) waiting_submissions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        Self { waiting_bytes: 64 * 1024 * 1024, waiting_submissions: 65_536 }
    }

    /// How many bytes ([`Write::size`](crate::Write::size)) may wait for their commit, those included that are being
    /// committed. Default 64 MiB, any number; it is also the worst-case memory, but for one submission that is larger by
    /// itself: that is taken when nothing else waits.
    pub fn waiting_bytes(mut self, bytes: usize) -> Self {
        self.waiting_bytes = bytes;
        self
    }

    /// How many submissions may wait for their commit, those included that are being committed. Default 65,536, 1 or more;
    /// each takes some 100 bytes besides its writes and what its `done` holds.
    ///
    /// # Panics
    ///
    /// If `submissions` is 0.
    pub fn waiting_submissions(mut self, submissions: usize) -> Self {
        assert!(submissions > 0, "a store takes one submission at least");
        self.waiting_submissions = submissions;
        self
    }
}
