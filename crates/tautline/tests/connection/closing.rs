//! The end of a connection.

use tautline::{CloseCode, Ended, Event, Role, SendError, Settings, Violation};
use tokio::time::Instant;

use crate::support::frames::Frame;
use crate::support::sim::{QUIET, open, open_with};
use crate::support::{MS, SECOND, polled, settle, soon};
use crate::{BOTH, noise, open_narrow, text};

const NORMAL: CloseCode = CloseCode::NORMAL;

fn by_us(code: CloseCode, clean: bool) -> Ended {
    Ended::ClosedByUs { code, clean }
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_the_reply_of_the_peer() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let closing = tokio::spawn(async move { (ws.close(NORMAL, "all said").await, ws) });
        assert_eq!(peer.wait_frames(1).await, [Frame::close(1000, "all said")]);
        settle().await;
        assert!(!closing.is_finished());
        peer.send(&[Frame::close(1000, "")]);
        let (ended, ws) = soon(closing).await.unwrap();
        assert_eq!(ended, by_us(NORMAL, true));
        assert_eq!(ws.ended(), Some(ended));
    }
}

#[tokio::test(start_paused = true)]
async fn close_takes_no_longer_than_the_peer_even_right_behind_a_message() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::text("a message")]);
        soon(ws.recv()).await.unwrap();
        let start = Instant::now();
        let closing = tokio::spawn(async move { ws.close(NORMAL, "").await });
        peer.wait_close().await;
        peer.send(&[Frame::close(1000, "")]);
        soon(closing).await.unwrap();
        assert!(start.elapsed() < 10 * MS, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_when_the_peer_never_answers() {
    for role in BOTH {
        let (mut ws, peer) = open_with(role, Settings::new().protocol(QUIET.close_timeout(3 * SECOND)));
        let start = Instant::now();
        assert_eq!(ws.close(NORMAL, "").await, by_us(NORMAL, false));
        assert_eq!(start.elapsed().as_secs(), 3);
        peer.wait_dropped().await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_close_is_10_seconds_by_default() {
    let (mut ws, _peer) = open(Role::Client);
    let start = Instant::now();
    ws.close(NORMAL, "").await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_when_the_transport_takes_nothing() {
    let (mut ws, peer) = open(Role::Server);
    peer.take_only(0);
    let start = Instant::now();
    assert_eq!(ws.close(NORMAL, "").await, by_us(NORMAL, false));
    assert_eq!(start.elapsed().as_secs(), 10);
    peer.wait_dropped().await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_peer_is_answered_with_its_code_while_the_owner_does_something_else() {
    for role in BOTH {
        let (ws, peer) = open(role);
        peer.send(&[Frame::close(4321, "bye")]);
        assert_eq!(peer.wait_close().await, Frame::close(4321, ""));
        settle().await;
        let code = CloseCode::new(4321).unwrap();
        assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code, clean: true }));
        assert_eq!(ws.close_reason().as_deref(), Some("bye"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_without_code_is_answered_without_code() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::close_empty()]);
    assert_eq!(soon(ws.recv()).await, None);
    assert_eq!(peer.wait_close().await, Frame::close_empty());
    assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code: CloseCode::NO_STATUS, clean: true }));
}

#[tokio::test(start_paused = true)]
async fn both_sides_closing_at_once_is_a_clean_end_with_one_frame_from_us() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.take_only(0);
        ws.sender().start_close(NORMAL, "ours");
        peer.send(&[Frame::close(1001, "theirs")]);
        let closing = tokio::spawn(async move { ws.close(CloseCode::GOING_AWAY, "again").await });
        settle().await;
        peer.take_all();
        let ended = soon(closing).await.unwrap();
        assert!(matches!(ended, Ended::ClosedByUs { code: NORMAL, .. }), "{ended}");
        assert_eq!(peer.wait_close().await, Frame::close(1000, "ours"));
        settle().await;
        assert_eq!(peer.all_frames().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn close_after_the_peer_has_closed_tells_of_that() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::close(1001, "")]);
    assert_eq!(soon(ws.recv()).await, None);
    let ended = ws.close(NORMAL, "").await;
    assert_eq!(ended, Ended::ClosedByPeer { code: CloseCode::GOING_AWAY, clean: true });
}

#[tokio::test(start_paused = true)]
async fn close_after_the_transport_has_failed_returns_at_once() {
    let (mut ws, peer) = open(Role::Server);
    peer.reset();
    assert_eq!(soon(ws.recv()).await, None);
    let start = Instant::now();
    assert_eq!(ws.close(NORMAL, "").await, Ended::TransportFailed);
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_ends_instead_of_an_answer_ends_close() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let start = Instant::now();
        let closing = tokio::spawn(async move { ws.close(NORMAL, "").await });
        peer.wait_close().await;
        peer.end();
        assert_eq!(soon(closing).await.unwrap(), by_us(NORMAL, false));
        assert!(start.elapsed() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_goes_before_the_close_frame() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.take_only(0);
        ws.feed("first").await.unwrap();
        ws.send(noise(10_000)).await.unwrap();
        ws.feed("last").await.unwrap();
        let closing = tokio::spawn(async move { ws.close(NORMAL, "").await });
        settle().await;
        peer.take_all();
        let frames = peer.wait_frames(4).await;
        assert_eq!(frames[..2], [Frame::text("first"), Frame::binary(noise(10_000))]);
        assert_eq!(frames[2..], [Frame::text("last"), Frame::close(1000, "")]);
        closing.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_sent_once_closing_has_begun() {
    let (mut ws, peer) = open(Role::Server);
    ws.sender().start_close(NORMAL, "");
    assert_eq!(ws.send("x").await, Err(SendError::Closed));
    assert_eq!(ws.feed("x").await, Err(SendError::Closed));
    assert_eq!(ws.ping().await, Err(SendError::Closed));
    assert_eq!(ws.begin(tautline::Kind::Text).await.map(drop), Err(SendError::Closed));
    assert_eq!(peer.wait_frames(1).await, [Frame::close(1000, "")]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_the_peer_sent_before_its_reply_still_arrive() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    let closing = tokio::spawn(async move { sender.close(NORMAL, "").await });
    peer.wait_close().await;
    peer.send(&[Frame::text("on its way"), Frame::close(1000, "")]);
    assert_eq!(soon(receiver.recv()).await, text("on its way"));
    assert_eq!(soon(receiver.recv()).await, None);
    assert_eq!(soon(closing).await.unwrap(), by_us(NORMAL, true));
}

/// The peer goes on sending after our close frame, and nobody receives meanwhile.
#[tokio::test(start_paused = true)]
async fn of_more_than_is_kept_while_we_close_the_beginning_arrives_without_holes() {
    let (ws, peer) = open(Role::Client);
    let (sender, mut receiver) = ws.split();
    let closing = tokio::spawn(async move { sender.close(NORMAL, "").await });
    peer.wait_close().await;
    let message = |number: usize| format!("{number:0>1000}");
    for number in 0..200 {
        peer.send(&[Frame::text(message(number))]);
        settle().await;
    }
    peer.send(&[Frame::close(1000, "")]);
    assert_eq!(soon(closing).await.unwrap(), by_us(NORMAL, true));
    let mut received = 0;
    while let Some(next) = soon(receiver.recv()).await {
        assert_eq!(next.as_text(), Some(&*message(received)));
        received += 1;
    }
    assert!((60..200).contains(&received), "{received}");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_middle_is_not_kept_while_we_close_does_not_arrive() {
    let (mut ws, peer) = open(Role::Client);
    peer.send(&[Frame::text("first")]);
    assert!(matches!(soon(ws.recv_event()).await, Some(Event::Data(_))));
    let frame = Frame::text("\u{e9}".repeat(100_000)).bytes(Role::Server);
    // Cut in a character, whose other half comes with what is not kept.
    let (first, rest) = frame.split_at(frame.len() - 150_001);
    peer.send_bytes(first);
    assert_eq!(polled(1, ws.recv()).await, None, "it is not whole");
    ws.sender().start_close(NORMAL, "");
    peer.wait_close().await;
    for part in rest.chunks(10_000) {
        peer.send_bytes(part);
        settle().await;
    }
    peer.send(&[Frame::close(1000, "")]);
    assert_eq!(soon(ws.recv()).await, None);
    assert_eq!(ws.ended(), Some(by_us(NORMAL, true)));
}

#[tokio::test(start_paused = true)]
async fn messages_that_were_received_ahead_outlive_the_end() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::text("one"), Frame::text("two"), Frame::close(1000, "")]);
    peer.wait_close().await;
    peer.wait_dropped().await;
    assert_eq!(soon(ws.recv()).await, text("one"));
    assert_eq!(soon(ws.recv()).await, text("two"));
    assert_eq!(soon(ws.recv()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_is_cut_at_a_character() {
    let (ws, peer) = open(Role::Server);
    ws.sender().start_close(NORMAL, &"\u{e4}".repeat(100));
    assert_eq!(peer.wait_close().await, Frame::close(1000, &"\u{e4}".repeat(61)));
}

#[tokio::test(start_paused = true)]
async fn codes_that_are_never_sent_are_left_out() {
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
        let (ws, peer) = open(Role::Server);
        ws.sender().start_close(code, "reason");
        assert_eq!(peer.wait_close().await, Frame::close_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_ends_the_transport_right_after_the_handshake_and_a_client_waits_for_it() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let start = Instant::now();
        let closing = tokio::spawn(async move { ws.close(NORMAL, "").await });
        peer.wait_close().await;
        peer.send(&[Frame::close(1000, "")]);
        soon(closing).await.unwrap();
        settle().await;
        if role == Role::Client {
            assert!(!peer.state().dropped && !peer.state().shutdown, "RFC 6455 7.1.1: the server is first");
            peer.end();
        }
        peer.wait_dropped().await;
        assert!(peer.state().shutdown);
        assert!(start.elapsed() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_wait_for_ever_for_the_end_of_the_transport() {
    let (mut ws, peer) = open(Role::Client);
    let closing = tokio::spawn(async move { ws.close(NORMAL, "").await });
    peer.wait_close().await;
    peer.send(&[Frame::close(1000, "")]);
    soon(closing).await.unwrap();
    let start = Instant::now();
    peer.wait_dropped().await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

// ---- dropping ----

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_with_1001() {
    for role in BOTH {
        let (ws, peer) = open(role);
        let (sender, receiver) = ws.split();
        let clone = sender.clone();
        drop(receiver);
        drop(sender);
        settle().await;
        assert_eq!(peer.frames(), []);
        drop(clone);
        assert_eq!(peer.wait_close().await, Frame::close(1001, ""));
        peer.send(&[Frame::close(1001, "")]);
        peer.end();
        peer.wait_dropped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_last_handle_was_dropped_arrives() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.take_only(0);
        ws.send("sent").await.unwrap();
        ws.feed("fed").await.unwrap();
        drop(ws);
        settle().await;
        peer.take_all();
        let frames = peer.wait_frames(3).await;
        assert_eq!(frames, [Frame::text("sent"), Frame::text("fed"), Frame::close(1001, "")]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_watch_does_not_keep_the_connection_open_but_tells_of_its_end() {
    let (ws, peer) = open(Role::Server);
    let watch = ws.end_watch();
    assert_eq!(watch.ended(), None);
    drop(ws);
    peer.wait_close().await;
    peer.send(&[Frame::close(1001, "")]);
    peer.wait_dropped().await;
    assert_eq!(watch.ended(), Some(by_us(CloseCode::GOING_AWAY, true)));
}

#[tokio::test(start_paused = true)]
async fn data_that_comes_after_the_last_handle_was_dropped_is_discarded_and_the_close_frame_found() {
    let (ws, peer) = open(Role::Client);
    drop(ws);
    peer.wait_close().await;
    for _ in 0..100 {
        peer.send(&[Frame::binary(noise(10_000))]);
    }
    peer.send(&[Frame::close(1001, "")]);
    peer.end();
    peer.wait_dropped().await;
    assert_eq!(peer.unread(), 0);
}

// ---- violations ----

#[tokio::test(start_paused = true)]
async fn after_a_violation_our_side_is_shut_and_the_rest_discarded_until_the_peer_ends() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.send(&[Frame::more("wrong")]);
        assert_eq!(soon(ws.recv()).await, None);
        peer.until(|state| state.shutdown).await;
        assert_eq!(peer.all_frames()[0].code(), Some(1002));
        for _ in 0..50 {
            peer.send_bytes(noise(10_000));
            settle().await;
        }
        assert_eq!(peer.unread(), 0, "closing with unread input would reset the connection");
        assert!(!peer.state().dropped);
        peer.end();
        peer.wait_dropped().await;
        assert_eq!(peer.all_frames().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_violation_nobody_waits_for_ever_for_the_end() {
    let (mut ws, peer) = open(Role::Server);
    peer.send(&[Frame::more("wrong")]);
    assert_eq!(soon(ws.recv()).await, None);
    let start = Instant::now();
    peer.wait_dropped().await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_found_while_the_owner_does_something_else() {
    let (ws, peer) = open(Role::Server);
    peer.send(&[Frame::more("wrong")]);
    assert_eq!(peer.wait_close().await.code(), Some(1002));
    assert_eq!(ws.ended(), Some(Ended::Violation(Violation::UnexpectedContinuation)));
}

#[tokio::test(start_paused = true)]
async fn after_a_violation_what_was_queued_goes_before_the_close_frame() {
    let (mut ws, peer) = open(Role::Server);
    peer.take_only(100);
    ws.send(noise(5_000)).await.unwrap();
    ws.send("waits").await.unwrap();
    peer.send(&[Frame::more("wrong")]);
    let receiving = tokio::spawn(async move { (ws.recv().await, ws.ended()) });
    settle().await;
    peer.take_all();
    let frames = peer.wait_frames(3).await;
    assert_eq!(frames[..2], [Frame::binary(noise(5_000)), Frame::text("waits")]);
    assert_eq!(frames[2].code(), Some(1002));
    let violation = Ended::Violation(Violation::UnexpectedContinuation);
    assert_eq!(soon(receiving).await.unwrap(), (None, Some(violation)));
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_learn_of_the_end() {
    let (ws, peer) = open_narrow(Role::Server, 0);
    peer.take_only(0);
    ws.sender().send("fills the queue").await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let sender = ws.sender();
            tokio::spawn(async move { sender.send("no room").await })
        })
        .collect();
    settle().await;
    peer.reset();
    for send in waiting {
        assert_eq!(soon(send).await.unwrap(), Err(SendError::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_write_ends_the_connection() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.fail_writes(std::io::ErrorKind::BrokenPipe);
        let _ = ws.send("x").await;
        assert_eq!(soon(ws.recv()).await, None);
        assert_eq!(ws.ended(), Some(Ended::TransportFailed));
        assert_eq!(ws.send("y").await, Err(SendError::Closed));
        peer.wait_dropped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn flush_fails_when_what_was_queued_could_not_be_written() {
    let (mut ws, peer) = open(Role::Server);
    ws.feed("lost").await.unwrap();
    peer.fail_writes(std::io::ErrorKind::BrokenPipe);
    assert_eq!(ws.flush().await, Err(SendError::Closed));
}

#[tokio::test]
async fn the_end_of_the_runtime_ends_the_connection() {
    let (sent, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts = runtime.block_on(async { open(Role::Server) });
        drop(runtime);
        sent.send(parts).unwrap();
    });
    let (mut ws, peer) = received.recv().unwrap();
    assert!(peer.state().dropped);
    assert_eq!(ws.recv().await, None);
    assert_eq!(ws.send("x").await, Err(SendError::Closed));
}
