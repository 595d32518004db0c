//! Limits on the opening handshake.

use core::fmt;
use core::time::Duration;

/// The least bytes that a head may be limited to.
const MIN_HEAD: usize = 128;

/// What one opening handshake may cost, for either role.
///
/// Each setter refuses a value outside its bounds with a [`LimitError`], so a `Limits` that exists is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    max_head: usize,
    max_target: usize,
    max_headers: usize,
    opening_timeout: Duration,
}

impl Limits {
    /// 16 KiB of head, 8 KiB of request target, 64 headers, 10 seconds.
    pub const DEFAULT: Self =
        Self { max_head: 16 * 1024, max_target: 8 * 1024, max_headers: 64, opening_timeout: Duration::from_secs(10) };

    /// Sets how many bytes the head may have, from the first byte to the empty line that ends it.
    ///
    /// Unit: bytes. Default: 16,384. Bounds: 128 to 1,048,576. Worst-case memory: that many bytes in the caller's
    /// buffer while the connection opens. A server answers 431 to more, a client fails.
    pub const fn with_max_head(mut self, bytes: usize) -> Result<Self, LimitError> {
        if bytes < MIN_HEAD || bytes > 1024 * 1024 {
            return Err(LimitError { limit: "max_head", min: MIN_HEAD as u64, max: 1024 * 1024, unit: "bytes" });
        }
        self.max_head = bytes;
        Ok(self)
    }

    /// The same for a head that has to fit into a buffer of this size, which has at least 128 bytes.
    #[must_use]
    pub const fn within(mut self, buffer: usize) -> Self {
        let buffer = if buffer < MIN_HEAD { MIN_HEAD } else { buffer };
        if self.max_head > buffer {
            self.max_head = buffer;
        }
        self
    }

    /// Sets how long a request's target (path and query) may be; a client ignores it.
    ///
    /// Unit: bytes. Default: 8,192. Bounds: 1 to 1,048,576. No memory of its own: the target is part of the head.
    /// A server answers 414 to more, as soon as it is certain.
    pub const fn with_max_target(mut self, bytes: usize) -> Result<Self, LimitError> {
        if bytes < 1 || bytes > 1024 * 1024 {
            return Err(LimitError { limit: "max_target", min: 1, max: 1024 * 1024, unit: "bytes" });
        }
        self.max_target = bytes;
        Ok(self)
    }

    /// Sets how many header lines the head may have.
    ///
    /// Unit: headers. Default: 64. Bounds: 8 to 128. No memory of its own: headers stay part of the head. A server answers
    /// 431 to more, a client fails.
    pub const fn with_max_headers(mut self, count: usize) -> Result<Self, LimitError> {
        if count < 8 || count > 128 {
            return Err(LimitError { limit: "max_headers", min: 8, max: 128, unit: "headers" });
        }
        self.max_headers = count;
        Ok(self)
    }

    /// Sets how long the peer may take for its whole head, counted from the creation of the handshake.
    ///
    /// Unit: time. Default: 10 seconds. Bounds: 1 millisecond to 1 hour. A server answers 408 to a slower client, a
    /// client gives up.
    pub const fn with_opening_timeout(mut self, timeout: Duration) -> Result<Self, LimitError> {
        if timeout.as_millis() < 1 || timeout.as_millis() > 3_600_000 {
            return Err(LimitError { limit: "opening_timeout", min: 1, max: 3_600_000, unit: "milliseconds" });
        }
        self.opening_timeout = timeout;
        Ok(self)
    }

    /// Bytes that the head may have.
    pub const fn max_head(&self) -> usize {
        self.max_head
    }

    /// Bytes that a request's target may have.
    pub const fn max_target(&self) -> usize {
        self.max_target
    }

    /// Header lines that the head may have.
    pub const fn max_headers(&self) -> usize {
        self.max_headers
    }

    /// How long the peer may take for its head.
    pub const fn opening_timeout(&self) -> Duration {
        self.opening_timeout
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A limit was set outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitError {
    limit: &'static str,
    min: u64,
    max: u64,
    unit: &'static str,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must lie between {} and {} {}", self.limit, self.min, self.max, self.unit)
    }
}

impl core::error::Error for LimitError {}
