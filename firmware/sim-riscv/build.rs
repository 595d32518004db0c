//! Tells the linker where the board's memory is.

fn main() {
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg=-Tmemory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=-Tdiscard.x");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=discard.x");
}
