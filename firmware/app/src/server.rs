//! Where the server is.

use crate::Board;

/// The server's address, and what is asked for there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server<'a> {
    /// A name or an address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The path.
    pub path: &'a str,
}

impl Server<'static> {
    /// What is in the file `server`.
    pub fn of(board: &'static dyn Board) -> Self {
        let path = board.files().text("path").unwrap_or("/{client_id}");
        Self { host: "10.0.2.100", port: 8000, path }
    }
}
