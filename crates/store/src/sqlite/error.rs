//! SQLite's errors as the store's.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::error::StoreError;

/// What an error of SQLite means to the hub.
pub(super) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::DiskFull,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged(error.to_string()),
            ErrorCode::TooBig => StoreError::Invalid("it is larger than SQLite permits".into()),
            _ => StoreError::Io(format!("the database: {error}")),
        },
        // What is in the file is not what this program writes.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Io(format!("the database: {error}")),
    }
}

/// The same, naming the file.
pub(super) fn at(file: &Path, error: Error) -> StoreError {
    match store_error(error) {
        StoreError::Damaged(what) => StoreError::Damaged(format!("{}: {what}", file.display())),
        StoreError::Io(what) => StoreError::Io(format!("{}: {what}", file.display())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_full_disk_is_called_by_its_name() {
        let full = Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        assert_eq!(store_error(full), StoreError::DiskFull);
    }
}
