//! What every backend has to do, whatever it keeps things in.
//!
//! The suite is generic over the backend: a further one implements [`Harness`] and lists itself at the end of this file.

mod random;
mod records;
mod suite;
mod telemetry;

use std::sync::Arc;

use tautline_store::{Backend, Memory, Reader, Source, Sqlite};
use tempfile::TempDir;

/// Every rule.
mod rules {
    pub(crate) use crate::suite::*;
    pub(crate) use crate::telemetry::*;
}

/// A backend under test.
trait Harness {
    fn new() -> Self;

    fn backend(&mut self) -> &mut dyn Backend;

    fn reader(&mut self) -> Box<dyn Reader> {
        let source: Arc<dyn Source> = self.backend().source();
        source.reader().unwrap()
    }
}

/// One test for each rule, for one backend.
macro_rules! contract {
    ($module:ident, $harness:ty: $($rule:ident),+ $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $rule() {
                    crate::rules::$rule(&mut <$harness as crate::Harness>::new());
                }
            )+
        }
    };
}

macro_rules! contracts {
    ($($module:ident: $harness:ty),+ $(,)?) => {
        $(contract! { $module, $harness:
            nothing_is_there_at_first,
            everything_comes_back_as_it_was_written,
            a_commit_is_all_or_nothing,
            a_room_keeps_its_epoch_and_its_highest_offset,
            a_new_epoch_begins_with_nothing,
            a_dropped_room_is_gone_and_may_come_again,
            an_offset_that_is_not_above_the_last_is_stale,
            a_message_of_another_epoch_is_stale,
            a_message_for_an_unknown_room_is_refused,
            text_that_is_not_utf8_is_refused,
            numbers_that_do_not_fit_are_refused,
            history_is_bounded_in_messages_and_in_bytes,
            trimming_a_room_takes_the_messages_below,
            dedup_entries_are_remembered_and_trimmed_by_number_and_age,
            a_message_id_that_comes_again_has_the_later_offset,
            counters_hold_every_value,
            a_documents_version_never_runs_backwards,
            a_twins_versions_never_run_backwards,
            commands_are_added_once_and_change,
            pending_commands_are_those_that_are_not_over,
            a_devices_commands_come_in_pages_newest_first,
            tokens_are_added_once_and_revoked_once,
            a_device_is_as_it_was_last_seen,
            devices_come_in_pages_by_id,
            connections_come_in_pages_newest_first,
            keys_sessions_and_sensors_are_as_they_were_last_written,
            the_key_before_is_forgotten_when_the_new_one_was_used,
            a_name_is_of_one_device_or_sensor,
            the_latest_session_of_each_device_is_remembered,
            only_so_many_sessions_of_a_device_are_remembered,
            readings_come_back_by_time_in_pages,
            readings_of_many_sensors_are_kept_apart,
            buckets_have_what_numbers_come_to,
            readings_out_of_bounds_are_refused,
            readings_are_kept_as_long_as_their_sensor_says,
            readings_give_way_to_a_bound_on_the_size,
            retention_deletes_what_is_older,
            retention_forgets_what_was_left_of_rooms,
            retention_keeps_below_a_size,
            a_reader_sees_what_is_committed_after_it_was_made,
        })+
    };
}

struct InMemory(Memory);

impl Harness for InMemory {
    fn new() -> Self {
        Self(Memory::new())
    }

    fn backend(&mut self) -> &mut dyn Backend {
        &mut self.0
    }
}

struct InFile {
    sqlite: Sqlite,
    _directory: TempDir,
}

impl Harness for InFile {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { sqlite: Sqlite::open(directory.path()).unwrap(), _directory: directory }
    }

    fn backend(&mut self) -> &mut dyn Backend {
        &mut self.sqlite
    }
}

contracts! {
    memory: crate::InMemory,
    sqlite: crate::InFile,
}
