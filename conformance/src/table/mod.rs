//! The table: RFC 6455 by section, in the order of the document.

mod closing;
mod control;
mod data;
mod fragments;
mod framing;
mod limits;
mod masking;
mod utf8;

use std::fmt;
use std::sync::Arc;

use tautline_proto::Role;

use crate::script::Script;

/// One rule, for one role.
#[derive(Clone)]
pub struct Case {
    section: &'static str,
    name: String,
    role: Role,
    write: Arc<dyn Fn(&mut Script) + Send + Sync>,
}

impl Case {
    /// The section of RFC 6455 that says so.
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// The section, the behaviour and the role under test, as the name of a test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which role is under test: the script has the bytes of the other one.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Writes the script, which can be tens of megabytes.
    pub fn script(&self) -> Script {
        let mut script = Script::new(self.role);
        (self.write)(&mut script);
        script
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut table = Table::default();
    masking::add(&mut table);
    framing::add(&mut table);
    fragments::add(&mut table);
    control::add(&mut table);
    data::add(&mut table);
    closing::add(&mut table);
    utf8::add(&mut table);
    limits::add(&mut table);
    table.cases
}

/// The table while it is being written.
#[derive(Default)]
struct Table {
    cases: Vec<Case>,
}

impl Table {
    /// A rule for both roles.
    fn both(
        &mut self,
        section: &'static str,
        behaviour: impl fmt::Display,
        write: impl Fn(&mut Script) + Send + Sync + 'static,
    ) {
        let write = Arc::new(write);
        for role in [Role::Server, Role::Client] {
            self.add(section, &behaviour, role, write.clone());
        }
    }

    /// A rule for one role.
    fn only(
        &mut self,
        role: Role,
        section: &'static str,
        behaviour: impl fmt::Display,
        write: impl Fn(&mut Script) + Send + Sync + 'static,
    ) {
        self.add(section, &behaviour, role, Arc::new(write));
    }

    fn add(
        &mut self,
        section: &'static str,
        behaviour: &dyn fmt::Display,
        role: Role,
        write: Arc<dyn Fn(&mut Script) + Send + Sync>,
    ) {
        let suffix = match role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let name = format!("s{}_{behaviour}_{suffix}", section.replace('.', "_"));
        self.cases.push(Case { section, name, role, write });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_that_a_test_can_have() {
        let mut names = HashSet::new();
        for case in cases() {
            assert!(names.insert(case.name().to_owned()), "{} is there twice", case.name());
            let valid = |byte: u8| byte == b'_' || byte.is_ascii_digit() || byte.is_ascii_lowercase();
            assert!(case.name().bytes().all(valid), "{}", case.name());
        }
    }

    #[test]
    fn every_section_that_rules_an_open_connection_has_cases() {
        let sections: HashSet<_> = cases().iter().map(Case::section).collect();
        for section in [
            "5.1", "5.2", "5.3", "5.4", "5.5", "5.5.1", "5.5.2", "5.5.3", "5.6", "5.7", "5.8", "6.2", "7.1.1", "7.1.4",
            "7.1.5", "7.1.6", "7.1.7", "7.4.1", "7.4.2", "8.1", "10.4",
        ] {
            assert!(sections.contains(section), "{section}");
        }
    }
}
