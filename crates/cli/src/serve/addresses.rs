//! The ports of the hub, and what is found at them.

use std::net::SocketAddr;

use tautline_hub::{AppName, Listen};
use tautline_identity::ClientAuth;
use tokio::net::TcpListener;

use super::certificates::Certificates;
use crate::config::Config;
use crate::failure::Failure;
use crate::listen;
use crate::output::say;

/// An address that is taken.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    /// Whether TLS is spoken there.
    tls: bool,
}

impl Bound {
    /// What the hub serves, with the certificates where they belong.
    pub(super) fn into_listen(self, certificates: Option<&Certificates>) -> Listen {
        let tls = certificates.filter(|_| self.tls).map(Certificates::config);
        Listen { listener: self.listener, tls }
    }
}

/// Takes the ports: one, or a plain one and one for TLS.
pub(super) async fn bind(config: &Config) -> Result<Vec<Bound>, Failure> {
    let host = &config.listen.host;
    let second = config.tls.as_ref().and_then(|tls| tls.port);
    let only_tls = config.tls.is_some() && second.is_none();
    let first = listen::tcp(host, config.listen.port).await.map_err(|error| error.with_usual_remedy())?;
    let mut bound: Vec<Bound> = first.into_iter().map(|listener| Bound { listener, tls: only_tls }).collect();
    if let Some(port) = second {
        let remedy = "choose another with --tls-port";
        let listeners = listen::tcp(host, port)
            .await
            .map_err(|error| error.with_remedies(&format!("stop what holds it or {remedy}"), remedy))?;
        bound.extend(listeners.into_iter().map(|listener| Bound { listener, tls: true }));
    }
    Ok(bound)
}

/// Says where what is found, one address a line.
pub(super) fn announce(bound: &[Bound], config: &Config) {
    let addresses: Vec<(SocketAddr, bool)> =
        bound.iter().filter_map(|bound| Some((bound.listener.local_addr().ok()?, bound.tls))).collect();
    for (address, tls) in &addresses {
        say(format_args!("listening on {}://{address}/", scheme("http", *tls)));
    }
    let certified = config.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::Required);
    let required = config.access.require_authentication;
    let guarded = |(address, tls): &(SocketAddr, bool)| address.ip().is_loopback() || required || *tls && certified;
    if let Some((address, _)) = addresses.iter().find(|address| !guarded(address)) {
        tracing::warn!(%address, "anybody who reaches this address can connect: there is no authentication");
    }
    for (address, tls) in addresses {
        for address in listen::reachable(address) {
            for (name, url, what) in urls(address, tls, config.listen.app) {
                say(format_args!("  {name:<8} {url:<40} {what}"));
            }
        }
    }
}

fn urls(address: SocketAddr, tls: bool, only: Option<AppName>) -> Vec<(&'static str, String, &'static str)> {
    let of = |app: AppName, path: &str| {
        let scheme = scheme(if app.is_websocket() { "ws" } else { "http" }, tls);
        (app.as_str(), format!("{scheme}://{address}{path}"), app.summary())
    };
    match only {
        Some(app @ AppName::Relay) => vec![of(app, app.path())],
        Some(app) => vec![of(app, "/")],
        None => {
            let page = ("page", format!("{}://{address}/", scheme("http", tls)), "open this in a browser");
            std::iter::once(page).chain(AppName::ALL.map(|app| of(app, app.path()))).collect()
        }
    }
}

fn scheme(plain: &str, tls: bool) -> String {
    if tls { format!("{plain}s") } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_a_line() {
        let lines = urls("127.0.0.1:8000".parse().unwrap(), false, None);
        assert_eq!(lines.len(), 7);
        assert!(lines.iter().any(|(name, url, _)| *name == "counter" && url == "ws://127.0.0.1:8000/counter"));
        let one = urls("[::1]:1".parse().unwrap(), false, Some(AppName::Counter));
        assert_eq!(one[0].1, "ws://[::1]:1/");
    }

    #[test]
    fn with_tls_the_schemes_say_so() {
        let lines = urls("127.0.0.1:8443".parse().unwrap(), true, None);
        assert!(lines.iter().all(|(_, url, _)| url.starts_with("https://") || url.starts_with("wss://")), "{lines:?}");
    }
}
