//! Compression and decompression, held against zlib and against those who mean harm.

mod backends;
mod budgets;
mod corpora;
mod cuts;
mod differential;
mod drive;
mod hostile;
mod messages;
mod vectors;
