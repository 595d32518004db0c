//! Numbers as bytes: what Python's `struct.pack` and `struct.unpack` do.
//!
//! ```text
//! cargo run --example binary_struct
//! ```
//!
//! The byte order is part of a protocol. Networks use the big end first: Python's `>` or `!`, Rust's `to_be_bytes`. In
//! Python's formats `=` is *not* the network's order but that of the machine, little-endian on nearly all of them.

fn main() {
    // struct.pack(">iii", 1, 2, 3)
    let packed: Vec<u8> = [1_i32, 2, 3].into_iter().flat_map(i32::to_be_bytes).collect();
    println!(">iii  {packed:02x?}");

    // a, b, c = struct.unpack(">iii", packed)
    let [a, b, c] = unpack(&packed).expect("three numbers of four bytes");
    println!("      a={a} b={b} c={c}");
    assert_eq!(unpack(&packed[1..]), None, "a length that does not fit is an error, not a guess");

    // struct.pack("=iii", 1, 2, 3): who reads it as ">iii" gets 16777216 for 1
    let native: Vec<u8> = [1_i32, 2, 3].into_iter().flat_map(i32::to_ne_bytes).collect();
    println!("=iii  {native:02x?}");
    println!("      read as >iii: {:?}", unpack(&native).expect("twelve bytes"));

    // struct.pack("!IfB", 7, 21.5, 80): fields of several types, a sample of a sensor for instance
    let (sequence, temperature, humidity) = (7_u32, 21.5_f32, 80_u8);
    let sample = [&sequence.to_be_bytes()[..], &temperature.to_be_bytes(), &[humidity]].concat();
    println!("!IfB  {sample:02x?}");
}

fn unpack(bytes: &[u8]) -> Option<[i32; 3]> {
    let (numbers, []) = bytes.as_chunks::<4>() else { return None };
    let numbers: [[u8; 4]; 3] = numbers.try_into().ok()?;
    Some(numbers.map(i32::from_be_bytes))
}
