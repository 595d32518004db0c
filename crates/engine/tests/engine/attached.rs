//! What is attached to connections.

use std::sync::Arc;

use tautline_engine::{Connection, Handover, Host, Request};
use tautline_proto::CloseCode;

use crate::support::{Client, Recorder, ask, connect, counted, engine, handover, pair, profile};

fn request(attached: &Arc<u32>) -> Request {
    Request { attached: Some(attached.clone()), profile: profile(), ..Request::default() }
}

fn connect_with(host: &Host<Recorder>, attached: &Arc<u32>) -> (Connection, Client<std::net::TcpStream>) {
    let (server, client) = pair();
    let handover: Handover = handover(server);
    (ask(host, request(attached)).expect("admitted").adopt(handover), Client::new(client))
}

#[test]
fn connections_can_be_closed_by_what_is_attached_to_them_and_others_stay() {
    let engine = engine(2);
    let hosts = engine.host_on_all(|_| Recorder::echo().0);
    let (over, good) = (Arc::new(1), Arc::new(2));
    let (_, mut first) = connect_with(&hosts[0], &over);
    let (_, mut second) = connect_with(&hosts[1], &over);
    let mut staying = [connect_with(&hosts[0], &good).1, connect(&hosts[1]).1];
    // Its handshake is answered only afterwards.
    let admitted = ask(&hosts[0], request(&over)).expect("admitted");
    let is_over = |attached: &(dyn std::any::Any + Send + Sync)| attached.downcast_ref() == Some(&1_u32);
    engine.close_attached(is_over, CloseCode::POLICY_VIOLATION, "it is over");
    assert_eq!([first.closed(), second.closed()], [1008, 1008]);
    let (server, client) = pair();
    admitted.adopt(handover(server));
    assert_eq!(Client::new(client).closed(), 1008);
    for client in &mut staying {
        client.send("still here");
        assert_eq!(client.text(), "still here");
    }
}

#[test]
fn what_is_attached_goes_with_its_connection() {
    let engine = engine(1);
    let host = engine.host(0, Recorder::echo().0);
    let attached = Arc::new(1);
    let (_, client) = connect_with(&host, &attached);
    drop(client);
    counted(&engine, 0, |counters| counters.closed == 1);
    drop(ask(&host, request(&attached)).expect("admitted"));
    // Behind the one that never opened.
    let (answer, answered) = std::sync::mpsc::channel();
    let later = host.clone();
    host.visit(move |_, _| later.visit(move |_, _| answer.send(()).unwrap()).unwrap()).unwrap();
    answered.recv().unwrap();
    assert_eq!(Arc::strong_count(&attached), 1);
}
