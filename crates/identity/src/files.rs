//! Files: read to a limit, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::Error;

/// The largest file that is read, in bytes: a revocation list of a hundred thousand devices has 4 MB.
const LIMIT: u64 = 16 * 1024 * 1024;

/// A file to be written.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// A private key is in it: nobody but the owner may read it.
    pub(crate) secret: bool,
}

impl Output {
    pub(crate) fn public(path: PathBuf, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path, bytes: bytes.into(), secret: false }
    }

    pub(crate) fn secret(path: PathBuf, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path, bytes: bytes.into(), secret: true }
    }
}

/// The content of a file of at most 16 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::file(path, "read", error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::malformed(path, "larger than 16 MiB: it is neither a certificate nor a key"));
    }
    Ok(bytes)
}

/// Writes all files, or none of them. One that has the same content already is left as it is; one that has another is
/// an error unless it may be overwritten.
pub(crate) fn write_all(outputs: &[Output], overwrite: bool) -> Result<(), Error> {
    let mut staged = Vec::new();
    for output in outputs {
        match read(&output.path) {
            Ok(bytes) if bytes == output.bytes => continue,
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            _ if overwrite => {}
            _ => return Err(Error::Exists { path: output.path.clone() }),
        }
        staged.push((stage(output)?, &output.path));
    }
    let mut written: Vec<&Path> = Vec::new();
    for (file, path) in staged {
        let result = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
        if let Err(error) = result {
            // Half a certificate is of no use. What was overwritten cannot be brought back.
            for path in written.iter().filter(|_| !overwrite) {
                let _ = fs::remove_file(path);
            }
            return Err(match error.error.kind() {
                io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
                _ => Error::file(path, "write", error.error),
            });
        }
        written.push(path);
    }
    Ok(())
}

/// Writes a file beside its place, under another name.
fn stage(output: &Output) -> Result<NamedTempFile, Error> {
    let folder = match output.path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| Error::file(folder, "create", error))?;
    let failed = |error| Error::file(&output.path, "write", error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    // The system takes away from this what the umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(if output.secret { 0o600 } else { 0o644 }));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(&output.bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: &Path, name: &str, bytes: &str) -> Output {
        Output::public(folder.join(name), bytes)
    }

    #[test]
    fn nothing_is_overwritten_unless_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write_all(&[at(folder, "b", "old")], false).unwrap();
        let both = [at(folder, "a", "new"), at(folder, "b", "new")];
        let error = write_all(&both, false).unwrap_err();
        assert!(matches!(&error, Error::Exists { path } if path.ends_with("b")), "{error}");
        assert!(!folder.join("a").exists(), "all or nothing");
        assert_eq!(read(&folder.join("b")).unwrap(), b"old");
        write_all(&both, true).unwrap();
        assert_eq!(read(&folder.join("b")).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn the_same_content_again_is_no_conflict() {
        let folder = tempfile::tempdir().unwrap();
        let same = || [at(folder.path(), "a", "same")];
        write_all(&same(), false).unwrap();
        write_all(&same(), false).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_secrets() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for overwrite in [false, true] {
            let bytes = if overwrite { "new" } else { "old" };
            write_all(&[Output::secret(path.clone(), bytes)], overwrite).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // An old copy that everybody could read does not stay so.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_all(&[Output::secret(path.clone(), "newer")], true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn endless_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("larger than 16 MiB"));
    }
}
