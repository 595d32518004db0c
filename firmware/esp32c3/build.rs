//! The linker's scripts, and the files of the device: those of `files`, or of the folder that `TAUTLINE_FILES` names, as one
//! archive (see `tautline_firmware_app::Files`).

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    // From esp-hal; it has to be the last of the linker's scripts.
    println!("cargo:rustc-link-arg=-Tlinkall.x");
    println!("cargo:rerun-if-env-changed=TAUTLINE_FILES");
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let folder = env::var_os("TAUTLINE_FILES").map_or_else(|| package.join("files"), PathBuf::from);
    println!("cargo:rerun-if-changed={}", folder.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("files"), archive(&folder)).expect("the folder for what is built can be written to");
}

fn archive(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let mut archive = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        archive.extend(format!("{name} {}\n", bytes.len()).bytes());
        archive.extend(bytes);
    }
    archive
}
