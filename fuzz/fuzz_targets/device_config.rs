//! Arbitrary configurations of devices: nothing panics, the file's length is memory enough, and what is read keeps its bounds.
//!
//! Input: a file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tautline_device_config::{Config, Problem};

fuzz_target!(|file: &[u8]| {
    let mut memory = vec![0; file.len()];
    let lines = 1 + file.iter().filter(|byte| **byte == b'\n').count() as u32;
    let read = Config::read(file, &mut memory, |warning| assert!((1..=lines).contains(&warning.line), "{warning}"));
    match read {
        Ok(config) => {
            assert!(matches!(config.wifi.ssid.len(), 1..=32) && matches!(config.wifi.password.len(), 0 | 8..=64));
            assert!(matches!(config.wifi.attempts, 1..=1000) && config.wifi.delay_ms <= 60_000);
            assert!(config.server.path.starts_with('/') && config.server.port > 0 && !config.server.host.is_empty());
            assert_eq!(config.tls.is_some(), config.server.secure);
        }
        Err(error) => {
            assert!(error.line <= lines && error.problem != Problem::Room, "{error}");
            assert_eq!(error.line == 0, error.problem == Problem::Missing);
        }
    }
});
