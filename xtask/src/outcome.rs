//! How a suite, or a step on the way to one, can end.

use std::{fmt, io, time::Duration};

/// Why a suite or a provisioning step stopped before its goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It ran and something is wrong with the tree.
    Failed(String),
    /// It could not run here.
    NotRun(NotRun),
    /// It was killed because it took longer than it may.
    OverBudget(Duration),
    /// The user asked for an end (Ctrl-C, SIGTERM).
    Interrupted,
}

/// Why a suite could not run here, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRun {
    /// One line, as short as it can be.
    pub(crate) reason: String,
    /// The command that would make it run.
    pub(crate) remedy: String,
    /// Does not fail a strict run: nothing on this machine or in this tree can change it.
    pub(crate) excused: bool,
}

impl Stop {
    /// For a provisioning step: what went wrong is the machine's doing, not the tree's, and this command would mend it.
    /// An interruption stays one.
    pub(crate) fn unavailable(self, what: &str, remedy: impl Into<String>) -> Self {
        let reason = match self {
            Stop::Interrupted | Stop::NotRun(_) => return self,
            other => format!("{what}: {other}"),
        };
        Stop::not_run(reason, remedy)
    }

    /// Something that is needed is missing; `remedy` is the command that would bring it.
    pub(crate) fn not_run(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Stop::NotRun(NotRun { reason: reason.into(), remedy: remedy.into(), excused: false })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Failed(why) => f.write_str(why),
            Stop::NotRun(not_run) => f.write_str(&not_run.reason),
            Stop::OverBudget(budget) => write!(f, "over its budget of {} s", budget.as_secs()),
            Stop::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Failed(error.to_string())
    }
}

/// The end of a suite: a note for the table when it passed, or why it did not.
pub(crate) type Outcome = Result<String, Stop>;
