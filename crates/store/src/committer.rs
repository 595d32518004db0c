//! The commit thread and what it shares with the handles.

use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::backend::{Backend, Retention};
use crate::error::{StoreError, SubmitError};
use crate::settings::Settings;
use crate::store::{Counters, Retained};
use crate::write::Write;

/// What is to be told.
pub(crate) type Tell<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// What the handles and the thread share.
pub(crate) struct Shared {
    settings: Settings,
    queue: Mutex<Queue>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For `flush`: something was finished.
    finished: Condvar,
}

#[derive(Default)]
struct Queue {
    submissions: Vec<Submission>,
    retention: Option<Job>,
    /// A retention was taken and is not answered yet.
    retaining: bool,
    /// Nothing is taken any more.
    ended: bool,
    /// The thread is gone.
    closed: bool,
    /// How many submissions were ever taken.
    taken: u64,
    /// How many of them are done.
    done: u64,
    counters: Counters,
}

struct Submission {
    writes: Vec<Write>,
    bytes: usize,
    done: Done<()>,
}

struct Job {
    retention: Retention,
    done: Done<Retained>,
    so_far: Retained,
}

/// Tells exactly once, also when the thread fails.
struct Done<T>(Option<Tell<T>>);

impl<T> Done<T> {
    fn tell(mut self, result: Result<T, StoreError>) {
        self.tell_once(result);
    }

    fn tell_once(&mut self, result: Result<T, StoreError>) {
        let Some(tell) = self.0.take() else { return };
        // Foreign code, which must not end the thread that everything depends on.
        if catch_unwind(AssertUnwindSafe(|| tell(result))).is_err() {
            tracing::error!("a panic where a commit was reported to");
        }
    }
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        self.tell_once(Err(StoreError::Closed));
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, queue: Mutex::default(), work: Condvar::new(), finished: Condvar::new() }
    }

    pub(crate) fn submit(&self, writes: Vec<Write>, tell: Tell<()>) -> Result<(), SubmitError> {
        let bytes = writes.iter().map(Write::size).sum();
        let mut queue = self.queue();
        if queue.ended || queue.closed {
            return Err(SubmitError::Closed);
        }
        let counters = &mut queue.counters;
        let room = self.settings.waiting_bytes.saturating_sub(counters.waiting_bytes);
        if counters.waiting >= self.settings.waiting_submissions || (counters.waiting > 0 && bytes > room) {
            return Err(SubmitError::Full);
        }
        counters.waiting += 1;
        counters.waiting_bytes += bytes;
        queue.taken += 1;
        queue.submissions.push(Submission { writes, bytes, done: Done(Some(tell)) });
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    pub(crate) fn retain(&self, retention: Retention, tell: Tell<Retained>) -> Result<(), SubmitError> {
        let mut queue = self.queue();
        if queue.ended || queue.closed {
            return Err(SubmitError::Closed);
        }
        if queue.retaining {
            return Err(SubmitError::Full);
        }
        queue.retaining = true;
        queue.retention = Some(Job { retention, done: Done(Some(tell)), so_far: Retained::default() });
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    pub(crate) fn flush(&self) {
        let mut queue = self.queue();
        let wanted = queue.taken;
        while queue.done < wanted && !queue.closed {
            queue = self.finished.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.queue().counters
    }

    /// Takes nothing any more: the thread ends when nothing waits.
    pub(crate) fn end(&self) {
        self.queue().ended = true;
        self.work.notify_one();
    }

    /// The state is sound at every point where the lock is held, so a panic elsewhere does not matter.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work. `None`: there will be none.
    fn next(&self, job: &mut Option<Job>) -> Option<Vec<Submission>> {
        let mut queue = self.queue();
        loop {
            if let Some(new) = queue.retention.take() {
                *job = Some(new);
            }
            if !queue.submissions.is_empty() {
                return Some(mem::take(&mut queue.submissions));
            }
            if queue.ended {
                return None;
            }
            if job.is_some() {
                return Some(Vec::new());
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The commit thread.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    backend: Box<dyn Backend>,
    /// The last commit has failed, for the environment's reasons.
    failing: bool,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, backend: Box<dyn Backend>) -> Self {
        Self { shared, backend, failing: false }
    }

    /// Works until the store is closed and nothing waits.
    pub(crate) fn run(mut self) {
        let mut job = None;
        while let Some(submissions) = self.shared.next(&mut job) {
            if !submissions.is_empty() {
                self.commit(submissions);
            }
            if let Some(started) = job.take() {
                job = self.retain(started);
            }
        }
        if let Err(error) = self.backend.close() {
            tracing::warn!(%error, "the database was not closed as it should be; nothing is lost");
        }
    }

    fn commit(&mut self, submissions: Vec<Submission>) {
        let count = submissions.len();
        let mut bytes = 0;
        let mut writes = Vec::with_capacity(submissions.iter().map(|submission| submission.writes.len()).sum());
        let mut parts = Vec::with_capacity(count);
        let mut dones = Vec::with_capacity(count);
        for submission in submissions {
            let start = writes.len();
            writes.extend(submission.writes);
            parts.push(start..writes.len());
            dones.push(submission.done);
            bytes += submission.bytes;
        }
        let mut outcome = Outcome { commits: 0, results: Vec::with_capacity(count) };
        self.commit_parts(&writes, &parts, &mut outcome);
        drop(writes);
        self.settle(&outcome, bytes);
        for (done, result) in dones.into_iter().zip(outcome.results) {
            done.tell(result);
        }
        self.shared.queue().done += count as u64;
        self.shared.finished.notify_all();
    }

    /// Commits all parts at once. If that fails, each half, so that one bad submission costs few commits and fails alone.
    fn commit_parts(&mut self, writes: &[Write], parts: &[Range<usize>], outcome: &mut Outcome) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
        let writes_of_parts = &writes[first.start..last.end];
        match self.try_commit(writes_of_parts) {
            Ok(()) => {
                outcome.commits += u64::from(!writes_of_parts.is_empty());
                outcome.results.extend(parts.iter().map(|_| Ok(())));
            }
            Err(error) if parts.len() == 1 => outcome.results.push(Err(error)),
            Err(_) => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.commit_parts(writes, left, outcome);
                self.commit_parts(writes, right, outcome);
            }
        }
    }

    fn try_commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let result = match (writes.is_empty(), self.failing) {
            // What only asks to be told when all before it is done costs no transaction.
            (true, false) => return Ok(()),
            (true, true) => self.backend.probe(),
            (false, _) => self.backend.commit(writes),
        };
        match &result {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("commits work again");
            }
            Err(error) if !error.is_the_callers() => self.failing = true,
            _ => {}
        }
        result
    }

    /// Counts before anybody is told, so that a `done` may submit into the room that its own submission took up.
    fn settle(&self, outcome: &Outcome, bytes: usize) {
        let failed = outcome.results.iter().filter(|result| result.is_err()).count();
        // One line for a batch: a full disk fails thousands in a second.
        if let Some(error) = outcome.results.iter().find_map(|result| result.as_ref().err()) {
            tracing::error!(%error, submissions = failed, "not stored");
        }
        let mut queue = self.shared.queue();
        let counters = &mut queue.counters;
        counters.commits += outcome.commits;
        counters.committed += (outcome.results.len() - failed) as u64;
        counters.failed += failed as u64;
        counters.waiting -= outcome.results.len();
        counters.waiting_bytes -= bytes;
    }

    /// One step. Gives back what is left to do.
    fn retain(&mut self, mut job: Job) -> Option<Job> {
        let step = match self.backend.retain(&job.retention) {
            Ok(step) => step,
            Err(error) => {
                tracing::error!(%error, "old entries were not deleted");
                self.shared.queue().retaining = false;
                job.done.tell(Err(error));
                return None;
            }
        };
        job.so_far.deleted += step.deleted;
        job.so_far.steps += 1;
        let mut queue = self.shared.queue();
        queue.counters.deleted += step.deleted;
        if step.more {
            return Some(job);
        }
        queue.retaining = false;
        drop(queue);
        job.done.tell(Ok(job.so_far));
        None
    }
}

impl Drop for Committer {
    /// The thread ends, be it by a panic: what still waits is told so, and nobody waits for it any more.
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        let left = mem::take(&mut queue.submissions);
        let job = queue.retention.take();
        drop(queue);
        drop((left, job));
        self.shared.finished.notify_all();
    }
}

struct Outcome {
    commits: u64,
    /// One for each submission, in their order.
    results: Vec<Result<(), StoreError>>,
}
