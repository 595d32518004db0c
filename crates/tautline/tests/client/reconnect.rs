//! The client that comes back, in virtual time.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tautline::{Backoff, CloseCode, ConnectError, Ended, Interruption, Reconnecting, UriError, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::{SECOND, accept, listen, read_head};

/// What a scripted server does with a connection.
#[derive(Clone)]
enum Step {
    /// Answers with these bytes, and closes.
    Answer(&'static str),
    /// Accepts, after a while.
    Slow(Duration),
    /// Accepts, sends these bytes after a while, and closes.
    Open(Duration, &'static [u8]),
}

/// A server that does one step for each connection, the last one for ever; answers how many there were.
async fn scripted(steps: Vec<Step>) -> (String, Arc<AtomicU32>) {
    let (listener, uri) = listen().await;
    let connections = Arc::new(AtomicU32::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let index = counter.fetch_add(1, Ordering::Relaxed) as usize;
            tokio::spawn(play(stream, steps[index.min(steps.len() - 1)].clone()));
        }
    });
    (uri, connections)
}

async fn play(mut stream: TcpStream, step: Step) -> io::Result<()> {
    let head = read_head(&mut stream).await;
    match step {
        Step::Answer(answer) => stream.write_all(answer.as_bytes()).await?,
        Step::Slow(delay) => {
            sleep(delay).await;
            stream.write_all(accept(&head, "").as_bytes()).await?;
            stream.read_u8().await?;
        }
        Step::Open(delay, bytes) => {
            stream.write_all(accept(&head, "").as_bytes()).await?;
            sleep(delay).await;
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
        }
    }
    Ok(())
}

const REFUSE: Step = Step::Answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
const STAY: Step = Step::Open(Duration::from_secs(1_000_000), b"");

fn close_with(frame: &'static [u8; 4]) -> Step {
    Step::Open(Duration::ZERO, frame)
}

/// Notes for each retry its number, its delay, and when it was announced.
type Log = Arc<Mutex<Vec<(u32, Duration, Instant)>>>;

fn logged(link: Reconnecting) -> (Reconnecting, Log) {
    let log = Log::default();
    let notes = log.clone();
    (link.on_retry(move |retry| notes.lock().unwrap().push((retry.attempt, retry.delay, Instant::now()))), log)
}

#[tokio::test(start_paused = true)]
async fn waits_are_random_within_a_doubling_bound() {
    let (uri, connections) = scripted(vec![REFUSE]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    let start = Instant::now();
    assert!(timeout(1200 * SECOND, link.next()).await.is_err());
    let log = log.lock().unwrap();
    assert!(log.len() > 20, "{log:?}");
    assert!(connections.load(Ordering::Relaxed).abs_diff(log.len() as u32) <= 1);
    for (index, &(attempt, delay, at)) in log.iter().enumerate() {
        assert_eq!(attempt as usize, index + 1);
        assert!(delay <= SECOND * (1 << index.min(10)).min(60), "{attempt}: {delay:?}");
        let due = if index == 0 { start } else { log[index - 1].2 + log[index - 1].1 };
        assert!(at >= due && at - due < Duration::from_millis(100), "{attempt} came {:?} late", at - due);
    }
    let spread = log.iter().filter(|(attempt, delay, _)| *attempt > 7 && *delay < 30 * SECOND).count();
    assert!(spread > 0 && spread + 7 < log.len(), "jitter has to cover both halves of the range: {log:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let full = Step::Answer("HTTP/1.1 503 Full\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n");
    let (uri, _) = scripted(vec![full, STAY]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    let start = Instant::now();
    assert!(link.next().await.is_some());
    assert!((90..=91).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn close_codes_decide_whether_to_come_back() {
    for (frame, comes_back) in [
        (b"\x88\x02\x03\xe8", false), // 1000
        (b"\x88\x02\x03\xe9", true),  // 1001
        (b"\x88\x02\x03\xf0", false), // 1008
        (b"\x88\x02\x03\xf1", false), // 1009
        (b"\x88\x02\x03\xf3", true),  // 1011
        (b"\x88\x02\x03\xf4", true),  // 1012
        (b"\x88\x02\x03\xf5", true),  // 1013
        (b"\x88\x02\x0f\xa1", false), // 4001
        (b"\x88\x02\x0f\xa2", true),  // 4002
    ] {
        let (uri, _) = scripted(vec![close_with(frame), STAY]).await;
        let mut link = connect(&uri).reconnecting();
        let mut ws = link.next().await.unwrap();
        assert_eq!(ws.recv().await, None);
        let code = CloseCode::new(u16::from_be_bytes([frame[2], frame[3]])).unwrap();
        assert_eq!(link.next().await.is_some(), comes_back, "{code}");
        assert_eq!(link.stopped().is_some(), !comes_back, "{code}");
        if let Some(cause) = link.stopped() {
            assert!(matches!(cause, Interruption::Ended(Ended::ClosedByPeer { code: found, .. }) if *found == code));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again() {
    let (uri, connections) = scripted(vec![Step::Open(SECOND, b""), STAY]).await;
    let mut link = connect(&uri).reconnecting();
    while link.next().await.unwrap().recv().await.is_some() {}
    assert!(link.next().await.is_some());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_program_ended_is_opened_again() {
    let (uri, connections) = scripted(vec![STAY]).await;
    let mut link = connect(&uri).reconnecting();
    drop(link.next().await.unwrap());
    let mut ws = link.next().await.unwrap();
    ws.close(CloseCode::NORMAL, "").await;
    assert!(link.next().await.is_some());
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_stops_and_retry_now_starts_again() {
    let denied = Step::Answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let (uri, connections) = scripted(vec![denied, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    assert!(link.next().await.is_none());
    assert!(link.next().await.is_none());
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let Some(Interruption::NotOpened(ConnectError::Refused(refusal))) = link.stopped() else { panic!("{link:?}") };
    assert_eq!(refusal.status().as_u16(), 401);
    link.retry_now();
    assert!(link.stopped().is_none());
    assert!(link.next().await.is_some());
}

#[tokio::test]
async fn an_invalid_uri_is_not_tried_for_ever() {
    let mut link = connect("wss:/h").reconnecting();
    assert!(link.next().await.is_none());
    assert!(matches!(link.stopped(), Some(Interruption::NotOpened(ConnectError::InvalidUri(UriError::NoScheme)))));
}

#[tokio::test(start_paused = true)]
async fn a_stable_connection_resets_the_growth() {
    let held = Step::Open(31 * SECOND, b"");
    let (uri, _) = scripted(vec![REFUSE, REFUSE, REFUSE, REFUSE, REFUSE, REFUSE, held, STAY]).await;
    let (mut link, log) = logged(connect(&uri).reconnecting());
    assert_eq!(link.next().await.unwrap().recv().await, None);
    assert!(link.next().await.is_some());
    let log = log.lock().unwrap();
    assert_eq!(log.iter().map(|(attempt, ..)| *attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 1]);
    assert!(log[6].1 <= SECOND, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unstable_connection_does_not_reset_the_growth() {
    let flapping = Step::Open(Duration::ZERO, b"");
    let (uri, _) = scripted(vec![flapping]).await;
    let bounds = Backoff::new(SECOND, 1000 * SECOND, 30 * SECOND);
    let (mut link, log) = logged(connect(&uri).reconnecting().backoff(bounds));
    for _ in 0..12 {
        assert_eq!(link.next().await.unwrap().recv().await, None);
    }
    let longest = log.lock().unwrap().iter().map(|(_, delay, _)| *delay).max().unwrap();
    assert!(longest > 10 * SECOND, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_cancelled_goes_on() {
    let full = Step::Answer("HTTP/1.1 429 Slow down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    let (uri, connections) = scripted(vec![full, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    let start = Instant::now();
    let mut cancelled = 0;
    while timeout(7 * SECOND, link.next()).await.is_err() {
        cancelled += 1;
        sleep(SECOND).await;
    }
    assert!(cancelled >= 7, "{cancelled}");
    assert!((60..=62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_cancelled_goes_on() {
    let (uri, connections) = scripted(vec![Step::Slow(5 * SECOND)]).await;
    let mut link = connect(&uri).reconnecting();
    let mut cancelled = 0;
    while timeout(SECOND, link.next()).await.is_err() {
        cancelled += 1;
    }
    assert!((4..=5).contains(&cancelled), "{cancelled}");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_now_ends_a_wait() {
    let full = Step::Answer("HTTP/1.1 503 Full\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n");
    let (uri, _) = scripted(vec![full, STAY]).await;
    let mut link = connect(&uri).reconnecting();
    let start = Instant::now();
    assert!(timeout(SECOND, link.next()).await.is_err());
    link.retry_now();
    assert!(link.next().await.is_some());
    assert!(start.elapsed() < 3 * SECOND);
}
