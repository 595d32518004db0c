//! A certificate authority, and what it signs.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::{Error, Problem};
use crate::host::Host;
use crate::key::{KeyKind, PrivateKey};
use crate::revocation::RevocationList;
use crate::{files, name, pem_text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last one. No later than the authority's own.
    pub until: SystemTime,
}

impl Validity {
    /// From yesterday until so many days from now: the clocks of devices go wrong by hours, and by time zones.
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self { from: now - DAY, until: now + DAY * days }
    }
}

/// A certificate and its private key.
#[derive(Debug)]
pub struct Issued {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

impl Issued {
    /// The certificate, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem_text("CERTIFICATE", self.certificate.to_vec())
    }

    /// The private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }
}

/// A certificate authority (CA): its certificate, and the key that signs others.
#[derive(Debug)]
pub struct Authority {
    own: Issued,
    issuer: Issuer<'static, KeyPair>,
    /// How others name its key: lists of an authority made elsewhere would otherwise not be found to be its.
    key_id: KeyIdMethod,
    until: SystemTime,
}

impl Authority {
    /// A new authority. It can sign certificates and revocation lists, and no further authorities.
    ///
    /// # Errors
    ///
    /// If it cannot have this name, or for RSA without the feature `rsa`.
    pub fn create(name: &str, kind: KeyKind, validity: Validity) -> Result<Self, Error> {
        name::check_common_name(name).map_err(Error::refused)?;
        let key = PrivateKey::generate(kind)?;
        let mut params = params(Some(name), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pair = pair(&key)?;
        let certificate = params.self_signed(&pair).map_err(unsigned)?.der().clone();
        let built = Self::build(certificate, key, pair);
        built.map_err(|problem| Error::refused(format!("the authority cannot be used: {problem:?}")))
    }

    /// The authority in these files: the certificate in PEM or DER, the key in PEM or DER, encrypted or not.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is not what it should be, or does not go with the other; if the password is missing or
    /// wrong; if the authority has expired.
    pub fn load(certificate: &Path, key: &Path, password: Option<&str>) -> Result<Self, Error> {
        let advice = || "`tautline cert init` makes one".to_owned();
        let what = "certificate of a CA";
        let bytes = files::read(certificate).map_err(|error| error.missing_is(what, advice))?;
        let der = crate::first_certificate(&bytes).map_err(|problem| problem.at(certificate))?;
        let advice = || "certificates are made where the CA's key is; a CA without its key cannot sign".to_owned();
        let bytes = files::read(key).map_err(|error| error.missing_is("private key of the CA", advice))?;
        let private = PrivateKey::parse(&bytes, password).map_err(|problem| problem.at(key))?;
        let pair = private.pair().map_err(|problem| problem.at(key))?;
        Self::build(der, private, pair).map_err(|problem| problem.at(certificate))
    }

    fn build(certificate: CertificateDer<'static>, key: PrivateKey, pair: KeyPair) -> Result<Self, Problem> {
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|_| Problem::other("not an X.509 certificate"))?;
        if !parsed.is_ca() {
            return Err(Problem::other("not the certificate of a CA: it cannot sign others"));
        }
        if &*parsed.public_key().subject_public_key.data != pair.public_key_raw() {
            return Err(Problem::other("the CA's certificate and its private key do not belong together"));
        }
        let until = SystemTime::from(parsed.validity().not_after.to_datetime());
        let key_id = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(KeyIdMethod::PreSpecified(id.0.to_vec())),
            _ => None,
        });
        let issuer = Issuer::from_ca_cert_der(&certificate, pair)
            .map_err(|error| Problem::other(format!("this CA's certificate cannot be used: {error}")))?;
        let key_id = key_id.unwrap_or(KeyIdMethod::Sha256);
        Ok(Self { own: Issued { certificate, key }, issuer, key_id, until })
    }

    /// The authority's own certificate, which others trust, and its key.
    pub fn own(&self) -> &Issued {
        &self.own
    }

    /// When the authority's certificate expires; nothing that it signs is valid for longer.
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// A certificate for a server that is reached by these names and addresses, of which the first is its CN, too.
    ///
    /// # Errors
    ///
    /// Without a name, if the authority has expired, or for RSA without the feature `rsa`.
    pub fn server(&self, hosts: &[Host], kind: KeyKind, validity: Validity) -> Result<Issued, Error> {
        let first = hosts.first().ok_or_else(|| Error::refused("a server needs a name or an address"))?.to_string();
        let common = Some(&*first).filter(|first| name::check_common_name(first).is_ok());
        let mut params = self.leaf(common, ExtendedKeyUsagePurpose::ServerAuth, kind, validity)?;
        for host in hosts {
            for name in host.alternative_names()? {
                if !params.subject_alt_names.contains(&name) {
                    params.subject_alt_names.push(name);
                }
            }
        }
        self.sign(&params, kind)
    }

    /// A certificate for a client with this name.
    ///
    /// # Errors
    ///
    /// If it cannot have this name, if the authority has expired, or for RSA without the feature `rsa`.
    pub fn client(&self, name: &str, kind: KeyKind, validity: Validity) -> Result<Issued, Error> {
        name::check_common_name(name).map_err(Error::refused)?;
        let params = self.leaf(Some(name), ExtendedKeyUsagePurpose::ClientAuth, kind, validity)?;
        self.sign(&params, kind)
    }

    /// The list that follows `earlier`, with these serial numbers more.
    ///
    /// # Errors
    ///
    /// If `earlier` is another authority's, or the authority has expired.
    pub fn revoke(&self, earlier: Option<&RevocationList>, serials: &[Vec<u8>]) -> Result<RevocationList, Error> {
        if earlier.is_some_and(|earlier| !earlier.is_signed_by(&self.own.certificate)) {
            return Err(Error::refused("the list of revoked certificates is not signed by this CA"));
        }
        let now = SystemTime::now();
        if now >= self.until {
            return Err(self.expired());
        }
        RevocationList::signed_by(&self.issuer, &self.key_id, earlier, serials, now, self.until)
    }

    fn leaf(
        &self,
        common: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<CertificateParams, Error> {
        if self.until <= SystemTime::now() {
            return Err(self.expired());
        }
        let mut params = params(common, Validity { until: validity.until.min(self.until), ..validity })?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // In TLS 1.2 old peers encrypt to an RSA key.
        if kind != KeyKind::EcdsaP256 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![usage];
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams, kind: KeyKind) -> Result<Issued, Error> {
        let key = PrivateKey::generate(kind)?;
        let certificate = params.signed_by(&pair(&key)?, &self.issuer).map_err(unsigned)?.der().clone();
        Ok(Issued { certificate, key })
    }

    fn expired(&self) -> Error {
        Error::refused(
            "the CA has expired: `tautline cert init --force` makes a new one, and then everybody needs new certificates",
        )
    }
}

fn params(common: Option<&str>, validity: Validity) -> Result<CertificateParams, Error> {
    if validity.until <= validity.from {
        return Err(Error::refused("a certificate cannot end before it begins"));
    }
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(validity.from);
    params.not_after = OffsetDateTime::from(validity.until);
    params.distinguished_name = DistinguishedName::new();
    if let Some(common) = common {
        params.distinguished_name.push(DnType::CommonName, common);
    }
    params.serial_number = Some(serial());
    Ok(params)
}

/// 126 random bits (RFC 5280 section 4.1.2.2 allows 159): never negative, never zero, always as long.
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn pair(key: &PrivateKey) -> Result<KeyPair, Error> {
    key.pair().map_err(|problem| Error::refused(format!("the new key cannot be used: {problem:?}")))
}

fn unsigned(error: rcgen::Error) -> Error {
    Error::refused(format!("the certificate could not be signed: {error}"))
}

impl Host {
    /// How a certificate says that it is for this host.
    fn alternative_names(&self) -> Result<Vec<SanType>, Error> {
        let dns = |name: &str| {
            let name =
                name.try_into().map_err(|_| Error::refused(format!("`{name}` cannot stand in a certificate")))?;
            Ok(SanType::DnsName(name))
        };
        Ok(match self {
            Self::Name(name) => vec![dns(name)?],
            // mbedTLS before 3.6, which is on many a controller, compares only names with what it connects to.
            Self::Address(ip @ std::net::IpAddr::V4(_)) => vec![SanType::IpAddress(*ip), dns(&ip.to_string())?],
            Self::Address(ip) => vec![SanType::IpAddress(*ip)],
        })
    }
}
