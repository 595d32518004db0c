//! One message to many connections.

use std::sync::Arc;

use tautline::{CloseCode, Delivery, Ended, Group, Kind, Message, Published, Role, Slow, WebSocket};

use crate::support::frames::Frame;
use crate::support::sim::{Peer, open};
use crate::support::soon;
use crate::{noise, open_narrow};

/// Delivered to so many.
fn sent(sent: u64) -> Delivery {
    Delivery { sent, ..Delivery::default() }
}

/// A message that takes 50 bytes on a server's wire.
fn fifty(n: usize) -> String {
    format!("{n:048}")
}

/// A member that takes no more than `room` bytes, and has a send queue of 100.
fn slow(policy: Slow, room: usize) -> (Arc<Group>, WebSocket, Peer) {
    let group = Arc::new(Group::new(policy));
    let (ws, peer) = open_narrow(Role::Server, 100);
    peer.take_only(room);
    (group, ws, peer)
}

#[tokio::test(start_paused = true)]
async fn every_member_gets_every_message_in_order() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let members: Vec<_> = (0..3)
        .map(|_| {
            let (ws, peer) = open(Role::Server);
            (group.join(&ws.sender()), ws, peer)
        })
        .collect();
    assert_eq!(group.len(), 3);
    let messages: Vec<_> = (0..10).map(|n| noise(n * n * 100)).collect();
    for message in &messages {
        assert_eq!(group.publish(message.clone()), sent(3));
    }
    assert_eq!(group.total(), sent(30));
    for (_, _, peer) in &members {
        assert_eq!(peer.all_frames(), messages.iter().map(Frame::binary).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn publish_except_leaves_one_member_out() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (first, first_peer) = open(Role::Server);
    let (second, second_peer) = open(Role::Server);
    let membership = group.join(&first.sender());
    let _second = group.join(&second.sender());
    assert_eq!(group.publish_except(&membership, "others"), sent(1));
    assert_eq!(first_peer.all_frames(), []);
    assert_eq!(second_peer.all_frames(), [Frame::text("others")]);
}

#[tokio::test(start_paused = true)]
async fn who_has_left_gets_nothing() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    assert!(group.is_empty());
    let (ws, peer) = open(Role::Server);
    let membership = group.join(&ws.sender());
    drop(membership);
    assert!(group.is_empty());
    assert_eq!(group.publish("nobody"), Delivery::default());
    assert_eq!(peer.all_frames(), []);
}

#[tokio::test(start_paused = true)]
async fn the_last_membership_of_a_dropped_connection_closes_it() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (ws, peer) = open(Role::Server);
    let membership = group.join(&ws.sender());
    drop(ws);
    group.publish("still a member");
    drop(membership);
    assert_eq!(peer.wait_frames(2).await, [Frame::text("still a member"), Frame::close(1001, "")]);
}

#[tokio::test(start_paused = true)]
async fn closed_members_are_counted() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (ws, peer) = open(Role::Server);
    let _membership = group.join(&ws.sender());
    peer.send(&[Frame::close(1000, "")]);
    peer.wait_close().await;
    assert_eq!(group.publish("too late"), Delivery { closed: 1, ..Delivery::default() });
    assert_eq!(peer.all_frames().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn published_and_sent_messages_keep_their_order() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (mut ws, peer) = open(Role::Server);
    let _membership = group.join(&ws.sender());
    group.publish("1");
    ws.send("2").await.unwrap();
    ws.feed("3").await.unwrap();
    group.publish("4");
    ws.send("5").await.unwrap();
    assert_eq!(peer.all_frames(), ["1", "2", "3", "4", "5"].map(Frame::text));
}

#[tokio::test(start_paused = true)]
async fn a_published_message_is_one_buffer_however_large() {
    let (ws, peer) = open(Role::Server);
    let message = Published::new(noise(1 << 20));
    for count in 1..=3 {
        assert_eq!(ws.sender().publish(&message, Slow::Disconnect), sent(1));
        assert_eq!(peer.writes(), count);
        assert_eq!(peer.state().writes[count - 1].slices, 1, "header and payload were encoded once");
    }
    assert_eq!(peer.all_frames(), vec![Frame::binary(noise(1 << 20)); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_a_member_and_masks_what_it_sends() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (client, client_peer) = open(Role::Client);
    let (server, server_peer) = open(Role::Server);
    let _memberships = [group.join(&client.sender()), group.join(&server.sender())];
    let messages = [Message::text("small"), Message::binary(noise(10_000))];
    for message in messages {
        assert_eq!(group.publish(message), sent(2));
    }
    let expected = [Frame::text("small"), Frame::binary(noise(10_000))];
    assert_eq!(client_peer.all_frames(), expected);
    assert_eq!(server_peer.all_frames(), expected);
}

// ---- slow members ----

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_disconnected_with_1013() {
    let (group, ws, peer) = slow(Slow::Disconnect, 0);
    let _membership = group.join(&ws.sender());
    assert_eq!(group.publish(fifty(0)), sent(1));
    assert_eq!(group.publish(fifty(1)), sent(1));
    let disconnected = Delivery { disconnected: 1, ..Delivery::default() };
    assert_eq!(group.publish(fifty(2)), disconnected);
    let closed = Delivery { closed: 1, ..Delivery::default() };
    assert_eq!(group.publish(fifty(3)), closed);
    assert_eq!(group.total(), sent(2) + disconnected + closed);
    peer.take_all();
    let frames = peer.wait_frames(3).await;
    assert_eq!(frames[..2], [fifty(0), fifty(1)].map(Frame::text), "what was counted as sent is sent");
    assert_eq!(frames[2].code(), Some(1013));
    peer.send(&[Frame::close(1013, "")]);
    peer.wait_dropped().await;
    assert_eq!(ws.ended(), Some(Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: true }));
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_does_not_hold_up_the_others() {
    let (group, ws, _peer) = slow(Slow::Disconnect, 0);
    let (fast, fast_peer) = open(Role::Server);
    let _memberships = [group.join(&ws.sender()), group.join(&fast.sender())];
    let mut total = Delivery::default();
    for n in 0..10 {
        total += group.publish(fifty(n));
    }
    assert_eq!(total, Delivery { sent: 12, dropped: 0, disconnected: 1, closed: 7 });
    assert_eq!(fast_peer.all_frames().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_keeps_the_newest_and_counts_exactly() {
    for room in [0, 1, 49, 50, 51, 99, 150, 175] {
        let (group, ws, peer) = slow(Slow::DropOldest, room);
        let _membership = group.join(&ws.sender());
        let mut total = Delivery::default();
        for n in 0..20 {
            let delivery = group.publish(fifty(n));
            assert_eq!((delivery.disconnected, delivery.closed), (0, 0));
            total += delivery;
            assert!(ws.sender().queued() <= 150);
        }
        assert_eq!(group.total(), total);
        assert_eq!(total.sent, 20, "every new one found room");
        peer.take_all();
        soon(ws.sender().flush()).await.unwrap();
        let frames = peer.all_frames();
        assert_eq!(frames.len() as u64, 20 - total.dropped);
        // What had left or begun to leave, then the newest ones.
        let whole = room.div_ceil(50);
        let expected = (0..whole).chain(20 - (frames.len() - whole)..20).map(|n| Frame::text(fifty(n)));
        assert_eq!(frames, expected.collect::<Vec<_>>(), "room for {room}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_latest_keeps_the_latest_and_counts_exactly() {
    for room in [0, 1, 50, 75] {
        let (group, ws, peer) = slow(Slow::KeepLatest, room);
        let _membership = group.join(&ws.sender());
        let mut total = Delivery::default();
        for n in 0..21 {
            total += group.publish(fifty(n));
            assert!(ws.sender().queued() <= 150);
        }
        assert_eq!(total.sent, 21);
        peer.take_all();
        soon(ws.sender().flush()).await.unwrap();
        let frames = peer.all_frames();
        assert_eq!(frames.len() as u64, 21 - total.dropped);
        assert_eq!(frames.last(), Some(&Frame::text(fifty(20))));
        assert!(frames.len() <= 4, "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_sent_is_not_dropped() {
    for policy in [Slow::DropOldest, Slow::KeepLatest] {
        let (group, mut ws, peer) = slow(policy, 0);
        let _membership = group.join(&ws.sender());
        ws.send(fifty(0)).await.unwrap();
        for n in 1..5 {
            group.publish(fifty(n));
        }
        peer.take_all();
        soon(ws.flush()).await.unwrap();
        assert_eq!(peer.all_frames(), [fifty(0), fifty(4)].map(Frame::text));
    }
    // A queue that is full of the owner's messages has no room for published ones.
    let (group, mut ws, peer) = slow(Slow::DropOldest, 0);
    let _membership = group.join(&ws.sender());
    ws.send(noise(200)).await.unwrap();
    assert_eq!(group.publish(fifty(0)), Delivery { dropped: 1, ..Delivery::default() });
    peer.take_all();
    ws.flush().await.unwrap();
    assert_eq!(peer.all_frames(), [Frame::binary(noise(200))]);
}

#[tokio::test(start_paused = true)]
async fn a_member_in_the_middle_of_a_fragmented_message_misses_what_is_published() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (mut ws, peer) = open(Role::Server);
    let _membership = group.join(&ws.sender());
    let mut writer = ws.begin(Kind::Text).await.unwrap();
    writer.write("a").await.unwrap();
    assert_eq!(group.publish("missed"), Delivery { dropped: 1, ..Delivery::default() });
    writer.finish("b").await.unwrap();
    assert_eq!(group.publish("there"), sent(1));
    assert_eq!(peer.all_frames(), [Frame::text("a").unfinished(), Frame::more("b"), Frame::text("there")]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_catches_up_gets_everything_again() {
    let (group, ws, peer) = slow(Slow::DropOldest, 0);
    let _membership = group.join(&ws.sender());
    for n in 0..5 {
        group.publish(fifty(n));
    }
    peer.take_all();
    soon(ws.sender().flush()).await.unwrap();
    peer.forget();
    for n in 5..10 {
        assert_eq!(group.publish(fifty(n)), sent(1));
    }
    assert_eq!(peer.all_frames(), (5..10).map(|n| Frame::text(fifty(n))).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_handler_each_message_leaves_at_once() {
    let group = Arc::new(Group::new(Slow::Disconnect));
    let (ws, peer) = open(Role::Server);
    let _membership = group.join(&ws.sender());
    for n in 1..=5 {
        group.publish("x");
        assert_eq!(peer.writes(), n);
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_come_and_go_while_others_publish_do_no_harm() {
    let group = Arc::new(Group::new(Slow::KeepLatest));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let group = group.clone();
            std::thread::spawn(move || (0..200).map(|_| group.publish("x").sent).sum::<u64>())
        })
        .collect();
    let mut peers = Vec::new();
    for _ in 0..100 {
        let (ws, peer) = open(Role::Server);
        drop(group.join(&ws.sender()));
        peers.push((ws, peer));
    }
    let sent: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(group.total().sent, sent);
    let received: usize = peers.iter().map(|(_, peer)| peer.all_frames().len()).sum();
    assert_eq!(received as u64, sent);
}
