//! How many requests were answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, StatusCode};

/// How many requests were answered, by method and class of the status. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests(Arc<[[AtomicU64; CLASSES.len()]; METHODS.len()]>);

/// Anybody can invent methods: those are one.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Requests {
    pub(super) fn count(&self, method: &Method, status: StatusCode) {
        let known = METHODS.iter().position(|known| *known == method.as_str());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.0[known.unwrap_or(METHODS.len() - 1)][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Method, class and count of those that there were.
    pub(super) fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let all = METHODS.iter().zip(self.0.iter()).flat_map(|(method, counts)| {
            CLASSES.iter().zip(counts).map(|(class, count)| (*method, *class, count.load(Ordering::Relaxed)))
        });
        all.filter(|(_, _, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_one() {
        let requests = Requests::default();
        for method in ["GET", "BREW", "get", "other", "PROPFIND", "GET"] {
            requests.count(&method.parse().unwrap(), StatusCode::NOT_FOUND);
        }
        requests.count(&Method::PUT, StatusCode::from_u16(999).unwrap());
        assert_eq!(requests.counts(), [("GET", "4xx", 2), ("PUT", "5xx", 1), ("other", "4xx", 4)]);
    }
}
