//! Tells the linker where the memory is: as on the emulated board.

fn main() {
    println!("cargo:rustc-link-search={}/../sim-riscv", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg=-Tmemory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=-Tdiscard.x");
}
