//! Why a certificate could not be made, read or used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a certificate could not be made, read or used. The text names the file and says what can be done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system did not let a file be read or written.
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `write` or `create`.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not there.
    Missing {
        /// The file.
        path: PathBuf,
        /// What it would be.
        what: &'static str,
        /// What makes it, or finds it.
        remedy: String,
    },
    /// A file is there already, with other content, and was not to be overwritten.
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what it should be.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A private key is encrypted, and no password was given.
    PasswordNeeded {
        /// The key's file.
        path: PathBuf,
    },
    /// A private key is encrypted with another password.
    PasswordWrong {
        /// The key's file.
        path: PathBuf,
    },
    /// What was asked for cannot be.
    Refused {
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Error {
    pub(crate) fn refused(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into() }
    }

    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn file(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, source }
    }

    /// Gives a missing file the name of what it would be, and what to do about it.
    pub(crate) fn missing_is(self, what: &'static str, remedy: impl FnOnce() -> String) -> Self {
        match self {
            Self::File { path, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::Missing { path, what, remedy: remedy() }
            }
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, doing, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())?;
                match source.kind() {
                    io::ErrorKind::PermissionDenied => write!(f, " (run it as the file's owner)"),
                    _ => Ok(()),
                }
            }
            Self::Missing { path, what, remedy } => write!(f, "there is no {what} at {}: {remedy}", path.display()),
            Self::Exists { path } => {
                write!(f, "{} is there already: --force overwrites it, --dir chooses another folder", path.display())
            }
            Self::Malformed { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::PasswordNeeded { path } => write!(f, "{} is encrypted: give its password", path.display()),
            Self::PasswordWrong { path } => write!(f, "{} is encrypted with another password", path.display()),
            Self::Refused { problem } => f.write_str(problem),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What is wrong with bytes, before anybody says which file they are from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    PasswordNeeded,
    PasswordWrong,
    Other(String),
}

impl Problem {
    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::PasswordNeeded => Error::PasswordNeeded { path: path.to_owned() },
            Self::PasswordWrong => Error::PasswordWrong { path: path.to_owned() },
            Self::Other(problem) => Error::malformed(path, problem),
        }
    }
}
