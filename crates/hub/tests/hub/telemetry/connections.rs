//! How connections of devices end, and how many there may be.

use tautline::{AddressLimits, Server};

use super::*;

#[tokio::test]
async fn who_has_closed_its_half_gets_its_acknowledgement() {
    let lab = Lab::start(memory(), "127.0.0.1", Keyless::Loopback).await;
    let mut device = TcpStream::connect(lab.port).await.unwrap();
    let welcome = ask(&mut device, &hello(3, None)).await;
    for sequence in 1..=3 {
        device.write_all(&reading(&welcome, sequence)).await.unwrap();
    }
    device.shutdown().await.unwrap();
    let mut acknowledged = 0;
    loop {
        let answer = answer(&mut device).await;
        if answer.is_empty() {
            break;
        }
        assert_eq!(answer[3], 0x82);
        acknowledged = u32::from_be_bytes(answer[32..36].try_into().unwrap());
    }
    assert_eq!(acknowledged, 3);
    assert_eq!(lab.stored().len(), 3);
    lab.hub.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_with_those_of_the_hub() {
    let server = Server::new().address_limits(AddressLimits::new().connections(3).rate(0).loopback(true));
    let lab = Lab::start_as(Hub::new().server(server), memory(), "127.0.0.1", Keyless::Loopback, Encryption::Off).await;
    // One of them is a WebSocket.
    let _page = lab.hub.open("/").await;
    let mut devices = Vec::new();
    for number in 1..=2 {
        let mut device = TcpStream::connect(lab.port).await.unwrap();
        assert_eq!(ask(&mut device, &hello_as(&number.to_string(), number, None)).await[3], 0x81);
        devices.push(device);
    }
    let mut refused = TcpStream::connect(lab.port).await.unwrap();
    assert_eq!(answer(&mut refused).await, [0; 0]);
    drop(devices);
    // Their places are free as soon as the hub knows that they have left.
    let welcome = async {
        loop {
            let mut device = TcpStream::connect(lab.port).await.unwrap();
            let _ = device.write_all(&hello_as("1", 1, None)).await;
            let answer = answer(&mut device).await;
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    assert_eq!(timeout(LIMIT, welcome).await.unwrap()[3], 0x81);
    let metrics = get(&lab.hub, "/metrics").await.body;
    assert!(metrics.contains("tautline_telemetry_refused_total{reason=\"address_full\"} "), "{metrics}");
    lab.hub.stop().await;
}
