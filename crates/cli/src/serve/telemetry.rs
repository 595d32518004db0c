//! The port for sensor data.

use tautline_hub::{Encryption, Ingest};

use super::certificates::Certificates;
use crate::config::{Config, Encrypted};
use crate::failure::Failure;
use crate::listen::{self, Unusable};

/// The port of the telemetry protocol, unless another one is set.
const PORT: u16 = 65433;

/// Takes the port for UDP and TCP; `None` where sensor data is not to be taken.
///
/// # Errors
///
/// The port that was asked for cannot be had. Where nobody has asked for one, that is only logged: several hubs may be started on a
/// machine by somebody who does not think of it.
pub(super) async fn bind(config: &Config, certificates: Option<&Certificates>) -> Result<Option<Ingest>, Failure> {
    let settings = &config.telemetry;
    // One app alone keeps to its port.
    if !settings.enabled || config.listen.app.is_some() {
        return Ok(None);
    }
    let host = &config.listen.host;
    match (sockets(host, settings.port.unwrap_or(PORT)).await, settings.port) {
        (Ok((tcp, udp)), _) => {
            let address = tcp.first().and_then(|listener| listener.local_addr().ok());
            let tls = encryption(settings.tls, certificates);
            let how = match &tls {
                Encryption::Off => "",
                Encryption::Optional(_) => ", with or without TLS",
                Encryption::Required(_) => " with TLS",
            };
            let address = address.map(tracing::field::display);
            tracing::info!(address, "sensor data is taken over UDP and TCP{how}");
            Ok(Some(Ingest { udp, tcp, keyless: settings.keyless, tls }))
        }
        (Err(error), None) => {
            tracing::warn!("no sensor data is taken over UDP and TCP: {error} (--telemetry-port chooses another)");
            Ok(None)
        }
        (Err(error), Some(_)) => {
            let remedy = "choose another with --telemetry-port";
            Err(error.with_remedies(&format!("stop what holds it or {remedy}"), remedy))
        }
    }
}

fn encryption(wanted: Encrypted, certificates: Option<&Certificates>) -> Encryption {
    // Where TLS is required there are certificates, or the configuration was refused.
    match (wanted, certificates.map(Certificates::config)) {
        (Encrypted::Off, _) | (_, None) => Encryption::Off,
        (Encrypted::Optional, Some(config)) => Encryption::Optional(config),
        (Encrypted::Required, Some(config)) => Encryption::Required(config),
    }
}

async fn sockets(
    host: &str,
    port: u16,
) -> Result<(Vec<tokio::net::TcpListener>, Vec<tokio::net::UdpSocket>), Unusable> {
    let tcp = listen::tcp(host, port).await?;
    let port = tcp.first().and_then(|listener| listener.local_addr().ok()).map_or(port, |address| address.port());
    let udp = listen::udp(host, port).await?;
    Ok((tcp, udp))
}
