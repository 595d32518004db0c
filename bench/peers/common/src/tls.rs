//! TLS for the peers that have it.

use std::env;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// TLS by the files that `TLS_CERT`, `TLS_KEY` and `TLS_CLIENT_CA` name; the last makes client certificates compulsory.
pub fn server() -> Option<Arc<ServerConfig>> {
    let certificates = CertificateDer::pem_reader_iter(open("TLS_CERT")?).collect::<Result<_, _>>().expect("TLS_CERT");
    let key = PrivateKeyDer::from_pem_reader(open("TLS_KEY").expect("TLS_KEY is set")).expect("TLS_KEY");
    let builder = ServerConfig::builder();
    let builder = match open("TLS_CLIENT_CA") {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_reader(file).expect("TLS_CLIENT_CA")).expect("TLS_CLIENT_CA");
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier"))
        }
    };
    Some(Arc::new(builder.with_single_cert(certificates, key).expect("a certificate and its key")))
}

fn open(variable: &str) -> Option<BufReader<File>> {
    let path = env::var_os(variable)?;
    Some(BufReader::new(File::open(path).expect(variable)))
}
