//! Compressed messages, between our server and our client, and as bytes.

use std::sync::Arc;

use tautline::deflate::{Acceptance, Backend, Offer, Parameters, Sender, Unlimited, WindowBits};
use tautline::{
    CloseCode, Config, Connect, Ended, Event, Group, Kind, Message, Published, Server, Slow, Violation, WebSocket,
    connect,
};

use crate::support::sim::QUIET;
use crate::support::soon;
use crate::{Running, echo, header, start, upgrade};

fn sender(bits: u8, takeover: bool) -> Sender {
    Sender { window: WindowBits::new(bits).unwrap(), takeover }
}

fn like(sender: Sender) -> Acceptance {
    Acceptance { server: sender, client: sender, unlimited: Unlimited::Accept }
}

fn quiet() -> Server {
    Server::new().config(QUIET)
}

impl Running {
    fn connect(&self) -> Connect {
        connect(format!("ws://{}/path", self.address)).config(QUIET)
    }

    /// A client that shows its frames: with this offer, and what it is answered.
    async fn open_with(&self, offer: &str) -> (crate::Client, Option<String>) {
        let mut client = self.dial().await;
        client.write(upgrade(&format!("Sec-WebSocket-Extensions: {offer}\r\n"))).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let answer = header(&head, "Sec-Websocket-Extensions").map(str::to_owned);
        (client, answer)
    }
}

/// Messages of many sizes, of which some are short, some cannot be shorter, and some are much.
fn messages() -> Vec<Message> {
    let json = |number: usize| format!(r#"{{"sensor":"kitchen","number":{number},"celsius":21.{}}}"#, number % 10);
    let mut messages: Vec<Message> = (0..30).map(|number| Message::text(json(number))).collect();
    messages.extend([Message::text(""), Message::text("SOS"), Message::binary(crate::support::noise(70_000))]);
    messages.push(Message::text((0..20_000).map(json).collect::<String>()));
    messages.push(Message::binary(vec![0; 3_000_000]));
    messages
}

#[tokio::test]
async fn messages_of_every_kind_come_back_as_they_were() {
    come_back(Backend::Small).await;
}

#[cfg(feature = "zlib-rs")]
#[tokio::test]
async fn messages_of_every_kind_come_back_as_they_were_by_zlib_rs() {
    come_back(Backend::ZlibRs).await;
}

async fn come_back(backend: Backend) {
    for own in
        [sender(15, true), sender(15, false), sender(9, true), sender(12, false), sender(8, true), sender(8, false)]
    {
        let server = start(quiet().deflate(like(own)).deflate_backend(backend), echo).await;
        for peer in [sender(15, true), sender(10, false)] {
            let offer = Offer { server: peer, client: peer };
            let mut ws = server.connect().deflate(offer).deflate_backend(backend).await.unwrap();
            let window = own.window.min(peer.window);
            let agreed = Sender { window, takeover: own.takeover && peer.takeover };
            assert_eq!(ws.info().deflate, Some(Parameters { server: agreed, client: agreed }));
            for message in messages() {
                ws.send(message.clone()).await.unwrap();
                let answer = soon(ws.recv()).await.unwrap();
                assert!(answer == message, "{} bytes with {agreed:?}", message.len());
            }
            assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
        }
    }
}

#[tokio::test]
async fn a_message_is_compressed_and_the_next_one_refers_to_it() {
    let server = start(quiet().deflate(Acceptance::default()), echo).await;
    let (mut client, answer) = server.open_with("permessage-deflate").await;
    assert_eq!(answer.as_deref(), Some("permessage-deflate"));
    // "Hello" twice (RFC 7692 section 7.2.3.2), masked with zeros.
    client.write(b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x85\0\0\0\0\xf2\x00\x11\x00\x00").await;
    let mut received = Vec::new();
    while received.len() < 14 {
        client.read().await;
        received.append(&mut client.received);
    }
    // Too short to be worth it.
    assert_eq!(received, b"\x81\x05Hello\x81\x05Hello");

    let long = "temperature ".repeat(20);
    let mut lens = Vec::new();
    for _ in 0..2 {
        client.write([&[0x81, 0xfe], &(long.len() as u16).to_be_bytes()[..], &[0; 4], long.as_bytes()].concat()).await;
        while client.received.len() < 2 || client.received.len() < 2 + usize::from(client.received[1]) {
            client.read().await;
        }
        assert_eq!(client.received[0], 0xc1, "the first frame of a compressed message of text");
        lens.push(client.received[1]);
        client.received.clear();
    }
    assert!(lens[0] < 40 && lens[1] < lens[0], "{lens:?}");
}

#[tokio::test]
async fn without_an_offer_or_an_acceptance_nothing_is_compressed() {
    let server = start(quiet(), echo).await;
    let (_, answer) = server.open_with("permessage-deflate").await;
    assert_eq!(answer, None);
    let mut ws = server.connect().deflate(Offer::default()).await.unwrap();
    assert_eq!(ws.info().deflate, None);
    ws.send("plain").await.unwrap();
    assert_eq!(soon(ws.recv()).await, Some(Message::text("plain")));

    let server = start(quiet().deflate(Acceptance::default()), echo).await;
    let ws = server.connect().await.unwrap();
    assert_eq!(ws.info().deflate, None);
    let mut client = server.open().await;
    client.write(b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00").await;
    assert_eq!(client.rest().await[2..4], 1002u16.to_be_bytes(), "a protocol error");
}

#[tokio::test]
async fn each_path_has_its_own_answer() {
    let acceptance = |path: &str| (path == "/path").then(Acceptance::default);
    let server = start(quiet().deflate_at(acceptance), echo).await;
    for (path, compressed) in [("path", true), ("other", false)] {
        let connect = connect(format!("ws://{}/{path}", server.address)).deflate(Offer::default());
        assert_eq!(connect.await.unwrap().info().deflate.is_some(), compressed, "{path}");
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit_of_messages() {
    let limit = Config::new().ping_interval(None).max_message(100_000);
    let server = start(Server::new().config(limit).deflate(Acceptance::default()), echo).await;
    for (len, ended) in [(100_000, None), (100_001, Some(CloseCode::TOO_BIG))] {
        let mut ws = server.connect().deflate(Offer::default()).await.unwrap();
        ws.send(vec![0; len]).await.unwrap();
        assert_eq!(soon(ws.recv()).await.map(|message| message.len()), ended.is_none().then_some(len));
        if let Some(code) = ended {
            assert_eq!(ws.ended(), Some(Ended::ClosedByPeer { code, clean: true }));
        }
    }
}

#[tokio::test]
async fn what_is_no_deflate_or_no_text_ends_the_connection_with_1007() {
    for (payload, violation) in [(&b"\x07"[..], Violation::InvalidDeflate), (b"\xfa\x0f\x00", Violation::InvalidUtf8)] {
        let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let handler = move |mut ws: WebSocket, _| {
            let sender = sender.clone();
            async move {
                while ws.recv().await.is_some() {}
                sender.send(ws.ended()).unwrap();
            }
        };
        let server = start(quiet().deflate(Acceptance::default()), handler).await;
        let (mut client, _) = server.open_with("permessage-deflate").await;
        client.write([&[0xc1, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()).await;
        assert_eq!(client.rest().await[2..4], 1007u16.to_be_bytes(), "{violation}");
        assert_eq!(soon(ended.recv()).await, Some(Some(Ended::Violation(violation))));
    }
}

#[tokio::test]
async fn events_show_a_compressed_frame_as_what_it_stands_for() {
    let server = start(quiet().deflate(Acceptance::default()), |mut ws: WebSocket, _| async move {
        while let Some(event) = ws.recv_event().await {
            if let Event::Data(chunk) = event {
                let told = format!(
                    "{:?} {} {} {}",
                    chunk.opcode,
                    chunk.fin,
                    chunk.offset,
                    chunk.payload_len == chunk.data.len() as u64
                );
                ws.send(told).await.unwrap();
                ws.send(chunk.data).await.unwrap();
            }
        }
    })
    .await;
    let mut ws = server.connect().deflate(Offer::default()).await.unwrap();
    let long = "again and ".repeat(30_000);
    ws.send(long.clone()).await.unwrap();
    let (mut all, mut heads) = (Vec::new(), Vec::new());
    while all.len() < long.len() {
        heads.push(soon(ws.recv()).await.unwrap().as_text().unwrap().to_owned());
        all.extend_from_slice(soon(ws.recv()).await.unwrap().as_bytes());
    }
    assert!(all == long.as_bytes());
    assert_eq!((&*heads[0], heads.len()), ("Text true 0 true", 1));
}

/// The opcode, whether RSV1 was set, and FIN of each of the frames that these bytes are, with their payloads.
fn frames(mut bytes: &[u8]) -> Vec<(u8, bool, bool, &[u8])> {
    let mut frames = Vec::new();
    while bytes.len() >= 2 && bytes.len() >= frame_len(bytes) {
        let (frame, rest) = bytes.split_at(frame_len(bytes));
        let head = if frame[1] == 126 { 4 } else { 2 };
        frames.push((frame[0] & 0x0f, frame[0] & 0x40 != 0, frame[0] & 0x80 != 0, &frame[head..]));
        bytes = rest;
    }
    frames
}

impl crate::Client {
    /// Waits for so many frames, and takes what has come.
    async fn whole_frames(&mut self, count: usize) -> Vec<u8> {
        while frames(&self.received).len() < count {
            assert!(self.read().await > 0, "the connection ended");
        }
        std::mem::take(&mut self.received)
    }
}

#[tokio::test]
async fn r7692_s6_1_fragments_are_pieces_of_one_stream_of_which_the_first_frame_tells() {
    for takeover in [true, false] {
        let server = start(quiet().deflate(like(sender(15, takeover))), |mut ws: WebSocket, _| async move {
            for _ in 0..2 {
                let mut writer = ws.begin(Kind::Text).await.unwrap();
                writer.write("temperature, ".repeat(20)).await.unwrap();
                writer.write("").await.unwrap();
                writer.write("temperature, ".repeat(20)).await.unwrap();
                writer.finish("").await.unwrap();
            }
            while ws.recv().await.is_some() {}
        })
        .await;
        let (mut client, _) = server.open_with("permessage-deflate").await;
        let bytes = client.whole_frames(8).await;
        let frames = frames(&bytes);
        let heads: Vec<_> = frames.iter().map(|&(opcode, compressed, fin, _)| (opcode, compressed, fin)).collect();
        let expected = [(1, true, false), (0, false, false), (0, false, false), (0, false, true)].repeat(2);
        assert_eq!(heads, expected);
        let payload = |index: usize| frames[index].3;
        // Each fragment ends at a byte; the last one is what an empty message is, without the tail.
        assert!(payload(0).ends_with(&[0, 0, 0xff, 0xff]) && payload(2).ends_with(&[0, 0, 0xff, 0xff]));
        assert!(payload(1).is_empty() && payload(3) == [0]);
        assert!(payload(0).len() < 40 && payload(2).len() < payload(0).len(), "the second refers to the first");
        assert_eq!(payload(4).len() < payload(0).len(), takeover, "the second message refers to the first");
    }
}

#[tokio::test]
async fn a_message_in_fragments_of_any_size_comes_back_as_it_was() {
    for own in [sender(15, true), sender(12, false), sender(9, true), sender(8, false)] {
        let server = start(quiet().deflate(like(own)), echo).await;
        let mut ws = server.connect().deflate(Offer { server: own, client: own }).await.unwrap();
        let text: String = (0..4000).map(|number| format!("number {number}, ")).collect();
        for size in [1, 7, 300, 5_000, 70_000] {
            let text = &text[..text.len().min(60 * size)];
            let mut writer = ws.begin(Kind::Text).await.unwrap();
            for piece in text.as_bytes().chunks(size) {
                writer.write(piece.to_vec()).await.unwrap();
            }
            writer.finish("").await.unwrap();
            assert!(soon(ws.recv()).await == Some(Message::text(text)), "{own:?}, {size}");
            // Whole messages between them refer to them, and the other way round.
            ws.send(text).await.unwrap();
            assert!(soon(ws.recv()).await == Some(Message::text(text)), "{own:?}, {size}");
        }
    }
}

#[tokio::test]
async fn r7692_s6_a_message_that_is_not_to_be_compressed_goes_as_it_is() {
    let text = "temperature ".repeat(20);
    let sent = text.clone();
    let server = start(quiet().deflate(Acceptance::default()), move |mut ws: WebSocket, _| {
        let text = sent.clone();
        async move {
            let plain = ws.sender().compress(false);
            ws.send(&*text).await.unwrap();
            plain.send(&*text).await.unwrap();
            plain.try_send(&*text).unwrap();
            plain.feed(&*text).await.unwrap();
            let mut writer = plain.begin(Kind::Text).await.unwrap();
            writer.write(text.clone()).await.unwrap();
            writer.finish("").await.unwrap();
            plain.clone().compress(true).send(&*text).await.unwrap();
            ws.sender().publish(&Published::new(&*text), Slow::Disconnect);
            ws.sender().publish(&Published::new(&*text).compress(false), Slow::Disconnect);
            while ws.recv().await.is_some() {}
        }
    })
    .await;
    for (offer, refers) in [("permessage-deflate", true), ("permessage-deflate; server_no_context_takeover", false)] {
        let (mut client, _) = server.open_with(offer).await;
        let bytes = client.whole_frames(9).await;
        let frames = frames(&bytes);
        let compressed: Vec<bool> = frames.iter().map(|&(_, compressed, ..)| compressed).collect();
        assert_eq!(compressed, [true, false, false, false, false, false, true, true, false], "{offer}");
        assert!(frames.iter().all(|&(_, compressed, _, payload)| {
            compressed && payload.len() < 40 || payload == text.as_bytes() || payload.is_empty()
        }));
        assert_eq!(
            frames[6].3.len() < frames[0].3.len(),
            refers,
            "compressed ones refer to each other, past the others"
        );
    }
}

/// A server whose clients get what each of them sends: the sender alone, then the others.
async fn group(acceptance: Acceptance, slow: Slow) -> (Running, Arc<Group>) {
    let everybody = Arc::new(Group::new(slow));
    let group = everybody.clone();
    let server = start(quiet().deflate(acceptance), move |mut ws: WebSocket, _| {
        let group = group.clone();
        async move {
            let membership = group.join(&ws.sender());
            while let Some(message) = ws.recv().await {
                ws.send(message.clone()).await.unwrap();
                group.publish_except(&membership, message);
            }
        }
    });
    (server.await, everybody)
}

async fn are_there(group: &Group, members: usize) {
    while group.len() < members {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_published_is_compressed_once_for_those_who_agreed_on_the_same_window() {
    let (server, everybody) = group(like(sender(15, false)), Slow::DropOldest).await;
    let offer = |bits: u8| format!("permessage-deflate; server_no_context_takeover; server_max_window_bits={bits}");
    let mut clients = Vec::new();
    for bits in [12, 12, 9] {
        clients.push(server.open_with(&offer(bits)).await.0);
    }
    are_there(&everybody, 3).await;
    let message = (0..40).map(|number| format!(r#"{{"number":{number},"sensor":"kitchen"}}"#)).collect::<String>();
    for _ in 0..2 {
        assert_eq!(everybody.publish(message.as_str()).sent, 3);
    }
    let mut received = Vec::new();
    for client in &mut clients {
        while client.received.len() < 4 || client.received.len() < 2 * frame_len(&client.received) {
            client.read().await;
        }
        let (first, second) = client.received.split_at(client.received.len() / 2);
        assert_eq!((first[0], first), (0xc1, second), "each by itself");
        assert!(first.len() < message.len() / 3, "{}", first.len());
        received.push(first.to_vec());
    }
    assert_eq!(received[0], received[1]);
    assert_ne!(received[0], received[2]);
}

/// Of a server's frame of up to 64 KiB.
fn frame_len(bytes: &[u8]) -> usize {
    match bytes[1] {
        126 => 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        len => 2 + usize::from(len),
    }
}

#[tokio::test]
async fn what_is_published_reaches_those_who_compress_and_those_who_do_not() {
    for takeover in [true, false] {
        exchange(like(sender(15, takeover))).await;
    }
}

/// Messages to one alone and to all others, in between: they come in the order in which they were sent.
async fn exchange(acceptance: Acceptance) {
    let (server, everybody) = group(acceptance, Slow::Disconnect).await;
    let mut compressed = server.connect().deflate(Offer::default()).await.unwrap();
    let mut plain = server.connect().await.unwrap();
    are_there(&everybody, 2).await;
    for number in 0..20 {
        let message = Message::text(format!("the message with the number {number}"));
        let (from, to) = if number % 3 == 0 { (&mut plain, &mut compressed) } else { (&mut compressed, &mut plain) };
        from.send(message.clone()).await.unwrap();
        assert_eq!(soon(from.recv()).await, Some(message.clone()));
        assert_eq!(soon(to.recv()).await, Some(message));
    }
}
