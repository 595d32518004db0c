//! Consistent copies of a database that is in use.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::at;
use super::files::{self, DATABASE};
use super::{connect_to_read, schema};
use crate::error::StoreError;

/// Writes a consistent copy of the database in `directory` to the new file `to`, whether or not a hub runs on it. It
/// blocks. See [`Store::backup`](crate::Store::backup).
///
/// # Errors
///
/// There is no database, or [`Foreign`](StoreError::Foreign), [`FileExists`](StoreError::FileExists), or the system's.
pub fn backup(directory: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), StoreError> {
    let file = directory.as_ref().join(DATABASE);
    if !file.exists() {
        return Err(StoreError::Missing(format!("database {}", file.display())));
    }
    let connection = connect_to_read(&file)?;
    schema::identify(&connection, &file)?;
    copy(&connection, to.as_ref())
}

/// Copies by `VACUUM INTO`: one read transaction, which commits go on beside, and the copy has no free pages.
pub(super) fn copy(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    if files::exists(to) {
        return Err(StoreError::FileExists(to.to_owned()));
    }
    let partial = partial(to)?;
    // SQLite writes into an empty file, which has its mode already.
    drop(files::create_new_file(&partial)?);
    let copied = fill(connection, &partial).and_then(|()| files::publish(&partial, to));
    if copied.is_err() {
        // What is incomplete serves nobody; the error that is reported is the first one.
        let _ = fs::remove_file(&partial);
    }
    copied
}

fn fill(connection: &Connection, partial: &Path) -> Result<(), StoreError> {
    let Some(name) = partial.to_str() else {
        return Err(StoreError::Invalid(format!("the file name {} is not UTF-8", partial.display())));
    };
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| at(partial, error))?;
    // SQLite does not flush what it has vacuumed into another file.
    let synced = OpenOptions::new().write(true).open(partial).and_then(|file| file.sync_all());
    synced.map_err(|error| files::refused("cannot write", partial, &error))
}

/// The name that a copy has until it is complete.
fn partial(to: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = to.file_name() else {
        return Err(StoreError::Invalid(format!("{} is not the name of a file", to.display())));
    };
    let mut partial = OsString::from(name);
    partial.push(".partial");
    Ok(to.with_file_name(partial))
}
