//! Messages sent in fragments.

use tautline::{Kind, Role, SendError};

use crate::support::frames::Frame;
use crate::support::sim::open;
use crate::support::{polled, settle, soon};
use crate::{BOTH, noise};

#[tokio::test(start_paused = true)]
async fn each_piece_is_a_fragment_and_leaves_at_once() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let mut writer = ws.begin(Kind::Text).await.unwrap();
        assert_eq!(peer.all_frames(), []);
        // Cut inside a character.
        let pieces = [&b"h\xc3"[..], b"\xa9llo", b""];
        let mut expected = vec![Frame::text(pieces[0]).unfinished()];
        writer.write(pieces[0]).await.unwrap();
        assert_eq!(peer.all_frames(), expected);
        for piece in &pieces[1..] {
            writer.write(*piece).await.unwrap();
            expected.push(Frame::more(piece).unfinished());
            assert_eq!(peer.all_frames(), expected);
        }
        writer.finish("!").await.unwrap();
        expected.push(Frame::more("!"));
        assert_eq!(peer.all_frames(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_one_piece_is_one_frame() {
    let (mut ws, peer) = open(Role::Server);
    ws.begin(Kind::Binary).await.unwrap().finish("whole").await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::binary("whole")]);
}

#[tokio::test(start_paused = true)]
async fn large_pieces_are_gathered_with_their_headers() {
    let (mut ws, peer) = open(Role::Server);
    let mut writer = ws.begin(Kind::Binary).await.unwrap();
    writer.write(noise(100_000)).await.unwrap();
    writer.finish(noise(50_000)).await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::binary(noise(100_000)).unfinished(), Frame::more(noise(50_000))]);
    assert_eq!(peer.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn other_messages_wait_until_it_is_finished() {
    for role in BOTH {
        let (ws, peer) = open(role);
        let mut writer = ws.sender().begin(Kind::Text).await.unwrap();
        let sender = ws.sender();
        let sending = tokio::spawn(async move { sender.send("other").await });
        let sender = ws.sender();
        let feeding = tokio::spawn(async move {
            sender.feed("another").await?;
            sender.flush().await
        });
        let sender = ws.sender();
        let beginning = tokio::spawn(async move { sender.begin(Kind::Text).await?.finish("third").await });
        settle().await;
        writer.write("a").await.unwrap();
        settle().await;
        assert!(!sending.is_finished() && !feeding.is_finished() && !beginning.is_finished());
        writer.finish("b").await.unwrap();
        for task in [sending, feeding, beginning] {
            soon(task).await.unwrap().unwrap();
        }
        let frames = peer.wait_frames(5).await;
        assert_eq!(frames[..2], [Frame::text("a").unfinished(), Frame::more("b")]);
        for frame in ["other", "another", "third"].map(Frame::text) {
            assert!(frames[2..].contains(&frame), "{frames:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_it_unfinished_closes_with_1011() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        let mut writer = ws.begin(Kind::Text).await.unwrap();
        writer.write("half").await.unwrap();
        let sender = ws.sender();
        let waiting = tokio::spawn(async move { sender.send("waits").await });
        settle().await;
        drop(writer);
        assert_eq!(peer.wait_close().await.code(), Some(1011));
        assert_eq!(peer.all_frames()[0], Frame::text("half").unfinished());
        assert_eq!(soon(waiting).await.unwrap(), Err(SendError::Closed));
        assert_eq!(ws.send("x").await, Err(SendError::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_it_before_the_first_piece_does_nothing() {
    let (mut ws, peer) = open(Role::Server);
    drop(ws.begin(Kind::Text).await.unwrap());
    ws.send("next").await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::text("next")]);
}

#[tokio::test(start_paused = true)]
async fn pieces_wait_for_room_too() {
    let (ws, peer) = crate::open_narrow(Role::Server, 100);
    peer.take_only(0);
    let mut writer = ws.sender().begin(Kind::Binary).await.unwrap();
    writer.write(noise(200)).await.unwrap();
    assert!(polled(1, writer.write("x")).await.is_none());
    peer.take_all();
    soon(writer.write("y")).await.unwrap();
    soon(writer.finish("z")).await.unwrap();
    let expected = [Frame::binary(noise(200)).unfinished(), Frame::more("y").unfinished(), Frame::more("z")];
    assert_eq!(peer.all_frames(), expected);
}

#[tokio::test(start_paused = true)]
async fn it_learns_of_the_end() {
    let (mut ws, peer) = open(Role::Server);
    let mut writer = ws.begin(Kind::Binary).await.unwrap();
    writer.write("x").await.unwrap();
    peer.send(&[Frame::close(1000, "")]);
    peer.wait_close().await;
    assert_eq!(writer.write("y").await, Err(SendError::Closed));
    assert_eq!(writer.finish("z").await, Err(SendError::Closed));
    drop(ws);
}
