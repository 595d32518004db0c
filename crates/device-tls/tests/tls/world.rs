//! Authorities, servers by rustls, and a device that talks to them through memory.

use std::net::IpAddr;
use std::sync::Arc;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{Read, Write};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tautline_device_tls::{
    Authority, Buffers, Error, Identity, READ_BUFFER, ServerName, Session, Settings, Time, Trust, Wire, open,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

pub(crate) type Memory = Wire<FromTokio<DuplexStream>>;
pub(crate) type DeviceSession<'a> = Session<'a, FromTokio<DuplexStream>>;

/// The address and name that certificates are for, if nothing else is said.
pub(crate) const HOST: &str = "hub.local";

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

/// An authority that signs whatever it is asked to.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    pub(crate) fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Issued {
        self.sign_for(params, KeyPair::generate().unwrap())
    }

    pub(crate) fn sign_for(&self, params: &CertificateParams, key: KeyPair) -> Issued {
        Issued { der: params.signed_by(&key, &self.issuer).unwrap().der().clone(), key }
    }

    pub(crate) fn server(&self) -> Issued {
        self.sign(&server_params())
    }

    pub(crate) fn device(&self, name: &str) -> Issued {
        self.sign(&device_params(name))
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority::new(&self.der).unwrap()
    }
}

/// A good server's certificate, to be spoilt.
pub(crate) fn server_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![
        dns(HOST),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ];
    params
}

/// A good device's certificate. The names make it as like a server's as a hasty authority might.
pub(crate) fn device_params(name: &str) -> CertificateParams {
    let mut params = server_params();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// A server with this chain, which asks nobody for a certificate. It does not look at what it shows.
pub(crate) fn server(chain: &[&CertificateDer<'static>], key: &KeyPair) -> Arc<ServerConfig> {
    Arc::new(configured(chain, key, None))
}

/// A server that demands a certificate that `clients` has signed.
pub(crate) fn strict_server(issued: &Issued, clients: &Ca) -> Arc<ServerConfig> {
    Arc::new(configured(&[&issued.der], &issued.key, Some(clients)))
}

/// The same as rustls has it, to be changed.
pub(crate) fn configured(chain: &[&CertificateDer<'static>], key: &KeyPair, clients: Option<&Ca>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = chain.iter().map(|certificate| (*certificate).clone()).collect();
    let key = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}

/// Settings of a device that was told only whom to call and whom to believe.
pub(crate) fn settings<'a>(host: &'a str, authority: &'a Authority<'a>) -> Settings<'a> {
    let server = ServerName::parse(host).unwrap();
    Settings { server, trust: Trust::Authority(authority), identity: None, time: Time::Unknown }
}

/// What a server saw of a device that was content with it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) name: Option<String>,
    pub(crate) certificates: usize,
    pub(crate) certificate: Vec<u8>,
}

/// The device connects, says hello and hears it again; or why it did not.
pub(crate) fn connect(server: Arc<ServerConfig>, settings: &Settings<'_>) -> Result<Seen, Error> {
    run(async {
        let (near, far) = pipe();
        let serve = async {
            let Ok(mut stream) = TlsAcceptor::from(server).accept(far).await else { return Seen::default() };
            let mut bytes = [0; 5];
            if stream.read_exact(&mut bytes).await.is_ok() {
                stream.write_all(&bytes).await.unwrap();
                stream.flush().await.unwrap();
                // Until the device is done, too.
                let _ = stream.read(&mut bytes).await;
            }
            let (_, connection) = stream.get_ref();
            let chain = connection.peer_certificates().unwrap_or_default();
            Seen {
                name: connection.server_name().map(str::to_owned),
                certificates: chain.len(),
                certificate: chain.first().map(|der| der.to_vec()).unwrap_or_default(),
            }
        };
        let talk = async {
            let mut wire = near;
            let (mut read, mut write) = (vec![0; READ_BUFFER], [0; 1536]);
            let buffers = Buffers { read: &mut read, write: &mut write };
            let mut session = open(&mut wire, buffers, settings, random()).await?;
            let (mut reader, mut writer) = session.split();
            writer.write_all(b"hello").await?;
            writer.flush().await?;
            let mut bytes = [0; 5];
            let mut filled = 0;
            while filled < bytes.len() {
                filled += match reader.read(&mut bytes[filled..]).await? {
                    0 => return Err(Error::Ended),
                    read => read,
                };
            }
            assert_eq!(&bytes, b"hello");
            session.close().await
        };
        let (seen, talked) = tokio::join!(serve, talk);
        talked.map(|()| seen)
    })
}

/// A pipe with the device's end as TLS takes it.
pub(crate) fn pipe() -> (Memory, DuplexStream) {
    pipe_of(64 * 1024)
}

/// A pipe that holds so many bytes.
pub(crate) fn pipe_of(room: usize) -> (Memory, DuplexStream) {
    let (near, far) = tokio::io::duplex(room);
    (Wire::new(FromTokio::new(near)), far)
}

/// Random enough for a test.
pub(crate) fn random() -> impl FnMut(&mut [u8]) {
    let mut generator = fastrand::Rng::new();
    move |bytes| generator.fill(bytes)
}

/// Runs a test's future; gives up after a time that says only that something hangs.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let patience = std::time::Duration::from_secs(300);
    runtime.block_on(async { tokio::time::timeout(patience, future).await.expect("it hangs") })
}

/// The device's identity, from what was issued.
pub(crate) fn identity<'a>(issued: &'a Issued) -> Identity<'a> {
    Identity::new(&issued.der, &issued.key.serialize_der()).unwrap()
}

/// An address as subjectAltName has it.
pub(crate) fn ip(text: &str) -> SanType {
    SanType::IpAddress(text.parse::<IpAddr>().unwrap())
}
