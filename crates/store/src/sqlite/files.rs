//! The directory and its files: `tautline.db` (with `-wal` and `-shm` while it is open) and `tautline.lock`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// The database's name in its directory. SQLite gives the files beside it the same mode.
pub(super) const DATABASE: &str = "tautline.db";

/// The lock's name. A file of its own, since other programs may read the database.
const LOCK: &str = "tautline.lock";

/// That this process alone writes to a directory. The system gives it up with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK);
        let file = private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| refused("cannot open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(refused("cannot lock", &path, &error)),
        }
    }
}

pub(super) fn create_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| refused("cannot create the directory", directory, &error))
}

/// Makes the database's file, if there is none, before SQLite would with a mode of its choice.
pub(super) fn create_file(path: &Path) -> Result<(), StoreError> {
    let made = private().write(true).create(true).truncate(false).open(path);
    made.map(drop).map_err(|error| refused("cannot open", path, &error))
}

/// Makes a file that must not exist.
pub(super) fn create_new_file(path: &Path) -> Result<File, StoreError> {
    private().write(true).create_new(true).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::FileExists(path.to_owned()),
        _ => refused("cannot create", path, &error),
    })
}

/// Gives a complete file its name, which must not be taken.
pub(super) fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map_err(|error| refused("cannot remove", from, &error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(StoreError::FileExists(to.to_owned()));
        }
        // A file system without links, such as a memory stick's.
        Err(_) if !exists(to) => fs::rename(from, to).map_err(|error| refused("cannot create", to, &error))?,
        Err(_) => return Err(StoreError::FileExists(to.to_owned())),
    }
    sync_directory(to)
}

/// Whether there is anything of this name, be it a link that leads nowhere.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub(super) fn size(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| refused("cannot open", path, &error))
}

pub(super) fn refused(what: &str, path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => StoreError::Io(format!("{what} {}: {error}", path.display())),
    }
}

/// For files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A name is on the disk when its directory is.
#[cfg(unix)]
fn sync_directory(file: &Path) -> Result<(), StoreError> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| refused("cannot write to", directory, &error))
}

/// Other systems have no such call.
#[cfg(not(unix))]
fn sync_directory(_file: &Path) -> Result<(), StoreError> {
    Ok(())
}
