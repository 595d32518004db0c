//! How large the images are: counted in the ELF files, and compared with what is committed.

use std::{collections::BTreeMap, fmt::Write, ops::Sub};

use object::{
    Endianness,
    elf::{FileHeader32, SHF_ALLOC, SHF_WRITE, SHT_NOBITS},
    read::elf::{FileHeader, SectionHeader},
};

use super::images::{ALL, Image};

/// The committed sizes.
pub(crate) const TABLE: &str = "firmware/sizes.txt";
/// More than so many hundredths above what is committed fail.
const TOLERANCE: u64 = 3;

/// Bytes of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Code, constants, and what data begins as.
    pub(crate) flash: u64,
    /// Data, without stack and heap: what is left of a board's RAM is for these.
    pub(crate) ram: u64,
}

impl Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { flash: self.flash.saturating_sub(other.flash), ram: self.ram.saturating_sub(other.ram) }
    }
}

/// Sizes by the images' names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table(BTreeMap<String, Size>);

impl Table {
    /// Adds an image.
    pub(crate) fn add(&mut self, name: &str, size: Size) {
        self.0.insert(name.to_owned(), size);
    }

    /// Reads a name and two numbers from each line that is no comment.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            let (flash, ram) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some((name, Size { flash, ram }))
        };
        Self(lines.filter_map(read).collect())
    }

    /// The text that [`parse`](Self::parse) reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("# Image, bytes of flash, bytes of RAM; by `cargo xtask firmware --bless`.\n");
        for (name, size) in &self.0 {
            let _ = writeln!(text, "{name} {} {}", size.flash, size.ram);
        }
        text
    }

    /// A line for each image: its sizes, its budgets, and how it has changed.
    pub(crate) fn shown(&self, blessed: &Self) -> String {
        let mut text = String::new();
        for image in ALL {
            let Some(size) = self.0.get(image.name) else { continue };
            let before = blessed.0.get(image.name);
            let flash = column(size.flash, image.flash, before.map(|size| size.flash));
            let ram = column(size.ram, image.ram, before.map(|size| size.ram));
            let _ = writeln!(text, "        {:<12} flash {flash}   RAM {ram}", image.name);
        }
        text
    }

    /// What is over its budget, has grown too much, or is not in the committed table.
    pub(crate) fn faults(&self, blessed: &Self) -> Vec<String> {
        ALL.iter().flat_map(|image| self.faults_of(image, blessed)).collect()
    }

    fn faults_of(&self, image: &Image, blessed: &Self) -> Vec<String> {
        let Some(size) = self.0.get(image.name) else { return vec![] };
        let Some(before) = blessed.0.get(image.name) else {
            return vec![format!("{} is not in {TABLE}: cargo xtask firmware --bless", image.name)];
        };
        let kinds = [("flash", size.flash, before.flash, image.flash), ("RAM", size.ram, before.ram, image.ram)];
        let fault = |(kind, now, before, budget): (&str, u64, u64, u64)| {
            if now > budget {
                Some(format!("{} takes {now} bytes of {kind}, its budget is {budget}", image.name))
            } else if now * 100 > before * (100 + TOLERANCE) {
                let worth = "if it is worth that: cargo xtask firmware --bless";
                Some(format!("{} takes {now} bytes of {kind}, {}; {worth}", image.name, change(now, before)))
            } else {
                None
            }
        };
        kinds.into_iter().filter_map(fault).collect()
    }
}

/// Counts the sections of a 32-bit ELF file that are loaded or reserved.
///
/// # Errors
/// If it is no such file.
pub(crate) fn of(elf: &[u8]) -> object::read::Result<Size> {
    let header = FileHeader32::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, elf)?;
    let mut size = Size::default();
    for section in sections.iter() {
        let name = String::from_utf8_lossy(sections.section_name(endian, section)?).into_owned();
        let flags = section.sh_flags(endian);
        if !flags.contains(SHF_ALLOC) || is_filler(&name) {
            continue;
        }
        let bytes = u64::from(section.sh_size(endian));
        let is_loaded = section.sh_type(endian) != SHT_NOBITS;
        size.flash += if is_loaded { bytes } else { 0 };
        // The ESP32-C3's code that is to be fast is copied to RAM.
        let is_fast = name == ".trap" || name.starts_with(".rwtext");
        let is_in_ram = flags.contains(SHF_WRITE) || !is_loaded || is_fast;
        size.ram += if is_in_ram { bytes } else { 0 };
    }
    Ok(size)
}

/// What linker scripts make of the rest of a memory, or of the same memory's second address.
fn is_filler(name: &str) -> bool {
    name.starts_with(".stack") || name.starts_with(".heap") || name.contains("_dummy") || name.ends_with("_gap")
}

fn column(now: u64, budget: u64, before: Option<u64>) -> String {
    let change = before.map_or_else(|| "new".to_owned(), |before| change(now, before));
    format!("{now:>7} of {budget:>7} ({change})")
}

fn change(now: u64, before: u64) -> String {
    let percent = (now as f64 / (before.max(1)) as f64 - 1.0) * 100.0;
    format!("{percent:+.1} % of {before}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(flash: u64, ram: u64) -> Table {
        let mut table = Table::default();
        table.add("sim-arm", Size { flash, ram });
        table
    }

    #[test]
    fn a_table_is_read_back() {
        let mut written = table(71_000, 11_300);
        written.add("esp32c3", Size { flash: 531_000, ram: 60_000 });
        assert_eq!(Table::parse(&written.text()), written);
    }

    #[test]
    fn up_to_three_hundredths_more_are_fine() {
        assert_eq!(table(103_000, 10_300).faults(&table(100_000, 10_000)), [""; 0]);
        let faults = table(103_001, 10_000).faults(&table(100_000, 10_000));
        assert!(faults[0].starts_with("sim-arm takes 103001 bytes of flash, +3.0 % of 100000; "), "{faults:?}");
    }

    #[test]
    fn what_is_over_its_budget_fails_also_when_it_was_so_before() {
        let faults = table(300_000, 10_000).faults(&table(300_000, 10_000));
        assert_eq!(faults, ["sim-arm takes 300000 bytes of flash, its budget is 253952"]);
    }

    #[test]
    fn an_image_that_is_not_in_the_table_is_a_fault() {
        let faults = table(1, 1).faults(&Table::default());
        assert_eq!(faults, ["sim-arm is not in firmware/sizes.txt: cargo xtask firmware --bless"]);
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(of(b"").is_err());
        assert!(of(&[0x7f; 100]).is_err());
    }
}
