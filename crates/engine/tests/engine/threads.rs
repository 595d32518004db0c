//! What other threads ask of a loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tautline_engine::{Connection, Encoded, Engine, Host, PostError, Request, Settings, Wake};
use tautline_proto::CloseCode;
use tautline_proto::app::{App, ConnectionId, Io, Message, Slow};

use crate::support::{Happened, LIMIT, Recorder, admit, connect, counted, engine};

#[test]
fn an_app_is_visited_by_whoever_has_its_handle() {
    let engine = engine(2);
    let host = engine.host(1, Recorder::echo().0);
    let visitors: Vec<_> = (0..4)
        .map(|_| {
            let host = host.clone();
            thread::spawn(move || (0..100).for_each(|_| host.visit(|app, _| app.visits += 1).unwrap()))
        })
        .collect();
    visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
    let (answer, answered) = mpsc::channel();
    host.visit(move |app, _| answer.send(app.visits).unwrap()).unwrap();
    assert_eq!(answered.recv_timeout(LIMIT), Ok(400));
}

#[test]
fn each_app_of_a_loop_is_visited_by_its_own_handle() {
    struct Other(u32);
    impl App for Other {}
    let engine = engine(1);
    let recorder = engine.host(0, Recorder::echo().0);
    let other = engine.host(0, Other(7));
    let another = engine.host(0, Other(8));
    let (answer, answered) = mpsc::channel();
    for host in [&other, &another] {
        let answer = answer.clone();
        host.visit(move |app, _| answer.send(app.0).unwrap()).unwrap();
    }
    recorder.visit(move |app, _| answer.send(app.visits).unwrap()).unwrap();
    assert_eq!(answered.iter().collect::<Vec<_>>(), [7, 8, 0]);
}

#[test]
fn a_visitor_that_panics_harms_nobody() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    host.visit(|_, _| panic!("on purpose")).unwrap();
    let (_, mut client) = connect(&host);
    client.send("still here");
    assert_eq!(client.text(), "still here");
    assert_eq!(counted(&engine, 0, |counters| counters.messages_out == 1).panics, 1);
}

#[test]
fn whoever_asks_for_an_admission_and_panics_harms_nobody() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    host.admit(Request::default(), |_| panic!("on purpose"));
    let (_, mut client) = connect(&host);
    client.send("still here");
    assert_eq!(client.text(), "still here");
    assert_eq!(engine.drain(CloseCode::GOING_AWAY, Duration::ZERO).ok(), Some(1));
}

#[test]
fn messages_of_each_thread_arrive_in_their_order() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::new(|_, _| {}).0);
    let (connection, mut client) = connect(&host);
    let senders: Vec<_> = (0..4)
        .map(|thread| {
            let connection = connection.clone();
            thread::spawn(move || {
                for number in 0..500 {
                    connection.send(Message::Text(&format!("{thread} {number}"))).unwrap();
                }
            })
        })
        .collect();
    let mut next = BTreeMap::new();
    for _ in 0..2000 {
        let text = client.text();
        let (thread, number) = text.split_once(' ').unwrap();
        let expected = next.entry(thread.to_owned()).or_insert(0);
        assert_eq!(number.parse(), Ok(*expected));
        *expected += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[test]
fn a_connection_is_closed_by_another_thread_behind_what_that_has_sent() {
    let engine = engine(1);
    let (app, record) = Recorder::echo();
    let host = engine.host(0, app);
    let (connection, mut client) = connect(&host);
    connection.send(Message::Text("last")).unwrap();
    connection.close(CloseCode::POLICY_VIOLATION, "r".repeat(200));
    assert_eq!(client.text(), "last");
    assert_eq!(client.closed(), 1008);
    client.close(1008);
    client.ends();
    assert!(record.closed(connection.id()).is_some_and(|ended| ended.is_clean()));
    // It is gone: nothing has an effect.
    connection.send(Message::Text("x")).unwrap();
    connection.close(CloseCode::NORMAL, "");
}

#[test]
fn what_waits_for_a_loop_is_limited_and_goes_on_when_it_has_room() {
    let engine = Engine::start(Settings::new().loops(1).inbox(1000)).unwrap();
    let host = engine.host(0, Recorder::echo().0);
    let (connection, mut client) = connect(&host);
    let (go_on, wait) = mpsc::channel::<()>();
    let (stands, standing) = mpsc::channel();
    host.visit(move |_, _| {
        stands.send(()).unwrap();
        let _ = wait.recv();
    })
    .unwrap();
    standing.recv_timeout(LIMIT).unwrap();
    let message = Encoded::new(Message::Text(&"x".repeat(96)));
    let fit = (0..100).take_while(|_| connection.send(Message::Text(&"x".repeat(96))) == Ok(())).count();
    assert_eq!(fit, 10, "frames of 98 bytes");
    assert_eq!(host.publish(vec![connection.id()], &message, Slow::Disconnect), Err(PostError::Full));
    // Small ones still fit, and calls are not limited.
    assert_eq!(connection.send(Message::Text("small")), Ok(()));
    host.visit(|_, _| {}).unwrap();
    drop(go_on);
    for _ in 0..10 {
        assert_eq!(client.message().len(), 96);
    }
    assert_eq!(client.text(), "small");
    // Alone, a message may be larger than all.
    assert_eq!(connection.send(Message::Text(&"y".repeat(5000))), Ok(()));
    assert_eq!(client.message().len(), 5000);
}

#[test]
fn a_message_is_encoded_once_for_the_receivers_of_several_loops() {
    let engine = engine(2);
    let hosts = engine.host_on_all(|_| Recorder::echo().0);
    let mut clients: Vec<_> = (0..10).map(|number| connect(&hosts[number % 2])).collect();
    for len in [10, 100_000] {
        let message = Encoded::new(Message::Text(&"m".repeat(len)));
        for (index, host) in hosts.iter().enumerate() {
            let to = clients.iter().skip(index).step_by(2).map(|(connection, _)| connection.id()).collect();
            host.publish(to, &message, Slow::Disconnect).unwrap();
        }
        for (_, client) in &mut clients {
            assert_eq!(client.text(), "m".repeat(len));
        }
    }
}

/// Publishes what it hears to its own connections, and has the other loop do so too.
#[derive(Default)]
struct Bridge {
    members: Arc<Mutex<Vec<ConnectionId>>>,
    other: Option<(Host, Arc<Mutex<Vec<ConnectionId>>>)>,
}

impl App for Bridge {
    fn open(&mut self, _: &mut dyn Io, id: ConnectionId) {
        self.members.lock().unwrap().push(id);
    }

    fn message(&mut self, io: &mut dyn Io, _: ConnectionId, message: Message<'_>) {
        let to = self.members.lock().unwrap().clone();
        io.publish(&mut to.into_iter(), message, Slow::Disconnect);
        let (other, members) = self.other.as_ref().unwrap();
        let to = members.lock().unwrap().clone();
        other.publish(to, &Encoded::new(message), Slow::Disconnect).unwrap();
    }
}

#[test]
fn two_loops_publish_to_each_others_connections() {
    const EACH: usize = 200;
    let engine = engine(2);
    let lists: [Arc<Mutex<Vec<ConnectionId>>>; 2] = Default::default();
    let hosts = engine.host_on_all(|index| Bridge { members: lists[index].clone(), other: None });
    for index in 0..2 {
        let other = (hosts[1 - index].untyped(), lists[1 - index].clone());
        hosts[index].visit(move |bridge, _| bridge.other = Some(other)).unwrap();
    }
    let clients: Vec<_> = (0..6).map(|number| connect(&hosts[number % 2]).1).collect();
    counted(&engine, 0, |counters| counters.opened == 3);
    counted(&engine, 1, |counters| counters.opened == 3);
    let clients: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            thread::spawn(move || {
                for message in 0..EACH {
                    client.send(&format!("{number} {message}"));
                }
                let mut next = [0; 6];
                for _ in 0..6 * EACH {
                    let text = client.text();
                    let (from, message) = text.split_once(' ').unwrap();
                    let from: usize = from.parse().unwrap();
                    assert_eq!(message, next[from].to_string());
                    next[from] += 1;
                }
                assert_eq!(next, [EACH; 6]);
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    for index in 0..2 {
        counted(&engine, index, |counters| counters.messages_out == 3 * 6 * EACH as u64);
    }
}

/// An engine whose loop is woken by the test.
fn woken_by_hand() -> (Engine, mpsc::Receiver<Wake>) {
    let (wake, wakes) = mpsc::channel();
    let settings = Settings::new().loops(1).waking(move |this| drop(wake.send(this)));
    (Engine::start(settings).unwrap(), wakes)
}

#[test]
fn posts_that_wait_for_a_wake_come_together_and_in_order() {
    let (engine, wakes) = woken_by_hand();
    let (app, record) = Recorder::new(|_, _| {});
    let host = engine.host(0, app);
    for timer in 0..10 {
        host.visit(move |_, io| io.set_timer(timer, tautline_proto::Instant::ZERO)).unwrap();
    }
    let wake = wakes.recv_timeout(LIMIT).unwrap();
    assert!(wakes.try_recv().is_err(), "one for all of them");
    assert_eq!(engine.counters()[0].turns, 0);
    drop(wake);
    for timer in 0..10 {
        assert_eq!(record.next(), Happened::Timer(timer));
    }
    drop(wakes);
}

#[test]
fn an_engine_ends_though_somebody_keeps_a_wake() {
    let (engine, wakes) = woken_by_hand();
    let host = engine.host(0, Recorder::echo().0);
    let (done, ended) = mpsc::channel();
    let ending = thread::spawn(move || {
        drop(engine);
        done.send(()).unwrap();
    });
    let result = ended.recv_timeout(LIMIT);
    drop(wakes);
    ending.join().unwrap();
    assert_eq!(result, Ok(()), "it does not wait for the one who keeps it");
    assert!(admit(&host, "/").is_err());
}

#[test]
fn handles_say_what_they_are() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let (connection, _client) = connect(&host);
    let _: Connection = host.connection(connection.id());
    for debug in
        [format!("{engine:?}"), format!("{host:?}"), format!("{connection:?}"), format!("{:?}", Settings::new())]
    {
        assert!(!debug.is_empty());
    }
    assert!(PostError::Full.to_string() != PostError::Ended.to_string());
}
