//! The ring, call by call.

use super::*;

fn values(heard: Option<Heard>) -> Vec<String> {
    let Some(Heard::Events(events)) = heard else { panic!("{heard:?}") };
    events.iter().map(|event| event.data.clone()).collect()
}

fn told(name: &str, value: i64) -> String {
    format!(r#"{{"name":"{name}","value":{value}}}"#)
}

#[test]
fn nothing_is_kept_while_nobody_listens() {
    let events = Events::default();
    assert!(!events.wanted());
    events.counter("x", 1);
    let (mut listener, start) = events.listen(Filter::default(), None).unwrap();
    assert!(start == Start::Now && events.wanted());
    assert!(listener.take().is_none());
    events.counter("x", 2);
    assert_eq!(values(listener.take()), [told("x", 2)]);
    drop(listener);
    assert!(events.wanted(), "it may come back");
    events.ring().alone_since = Some(Instant::now() - GRACE - Duration::from_secs(1));
    events.counter("x", 3);
    assert!(!events.wanted() && events.ring().events.is_empty());
}

#[test]
fn a_listener_goes_on_where_it_stopped_or_is_told_that_it_cannot() {
    let events = Events::default();
    let listen = |last: &str| events.listen(Filter::default(), Some(last)).unwrap();
    let (first, _) = events.listen(Filter::default(), None).unwrap();
    let id = first.id();
    drop(first);
    events.counter("x", 1);
    let (mut again, start) = listen(&id);
    assert_eq!((start, values(again.take())), (Start::Resumed, vec![told("x", 1)]));
    for bad in ["", "x", "0-0", &format!("{id}x"), &events.id(99)] {
        assert_eq!(listen(bad).1, Start::Gap, "{bad}");
    }
    for value in 0..=KEPT as i64 {
        events.counter("x", value);
    }
    assert_eq!(listen(&id).1, Start::Gap, "the ring has moved on");
    drop(again);
    events.ring().alone_since = None;
    let id = events.id(events.ring().last);
    events.counter("x", 0);
    assert_eq!(listen(&id).1, Start::Gap, "nobody listened meanwhile");
}

#[test]
fn a_listener_that_is_too_slow_is_told_so() {
    let events = Events::default();
    let (mut slow, _) = events.listen(Filter::default(), None).unwrap();
    let large = format!("\"{}\"", "x".repeat(LARGEST));
    for offset in 0..20 {
        events.message(&"lab".into(), offset, Some(&large));
    }
    assert!(events.ring().bytes <= KEPT_BYTES);
    assert!(matches!(slow.take(), Some(Heard::TooSlow)));
}

#[test]
fn filters_are_by_room_and_kind() {
    let events = Events::default();
    let listen = |rooms: Option<&str>, kinds: Option<Kind>| {
        let rooms = rooms.map(|room| vec![room.to_owned()]);
        events.listen(Filter { rooms, kinds: kinds.map(|kind| vec![kind]), ..Filter::default() }, None).unwrap().0
    };
    let (mut lab, mut counters) = (listen(Some("lab"), None), listen(None, Some(Kind::Counter)));
    events.connected(&"lab".into(), "esp", None);
    events.connected(&"else".into(), "esp", None);
    events.counter("lab", 7);
    assert_eq!(values(lab.take()), [r#"{"room":"lab","client":"esp","address":null}"#]);
    assert_eq!(values(counters.take()), [told("lab", 7)]);
    assert_eq!(lab.id(), counters.id(), "what is not for them is behind them too");
}

#[tokio::test]
async fn listeners_hear_of_events_and_of_the_end() {
    let events = Events::default();
    let (mut listener, _) = events.listen(Filter::default(), None).unwrap();
    let listening = tokio::spawn(async move { (listener.next().await, listener.next().await) });
    tokio::task::yield_now().await;
    events.counter("x", 1);
    tokio::task::yield_now().await;
    events.close();
    let (first, second) = listening.await.unwrap();
    assert!(matches!((first, second), (Heard::Events(_), Heard::Closed)));
    let listeners: Vec<_> = std::iter::from_fn(|| events.listen(Filter::default(), None).ok()).collect();
    assert_eq!(listeners.len(), LISTENERS);
}
