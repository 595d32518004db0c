//! The commit thread: what shares a transaction, who is told what and when, and what may wait.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tautline_store::{
    Backend, Connection, Memory, Retention, Settings, Source, Step, Store, StoreError, SubmitError, Write,
};

/// Longer than anything here takes, so that a failure is a failure and not a test that hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// What a commit of a [`Scripted`] backend does.
enum Turn {
    Work,
    Fail(StoreError),
    Panic,
}

/// A backend whose commits the test sees begin, and lets go on.
struct Scripted {
    memory: Memory,
    /// How many writes the commit that begins has.
    begins: Sender<usize>,
    turns: Receiver<Turn>,
    closed: Sender<()>,
}

/// The test's end of it. Without it, commits do their work at once.
struct Script {
    begins: Receiver<usize>,
    turns: Sender<Turn>,
    closed: Receiver<()>,
}

impl Script {
    /// The script goes first when a test fails: then the store, whose end waits for the thread, is not held.
    fn store(settings: Settings) -> (Store, Self) {
        let ((begins, begins_here), (turns_here, turns), (closed, closed_here)) = (channel(), channel(), channel());
        let backend = Scripted { memory: Memory::new(), begins, turns, closed };
        let script = Self { begins: begins_here, turns: turns_here, closed: closed_here };
        (Store::start(backend, settings).unwrap(), script)
    }

    /// Waits for a commit to begin.
    fn begun(&self) -> usize {
        self.begins.recv_timeout(LIMIT).expect("a commit begins")
    }

    fn go_on(&self, turn: Turn) {
        self.turns.send(turn).unwrap();
    }

    /// No commit is held any more.
    fn let_go(self) -> Receiver<()> {
        self.closed
    }
}

impl Backend for Scripted {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let _ = self.begins.send(writes.len());
        match self.turns.recv().unwrap_or(Turn::Work) {
            Turn::Work => self.memory.commit(writes),
            Turn::Fail(error) => Err(error),
            Turn::Panic => panic!("as the test wants it"),
        }
    }

    /// One connection a step.
    fn retain(&mut self, retention: &Retention) -> Result<Step, StoreError> {
        let first = self.memory.source().reader()?.connections(None, None, usize::MAX)?.pop();
        let before = first.map(|first| first.connection.closed_ms + 1).min(retention.connections_before_ms);
        let step = Retention { connections_before_ms: before, ..Retention::default() };
        let Step { deleted, .. } = self.memory.retain(&step)?;
        Ok(Step { deleted, more: deleted > 0 })
    }

    fn source(&self) -> Arc<dyn Source> {
        self.memory.source()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let _ = self.closed.send(());
        Ok(())
    }
}

/// Who was told what, in order.
type Told = Arc<Mutex<Vec<(u64, Result<(), StoreError>)>>>;

fn set(value: u64) -> Vec<Write> {
    vec![Write::SetCounter { name: value.to_string().into(), value: value as i64 }]
}

fn stale() -> Vec<Write> {
    let room = |epoch| Write::OpenRoom { room: "r".into(), epoch, durable: true };
    vec![
        room(1),
        Write::ChangeCommand { id: "none".into(), state: tautline_store::CommandState::Done, result: None, at_ms: 1 },
    ]
}

fn submit(store: &Store, told: &Told, number: u64, writes: Vec<Write>) {
    let told = told.clone();
    store.submit(writes, move |result| told.lock().unwrap().push((number, result))).unwrap();
}

fn counters(store: &Store) -> usize {
    store.read(|reader| reader.counters()).unwrap().len()
}

fn ignore<T>(_: Result<T, StoreError>) {}

#[test]
fn what_waits_shares_one_transaction_and_is_told_in_order() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    assert_eq!(script.begun(), 1);
    for number in 1..1000 {
        submit(&store, &told, number, set(number));
    }
    assert_eq!(store.counters().waiting, 1000);
    assert_eq!(told.lock().unwrap().len(), 0, "told before the commit");
    script.go_on(Turn::Work);
    assert_eq!(script.begun(), 999);
    script.go_on(Turn::Work);
    store.flush();
    let wanted: Vec<_> = (0..1000).map(|number| (number, Ok(()))).collect();
    assert_eq!(*told.lock().unwrap(), wanted);
    let counters = store.counters();
    assert_eq!((counters.commits, counters.committed, counters.failed), (2, 1000, 0));
    assert_eq!((counters.waiting, counters.waiting_bytes), (0, 0));
}

#[test]
fn a_bad_submission_fails_alone_and_leaves_nothing_behind() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    script.begun();
    for number in 1..100 {
        submit(&store, &told, number, if number == 57 || number == 58 { stale() } else { set(number) });
    }
    drop(script.let_go());
    store.flush();
    let told = told.lock().unwrap();
    assert!(told.iter().map(|(number, _)| *number).eq(0..100), "told in another order");
    let failed: Vec<_> = told.iter().filter(|(_, result)| result.is_err()).collect();
    let missing = Err(StoreError::Missing("command none".into()));
    assert_eq!(failed, [&(57, missing.clone()), &(58, missing)]);
    assert_eq!(counters(&store), 98);
    assert_eq!(store.read(|reader| reader.rooms()).unwrap(), []);
    let counted = store.counters();
    assert_eq!((counted.committed, counted.failed), (98, 2));
    assert!(counted.commits < 20, "{} commits for two bad submissions", counted.commits);
}

#[test]
fn a_full_disk_is_reported_and_passes() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    script.begun();
    script.go_on(Turn::Fail(StoreError::DiskFull));
    store.flush();
    assert_eq!(*told.lock().unwrap(), [(0, Err(StoreError::DiskFull))]);
    submit(&store, &told, 1, set(1));
    script.begun();
    script.go_on(Turn::Work);
    store.flush();
    assert_eq!(told.lock().unwrap()[1], (1, Ok(())));
    assert_eq!(counters(&store), 1);
}

#[test]
fn no_more_submissions_wait_than_the_settings_say() {
    let (store, script) = Script::store(Settings::new().waiting_submissions(2));
    store.submit(set(0), ignore).unwrap();
    // What is being committed counts, too.
    script.begun();
    store.submit(set(1), ignore).unwrap();
    let refused = store.submit(set(2), |_| panic!("called, though it was refused"));
    assert_eq!(refused, Err(SubmitError::Full));
    script.go_on(Turn::Work);
    assert_eq!(script.begun(), 1, "what was refused is not committed");
    store.submit(set(3), ignore).unwrap();
    drop(script.let_go());
    store.flush();
    assert_eq!(counters(&store), 3);
}

#[test]
fn no_more_bytes_wait_than_the_settings_say_but_for_a_large_submission_alone() {
    let size = set(0)[0].size();
    let (store, script) = Script::store(Settings::new().waiting_bytes(2 * size));
    store.submit(set(0), ignore).unwrap();
    script.begun();
    store.submit(set(1), ignore).unwrap();
    assert_eq!(store.submit(set(2), ignore), Err(SubmitError::Full));
    script.go_on(Turn::Work);
    script.begun();
    let large = || (10..20).flat_map(set).collect::<Vec<_>>();
    assert_eq!(store.submit(large(), ignore), Err(SubmitError::Full));
    script.go_on(Turn::Work);
    store.flush();
    store.submit(large(), ignore).unwrap();
    drop(script.let_go());
    store.flush();
    assert_eq!(counters(&store), 12);
}

#[test]
fn a_done_may_submit_into_the_place_that_it_had() {
    let store = Store::in_memory(Settings::new().waiting_submissions(1)).unwrap();
    let (sender, answers) = channel();
    let again = store.clone();
    store
        .submit(set(0), move |_| {
            let answer = again.submit(set(1), move |result| sender.send(result).unwrap());
            assert_eq!(answer, Ok(()));
        })
        .unwrap();
    assert_eq!(answers.recv_timeout(LIMIT), Ok(Ok(())));
}

#[test]
fn an_empty_submission_waits_for_those_before_it_and_costs_no_transaction() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    script.begun();
    submit(&store, &told, 1, Vec::new());
    drop(script.let_go());
    store.flush();
    assert_eq!(*told.lock().unwrap(), [(0, Ok(())), (1, Ok(()))]);
    assert_eq!(store.counters().commits, 1);
}

#[test]
fn reading_waits_for_no_commit() {
    let (store, script) = Script::store(Settings::new());
    store.submit(set(0), ignore).unwrap();
    script.begun();
    assert_eq!(counters(&store), 0);
    drop(script.let_go());
    store.flush();
    assert_eq!(counters(&store), 1);
}

#[test]
fn a_panic_in_a_done_is_its_own() {
    let store = Store::in_memory(Settings::new()).unwrap();
    let told = Told::default();
    store.submit(set(0), |_| panic!("as the test wants it")).unwrap();
    submit(&store, &told, 1, set(1));
    store.flush();
    assert_eq!(*told.lock().unwrap(), [(1, Ok(()))]);
}

#[test]
fn when_the_thread_fails_everybody_is_told_and_nobody_waits() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    script.begun();
    submit(&store, &told, 1, set(1));
    let (sender, retained) = channel();
    store.retain(Retention::default(), move |result| sender.send(result).unwrap()).unwrap();
    let flushing = thread::spawn({
        let store = store.clone();
        move || store.flush()
    });
    script.go_on(Turn::Panic);
    flushing.join().unwrap();
    assert_eq!(retained.recv_timeout(LIMIT), Ok(Err(StoreError::Closed)));
    store.flush();
    assert_eq!(*told.lock().unwrap(), [(0, Err(StoreError::Closed)), (1, Err(StoreError::Closed))]);
    assert_eq!(store.submit(set(2), ignore), Err(SubmitError::Closed));
    assert_eq!(store.retain(Retention::default(), ignore), Err(SubmitError::Closed));
}

#[test]
fn the_last_handle_takes_what_waits_to_the_disk() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    submit(&store, &told, 0, set(0));
    script.begun();
    submit(&store, &told, 1, set(1));
    let clone = store.clone();
    drop(store);
    let closed = script.let_go();
    drop(clone);
    // Both of it has happened by the time that the drop returns.
    assert_eq!(*told.lock().unwrap(), [(0, Ok(())), (1, Ok(()))]);
    closed.try_recv().expect("the backend is closed");
}

#[test]
fn the_last_handle_may_go_in_a_done() {
    let (store, script) = Script::store(Settings::new());
    let last = store.clone();
    store.submit(set(0), move |_| drop(last)).unwrap();
    script.begun();
    drop(store);
    script.let_go().recv_timeout(LIMIT).expect("the backend is closed");
}

#[test]
fn retention_goes_in_steps_between_commits() {
    let (store, script) = Script::store(Settings::new());
    let ended = |at| {
        Write::Connection(Connection {
            device: "lamp".into(),
            room: None,
            opened_ms: 0,
            closed_ms: at,
            peer: String::new(),
            transport: "ws".into(),
            reason: String::new(),
        })
    };
    store.submit((0..10).map(ended).collect(), ignore).unwrap();
    script.begun();
    let (sender, retained) = channel();
    let retention = Retention { connections_before_ms: Some(8), ..Retention::default() };
    store.retain(retention, move |result| sender.send(result).unwrap()).unwrap();
    assert_eq!(store.retain(Retention::default(), ignore), Err(SubmitError::Full));
    // Each submitted while the one before it is held: there is always a commit to do.
    let connections = || store.read(|reader| reader.connections(None, None, usize::MAX)).unwrap().len();
    for left in [10, 9, 8] {
        store.submit(set(0), ignore).unwrap();
        script.go_on(Turn::Work);
        script.begun();
        assert_eq!(connections(), left);
    }
    drop(script.let_go());
    let retained = retained.recv_timeout(LIMIT).unwrap().unwrap();
    assert_eq!((retained.deleted, retained.steps), (8, 9));
    assert_eq!(store.counters().deleted, 8);
    store.retain(Retention::default(), ignore).unwrap();
}

#[test]
fn a_store_in_memory_has_no_backup() {
    let store = Store::in_memory(Settings::new()).unwrap();
    assert!(matches!(store.backup(Path::new("nowhere")), Err(StoreError::Unsupported(_))));
}

#[test]
fn who_asks_after_a_commit_that_failed_is_told_until_commits_work_again() {
    let (store, script) = Script::store(Settings::new());
    let told = Told::default();
    let turn = |number: u64, writes: Vec<Write>, turn: Turn| {
        let wanted = writes.len();
        submit(&store, &told, number, writes);
        assert_eq!(script.begun(), wanted);
        script.go_on(turn);
        store.flush();
    };
    let full = StoreError::DiskFull;
    submit(&store, &told, 0, Vec::new());
    store.flush();
    turn(1, set(1), Turn::Fail(full.clone()));
    turn(2, Vec::new(), Turn::Fail(full.clone()));
    turn(3, Vec::new(), Turn::Work);
    // From now on nothing is tried for whoever only asks; and the caller's own mistakes say nothing about the disk.
    submit(&store, &told, 4, Vec::new());
    store.flush();
    turn(5, set(5), Turn::Fail(StoreError::Stale("x".into())));
    submit(&store, &told, 6, Vec::new());
    store.flush();
    turn(7, set(7), Turn::Fail(full.clone()));
    turn(8, set(8), Turn::Work);
    submit(&store, &told, 9, Vec::new());
    store.flush();
    let failed: Vec<_> = told.lock().unwrap().iter().filter(|(_, result)| result.is_err()).map(|(n, _)| *n).collect();
    assert_eq!(failed, [1, 2, 5, 7]);
    drop(script.let_go());
}
