//! Control frames never queue behind data.

use tautline::{Kind, Role};

use crate::support::frames::Frame;
use crate::support::sim::open;
use crate::support::{settle, soon};
use crate::{BOTH, noise};

#[tokio::test(start_paused = true)]
async fn a_pong_goes_out_right_behind_the_frame_that_is_being_written() {
    for role in BOTH {
        for room in [1, 3, 10, 50_000] {
            let (mut ws, peer) = open(role);
            peer.take_only(room);
            ws.send(noise(100_000)).await.unwrap();
            ws.send(noise(50_000)).await.unwrap();
            ws.send("third").await.unwrap();
            peer.send(&[Frame::ping("urgent")]);
            tokio::spawn(async move { ws.recv().await });
            settle().await;
            // As if the transport had room for a little more each time.
            for _ in 0..200 {
                peer.take_only(1_000);
                settle().await;
            }
            let frames = peer.wait_frames(4).await;
            assert_eq!(frames[0], Frame::binary(noise(100_000)), "room for {room}");
            assert_eq!(frames[1], Frame::pong("urgent"), "room for {room}");
            assert_eq!(frames[2..], [Frame::binary(noise(50_000)), Frame::text("third")]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_goes_out_before_everything_that_has_not_begun() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        peer.take_only(0);
        ws.feed(noise(100_000)).await.unwrap();
        ws.feed(noise(50_000)).await.unwrap();
        ws.send("third").await.unwrap();
        peer.send(&[Frame::ping("urgent")]);
        tokio::spawn(async move { ws.recv().await });
        settle().await;
        peer.take_all();
        let frames = peer.wait_frames(4).await;
        // The transport has been offered the first already.
        let place = frames.iter().position(|frame| *frame == Frame::pong("urgent"));
        assert!(place <= Some(1), "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_overtakes_small_messages_but_for_those_of_the_write_under_way() {
    let (mut ws, peer) = open(Role::Server);
    peer.take_only(50);
    // 64 KiB of small messages: several buffers of 16 KiB.
    for _ in 0..64 {
        ws.feed(noise(1_020)).await.unwrap();
    }
    let flushing = tokio::spawn(async move { (ws.flush().await, ws) });
    settle().await;
    peer.send(&[Frame::ping("urgent")]);
    let (_, mut ws) = {
        settle().await;
        tokio::time::sleep(crate::support::SECOND).await;
        peer.take_all();
        soon(flushing).await.unwrap()
    };
    ws.flush().await.unwrap();
    let frames = peer.all_frames();
    let place = frames.iter().position(|frame| *frame == Frame::pong("urgent")).unwrap();
    assert!(place <= 16, "behind {place} of 64 messages");
}

#[tokio::test(start_paused = true)]
async fn our_ping_overtakes_data_too() {
    let (mut ws, peer) = open(Role::Server);
    peer.take_only(10);
    ws.send(noise(10_000)).await.unwrap();
    ws.send(noise(20_000)).await.unwrap();
    let sender = ws.sender();
    tokio::spawn(async move { sender.ping().await });
    settle().await;
    peer.take_all();
    let frames = peer.wait_frames(3).await;
    assert_eq!(frames[0], Frame::binary(noise(10_000)));
    assert_eq!(frames[1].opcode, tautline::OpCode::Ping);
}

#[tokio::test(start_paused = true)]
async fn pongs_go_between_the_fragments_of_a_message() {
    for role in BOTH {
        let (ws, peer) = open(role);
        let (sender, mut receiver) = ws.split();
        tokio::spawn(async move { receiver.recv().await });
        let mut writer = sender.begin(Kind::Text).await.unwrap();
        writer.write("a").await.unwrap();
        peer.send(&[Frame::ping("1")]);
        peer.wait_frames(2).await;
        writer.write("b").await.unwrap();
        peer.send(&[Frame::ping("2")]);
        peer.wait_frames(4).await;
        writer.finish("c").await.unwrap();
        assert_eq!(
            peer.all_frames(),
            [
                Frame::text("a").unfinished(),
                Frame::pong("1"),
                Frame::more("b").unfinished(),
                Frame::pong("2"),
                Frame::more("c"),
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_transport_keeps_up_every_ping_is_answered_in_order() {
    for role in BOTH {
        let (mut ws, peer) = open(role);
        tokio::spawn(async move { ws.recv().await });
        let numbers: Vec<Vec<u8>> = (0..20).map(|n| vec![n; usize::from(n)]).collect();
        peer.send(&numbers.iter().map(Frame::ping).collect::<Vec<_>>());
        assert_eq!(peer.wait_frames(20).await, numbers.iter().map(Frame::pong).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_come_in_the_order_of_the_pings_whatever_the_transport_takes() {
    for step in 1..20 {
        let (mut ws, peer) = open(Role::Server);
        peer.take_only(0);
        tokio::spawn(async move { ws.recv().await });
        for n in 0..10_u8 {
            peer.send(&[Frame::ping([n])]);
            settle().await;
            peer.take_only(step);
            settle().await;
        }
        peer.take_all();
        settle().await;
        let order: Vec<u8> = peer.all_frames().iter().map(|frame| frame.payload[0]).collect();
        assert!(order.is_sorted() && order.last() == Some(&9), "{order:?}");
    }
}
