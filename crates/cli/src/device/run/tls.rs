//! Whom the device trusts, and who it is: the files that `ssl` of `config.json` names.

use std::fs;
use std::path::Path;

use tautline::ConnectError;
use tautline_device::host;
use tautline_device_config::{Server, Tls, Verification};
use tautline_identity::{Description, client_name};

use super::setup::wrong;
use crate::failure::Failure;
use crate::output::complain;

/// The way to a server of `wss://`.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) connector: host::Tls,
    /// The name in the device's certificate.
    pub(super) name: Option<String>,
}

/// Reads the files, PEM or DER, which lie in this folder.
///
/// # Errors
///
/// One cannot be read, is not what it should be, or does not fit the others.
pub(super) async fn open(server: &Server<'static>, tls: &Tls<'static>, folder: &Path) -> Result<Secure, Failure> {
    let read = |key: &str, file: &str| {
        let path = folder.join(file);
        fs::read(&path).map_err(|error| wrong(&path, format_args!("cannot be read, but is ssl.{key}: {error}")))
    };
    let mut client = tautline::connect(format!("wss://{}", host(server)));
    match tls.verification {
        Verification::Required => client = client.ca(read("ca", tls.ca)?),
        Verification::Nothing => {
            complain("warning: ssl.cert_reqs is 0: whoever controls the network can read and change everything");
            client = client.dangerous_no_verify();
        }
    }
    let mut name = None;
    if let Some(files) = tls.identity {
        client = client.client_certificate(read("cert", files.certificate)?, read("key", files.key)?);
        // A certificate that has none, or several, is good all the same.
        name = Description::load(&folder.join(files.certificate)).ok().and_then(|(_, der)| client_name(&der).ok());
    }
    let config = client.rustls_config().await.map_err(|error| match error {
        ConnectError::InvalidOption { option: "ca", problem } => wrong(&folder.join(tls.ca), problem),
        ConnectError::InvalidOption { problem, .. } => Failure::usage(format!("ssl.cert, ssl.key: {problem}")),
        error => Failure::new(error.to_string()),
    })?;
    let connector =
        host::Tls::new(server.host, server.port, config).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Secure { connector, name })
}

/// The host as it stands in an address.
fn host(server: &Server<'_>) -> String {
    if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.to_owned() }
}
