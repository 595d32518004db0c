//! What a key is, and how sections of keys are defined.

/// A key of the configuration: everything that anybody has to know of it.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its section, as in the file.
    pub(crate) section: &'static str,
    /// Its name in the section.
    pub(crate) name: &'static str,
    /// What it is for, in lines.
    pub(crate) doc: &'static [&'static str],
    /// What it is if nobody sets it, as in the file.
    pub(crate) fallback: Fallback,
    /// The least of a number, of bytes, or of milliseconds.
    pub(crate) least: u64,
    /// The most of it.
    pub(crate) most: u64,
    /// Whether 0 is allowed, although it is less than the least.
    pub(crate) or_zero: bool,
    /// The variable that sets it.
    pub(crate) variable: &'static str,
    /// The command line's option that sets it.
    pub(crate) option: Option<CommandLine>,
    /// Whether it must not be shown.
    pub(crate) secret: bool,
    /// Says what it can be, so that "is needed" makes it a sentence.
    pub(crate) form: fn(&Key) -> String,
}

/// What a key is if nobody sets it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fallback {
    /// This value, as in the file.
    Value(&'static str),
    /// Nothing.
    Unset {
        /// What happens then.
        meaning: &'static str,
        /// A value that it can have, as in the file.
        example: &'static str,
    },
}

/// An option of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLine {
    /// Its name without the dashes.
    pub(crate) name: &'static str,
    /// What its value is called in the help.
    pub(crate) value: &'static str,
    /// Further names, which other servers have for it.
    pub(crate) aliases: &'static [&'static str],
}

/// A section of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the file.
    pub(crate) path: &'static str,
    /// What it is about, in lines.
    pub(crate) about: &'static [&'static str],
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

impl Key {
    /// A key with this default, as in the file, that is set by this variable.
    pub(super) const fn new(default: &'static str, variable: &'static str) -> Self {
        Self {
            section: "",
            name: "",
            doc: &[],
            fallback: Fallback::Value(default),
            least: 0,
            most: u64::MAX,
            or_zero: false,
            variable,
            option: None,
            secret: false,
            form: |_| String::new(),
        }
    }

    /// A key that need not be set: what happens then, and a value that it can have.
    pub(super) const fn unset(meaning: &'static str, example: &'static str, variable: &'static str) -> Self {
        Self { fallback: Fallback::Unset { meaning, example }, ..Self::new("", variable) }
    }

    /// Bounds of a number, of bytes, or of milliseconds.
    pub(super) const fn bounds(self, least: u64, most: u64) -> Self {
        Self { least, most, ..self }
    }

    /// Allows 0, which is less than the least.
    pub(super) const fn or_zero(self) -> Self {
        Self { or_zero: true, ..self }
    }

    /// The command line's option that sets it, and what its value is called.
    pub(super) const fn option(self, name: &'static str, value: &'static str) -> Self {
        self.option_with_aliases(name, value, &[])
    }

    /// As [`option`](Self::option), with further names.
    pub(super) const fn option_with_aliases(
        self,
        name: &'static str,
        value: &'static str,
        aliases: &'static [&'static str],
    ) -> Self {
        Self { option: Some(CommandLine { name, value, aliases }), ..self }
    }

    /// Keeps its value from being shown.
    pub(super) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// What it is for, in one line.
    pub(crate) fn text(&self) -> String {
        text(self.doc)
    }

    /// Whether this is that key.
    pub(crate) fn is(&self, section: &str, name: &str) -> bool {
        self.section == section && self.name == name
    }
}

impl Section {
    /// What it is about, in one line.
    pub(crate) fn text(&self) -> String {
        text(self.about)
    }
}

/// Lines of a documentation comment as one line.
fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Defines a section: a struct with a field for each key, whose documentation is that of the key, and the table of keys
/// that everything else is made from.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        [$path:literal] $Name:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $Type:ty = $definition:expr; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $Name {
            $( $(#[doc = $doc])+ pub(crate) $key: $Type, )+
        }

        impl $Name {
            const KEYS: &'static [Key; [$(stringify!($key)),+].len()] = &[
                $( Key {
                    section: $path,
                    name: stringify!($key),
                    doc: &[$($doc),+],
                    form: <$Type as Setting>::form,
                    ..$definition
                } ),+
            ];

            /// The section's definition.
            pub(crate) const SECTION: Section = Section { path: $path, about: &[$($about),+], keys: Self::KEYS };

            /// Takes the section's values. `None` if one of them does not fit, which the reader has noted.
            pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
                let [$($key),+] = Self::KEYS;
                $( let $key = reader.read::<$Type>($key); )+
                Some(Self { $($key: $key?),+ })
            }
        }
    };
}

pub(super) use section;
