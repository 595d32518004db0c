//! A device's `config.json`, as the MicroPython projects that Tautline grew from have it, read without an allocator.
//!
//! ```
//! use tautline_device_config::{Config, Verification};
//!
//! let file = br#"{
//!     "wifi": { "SSID": "lab", "password": "caf\u00e9 latte", "attempts": 3, "delay_in_msec": 200 },
//!     "server": "wss://192.168.1.20:8443/",
//!     "ssl": { "cert_reqs": 2 }
//!     "socket_delay_ms": 5
//! }"#;
//! let mut memory = [0; 64];
//! let mut warnings = Vec::new();
//! let config = Config::read(file, &mut memory, |warning| warnings.push(warning.to_string()))?;
//! assert_eq!(config.wifi.password, "café latte");
//! assert_eq!((config.server.host, config.server.port, config.server.path), ("192.168.1.20", 8443, "/"));
//! assert_eq!(config.tls.map(|tls| (tls.verification, tls.ca)), Some((Verification::Required, "ca.der")));
//! assert_eq!(warnings, ["line 5: socket_delay_ms: a comma is missing before it"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Texts are borrowed from the file, except those with escapes, which are decoded into the caller's memory; a file's length is enough for
//! all of them. Time and memory are linear in the file's length; nothing in a file makes it panic.
//!
//! A reader of its own, rather than a JSON library, because an error has to name the line and the key, because two of the
//! projects' own listings lack a comma that MicroPython does not miss, and because without an allocator the libraries leave
//! escapes as they are. `docs/reference/device-config.md` has every key.

#![no_std]
#![forbid(unsafe_code)]

mod config;
mod json;
mod problem;
mod server;

pub use config::{Config, DEFAULT_CA, Files, MAX_CLIENT_ID, Tls, Verification, Wifi};
pub use problem::{Error, Notice, Problem, Syntax, Warning};
pub use server::{Address, Server};
