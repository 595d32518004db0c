//! What can go wrong.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Why the store did not do what it was asked.
///
/// The first four are the caller's: the same submission will fail again. The others are the environment's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A version or an offset is not above the stored one, or a room's epoch is not the current one. Says which.
    Stale(String),
    /// What is to be changed does not exist. Says what.
    Missing(String),
    /// What is to be added exists. Says what.
    Exists(String),
    /// A value that cannot be stored. Says which, and why.
    Invalid(String),
    /// Another process uses this directory.
    InUse(PathBuf),
    /// The database was written by a later version of this program.
    Newer {
        /// The database.
        file: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The file is an SQLite database, but not one of this program's.
    Foreign(PathBuf),
    /// The database is damaged. Says where, and what was found.
    Damaged(String),
    /// The disk is full.
    DiskFull,
    /// The file exists, and is not overwritten.
    FileExists(PathBuf),
    /// The system refused something. Says what.
    Io(String),
    /// This backend cannot do that. Says what.
    Unsupported(&'static str),
    /// The commit thread has ended before it came to this.
    Closed,
}

impl StoreError {
    /// Whether the caller is at fault, and not the environment.
    pub(crate) fn is_the_callers(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Missing(_) | Self::Exists(_) | Self::Invalid(_))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(what) => write!(f, "out of date: {what}"),
            Self::Missing(what) => write!(f, "there is no {what}"),
            Self::Exists(what) => write!(f, "there already is {what}"),
            Self::Invalid(what) => write!(f, "cannot be stored: {what}"),
            Self::InUse(directory) => write!(
                f,
                "the data directory {} is in use by another hub: stop that one, or choose another directory",
                directory.display()
            ),
            Self::Newer { file, found, known } => write!(
                f,
                "{} was written by a newer version (schema {found}, this program knows {known}): use that version, or \
                 restore a backup from before the update",
                file.display()
            ),
            Self::Foreign(file) => {
                write!(f, "{} is a database of another program: choose another directory", file.display())
            }
            Self::Damaged(what) => {
                write!(f, "the database is damaged ({what}): restore a backup, or move it away to begin anew")
            }
            Self::DiskFull => f.write_str("the disk is full"),
            Self::FileExists(file) => write!(f, "{} exists and is not overwritten", file.display()),
            Self::Io(what) => f.write_str(what),
            Self::Unsupported(what) => f.write_str(what),
            Self::Closed => f.write_str("the store has ended"),
        }
    }
}

impl Error for StoreError {}

/// Why the commit thread was given nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// As much waits as may, see [`Settings`](crate::Settings). It passes.
    Full,
    /// The store was closed, or the commit thread has failed. It does not pass.
    Closed,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too much waits for the disk",
            Self::Closed => "the store has ended",
        })
    }
}

impl Error for SubmitError {}
