//! Compressed messages between two connections, in virtual time.

use std::sync::Arc;

use tautline::deflate::{Parameters, Sender, WindowBits};
use tautline::{Delivery, Group, Info, Kind, Message, Role, Settings, Slow, Stream, WebSocket};

use crate::support::sim::QUIET;
use crate::support::{polled, soon};

/// A client and a server that have agreed on this, over a transport that holds so many bytes.
fn pair(sender: Sender, room: usize) -> (WebSocket, WebSocket) {
    let (near, far) = tokio::io::duplex(room);
    let open = |stream, role| {
        let mut info = Info::default();
        info.deflate = Some(Parameters { server: sender, client: sender });
        let settings = Settings::new().protocol(QUIET).send_queue(room).into();
        WebSocket::start(Stream::other(stream), role, settings, &[], info)
    };
    (open(near, Role::Client), open(far, Role::Server))
}

/// With context takeover, too, what a slow receiver gets in the end is the latest.
#[tokio::test(start_paused = true)]
async fn a_slow_receiver_gets_the_latest_though_messages_refer_to_earlier_ones() {
    const COUNT: usize = 200;
    let message = |number: usize| Message::text(format!("{number} {}", "of many readings ".repeat(number % 7 + 5)));
    for policy in [Slow::KeepLatest, Slow::DropOldest] {
        for swapped in [false, true] {
            let (ours, theirs) = pair(Sender { window: WindowBits::new(12).unwrap(), takeover: true }, 1000);
            let (from, mut to) = if swapped { (theirs, ours) } else { (ours, theirs) };
            let group = Arc::new(Group::new(policy));
            let _membership = group.join(&from.sender());
            let mut total = Delivery::default();
            for number in 0..COUNT {
                total += group.publish(message(number));
            }
            assert_eq!(total.sent, COUNT as u64, "each took the place of others");
            assert!(total.dropped > 50, "{total:?}");
            let mut next = 0;
            while next < COUNT {
                let received = soon(to.recv()).await.unwrap();
                next = 1 + (next..COUNT).find(|&number| received == message(number)).expect("one that was published");
            }
            // And so it goes on, compressed again.
            group.publish("afterwards");
            assert_eq!(soon(to.recv()).await, Some(Message::text("afterwards")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_was_given_up_is_no_part_of_the_stream() {
    for (bits, takeover) in [(9, true), (15, true), (12, false)] {
        let (mut ours, mut theirs) = pair(Sender { window: WindowBits::new(bits).unwrap(), takeover }, 100);
        let sending = tokio::spawn(async move {
            let (mut sent, mut given_up) = (Vec::new(), 0);
            for number in 0..60 {
                let mut writer = ours.begin(Kind::Text).await.unwrap();
                let mut text = String::new();
                for piece in 0..number % 12 {
                    let piece = format!(r#"{{"message":{number},"piece":{piece}}}"#).repeat(1 + piece % 3);
                    match polled(1, writer.write(piece.clone())).await {
                        Some(written) => {
                            written.unwrap();
                            text += &piece;
                        }
                        None => given_up += 1,
                    }
                }
                writer.finish("the end").await.unwrap();
                sent.push(Message::text(text + "the end"));
                ours.send("between them").await.unwrap();
                sent.push(Message::text("between them"));
            }
            ours.flush().await.unwrap();
            (sent, given_up, ours)
        });
        let mut received = Vec::new();
        for _ in 0..120 {
            received.push(soon(theirs.recv()).await.unwrap());
        }
        let (sent, given_up, _ours) = soon(sending).await.unwrap();
        assert_eq!(received, sent);
        assert!(given_up > 20, "{given_up}");
    }
}
