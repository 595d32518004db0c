//! The folder in which certificates are kept, in the layout of the script that the device project came with.

use std::path::{Path, PathBuf};

use crate::authority::{Authority, Issued, Validity};
use crate::error::Error;
use crate::files::{self, Output};
use crate::host::Host;
use crate::key::KeyKind;
use crate::revocation::RevocationList;
use crate::{description, name};

/// Whose certificates an authority signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Servers: devices and browsers trust this authority.
    Servers,
    /// Devices and other clients: servers trust this authority.
    Devices,
}

/// A file that was written, and what it is.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// What it is for, in a few words.
    pub what: &'static str,
}

/// What is written besides certificate and key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// A `.pem` with certificate and key in one.
    pub bundle: bool,
    /// Files that are there may be overwritten.
    pub overwrite: bool,
}

/// How authorities are made.
#[derive(Clone, Debug)]
pub struct Founding<'a> {
    /// The name of the authority; `None` makes one up, so that no two authorities have the same.
    pub name: Option<&'a str>,
    /// The kind of its key.
    pub kind: KeyKind,
    /// How long it is valid.
    pub validity: Validity,
    /// Encrypts its key.
    pub password: Option<&'a str>,
    /// One authority for servers, and another for devices.
    pub separate: bool,
    /// An authority that is there may be overwritten.
    pub overwrite: bool,
}

/// A folder of certificates:
///
/// ```text
/// ca/ca.crt  ca.der  ca.key  ca.crl        the authority
/// client-ca/ca.crt ...                     that of the devices, if they have one of their own
/// SERVER/SERVER.crt  SERVER.key            a server; with a bundle SERVER.pem, too
/// clients/NAME/NAME.crt  NAME.key          a client, in PEM
/// clients/NAME/NAME.crt.der  NAME.key.der  the same for controllers: DER, and the key in SEC1 (or PKCS#1)
/// ```
///
/// Private keys are readable by their owner only, from the first byte on. Files are written whole or not at all.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at this path, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether there is an authority for these.
    pub fn has_authority(&self, role: Role) -> bool {
        self.authority_file(role, "ca.crt").exists()
    }

    /// A file of the authority: `ca.crt`, `ca.der`, `ca.key` or `ca.crl`.
    pub fn authority_file(&self, role: Role, name: &str) -> PathBuf {
        let own = self.root.join("client-ca");
        let folder = if role == Role::Devices && own.exists() { own } else { self.root.join("ca") };
        folder.join(name)
    }

    /// The certificate (PEM) of a server with this name or address.
    ///
    /// # Errors
    ///
    /// If the name cannot be that of a file.
    pub fn server_certificate(&self, host: &Host) -> Result<PathBuf, Error> {
        let stem = name::file_stem(&host.to_string()).map_err(Error::refused)?;
        Ok(self.root.join(&stem).join(format!("{stem}.crt")))
    }

    /// The certificate (PEM) of a client with this name.
    ///
    /// # Errors
    ///
    /// If the name cannot be that of a file.
    pub fn client_certificate(&self, name: &str) -> Result<PathBuf, Error> {
        let stem = name::file_stem(name).map_err(Error::refused)?;
        Ok(self.root.join("clients").join(&stem).join(format!("{stem}.crt")))
    }

    /// Makes an authority, or two. With [`Founding::separate`] one that is there already stays, as that of the servers.
    ///
    /// # Errors
    ///
    /// If there is one, and it may not be overwritten; if it cannot be made or written.
    pub fn found(&self, founding: &Founding<'_>) -> Result<Vec<Written>, Error> {
        let mut outputs = Vec::new();
        let mut written = Vec::new();
        let homes: &[(&str, &str)] = match founding.separate {
            true => &[("ca", "server CA"), ("client-ca", "device CA")],
            false => &[("ca", "CA")],
        };
        for (index, (home, kind)) in homes.iter().enumerate() {
            let folder = self.root.join(home);
            let there = folder.join("ca.crt").exists() || folder.join("ca.key").exists();
            let last = index + 1 == homes.len();
            if there && !founding.overwrite && !last {
                continue;
            }
            if there && !founding.overwrite {
                return Err(Error::refused(format!(
                    "{} has a CA already, which `tautline cert server` and `client` use; --force replaces it, and then \
                     everybody needs new certificates",
                    folder.display()
                )));
            }
            let made_up = || format!("Tautline {kind} {:06x}", rand::random::<u32>() >> 8);
            let name = founding.name.map_or_else(made_up, |name| match founding.separate {
                true => format!("{name} ({kind})"),
                false => name.to_owned(),
            });
            let authority = Authority::create(&name, founding.kind, founding.validity)?;
            let key = authority.own().key();
            let key = founding.password.map_or_else(|| Ok(key.pem()), |password| key.encrypted_pem(password))?;
            let list = authority.revoke(None, &[])?;
            let mut add = |name: &str, what, make: fn(PathBuf, Vec<u8>) -> Output, bytes: Vec<u8>| {
                outputs.push(make(folder.join(name), bytes));
                written.push(Written { path: folder.join(name), what });
            };
            add("ca.key", "signs certificates: keep it secret, and keep a copy", Output::secret, key.into_bytes());
            add("ca.crt", "what others trust", Output::public, authority.own().pem().into_bytes());
            add("ca.der", "the same for controllers", Output::public, authority.own().certificate().to_vec());
            add("ca.crl", "who is revoked: nobody yet", Output::public, list.pem().into_bytes());
        }
        files::write_all(&outputs, founding.overwrite)?;
        Ok(written)
    }

    /// The authority for these.
    ///
    /// # Errors
    ///
    /// As [`Authority::load`].
    pub fn authority(&self, role: Role, password: Option<&str>) -> Result<Authority, Error> {
        let file = |name| self.authority_file(role, name);
        Authority::load(&file("ca.crt"), &file("ca.key"), password)
    }

    /// Whether the key of the authority for these needs a password.
    pub fn is_encrypted(&self, role: Role) -> bool {
        let key = files::read(&self.authority_file(role, "ca.key"));
        key.is_ok_and(|key| matches!(crate::PrivateKey::parse(&key, None), Err(crate::error::Problem::PasswordNeeded)))
    }

    /// Writes a server's certificate and key; its files have the name of the first host.
    ///
    /// # Errors
    ///
    /// If a file is there already, or cannot be written.
    pub fn write_server(&self, host: &Host, issued: &Issued, extras: &Extras) -> Result<Vec<Written>, Error> {
        let certificate = self.server_certificate(host)?;
        let (outputs, written) = pem_files(&certificate, issued, extras.bundle);
        files::write_all(&outputs, extras.overwrite)?;
        Ok(written)
    }

    /// Writes a client's certificate and key.
    ///
    /// # Errors
    ///
    /// If a file is there already, or cannot be written.
    pub fn write_client(&self, name: &str, issued: &Issued, extras: &Extras) -> Result<Vec<Written>, Error> {
        let certificate = self.client_certificate(name)?;
        let (mut outputs, mut written) = pem_files(&certificate, issued, extras.bundle);
        let key = certificate.with_extension("key.der");
        written.push(Written { path: key.clone(), what: "private key for a controller (DER)" });
        outputs.push(Output::secret(key, issued.key().traditional_der()?));
        let der = certificate.with_extension("crt.der");
        written.push(Written { path: der.clone(), what: "certificate for a controller (DER)" });
        outputs.push(Output::public(der, issued.certificate().to_vec()));
        files::write_all(&outputs, extras.overwrite)?;
        Ok(written)
    }

    /// Copies what a controller needs into a folder, in DER and under the names that its `config.json` has: `ca.der` (the
    /// authority of the servers), and the client's `NAME.crt` and `NAME.key`.
    ///
    /// # Errors
    ///
    /// If there is no such client here, or if one of the files is in the folder already with other content.
    pub fn copy_to_controller(&self, name: &str, folder: &Path, overwrite: bool) -> Result<Vec<Written>, Error> {
        let stem = name::file_stem(name).map_err(Error::refused)?;
        let certificate = self.client_certificate(name)?;
        let read = |extension| {
            files::read(&certificate.with_extension(extension))
                .map_err(|error| error.missing_is("file for a controller", || "`--force` makes the client anew".into()))
        };
        let key = (folder.join(format!("{stem}.key")), read("key.der")?);
        let certificate = (folder.join(format!("{stem}.crt")), read("crt.der")?);
        let authority = description::load_certificate(&self.authority_file(Role::Servers, "ca.crt"))?;
        let authority = (folder.join("ca.der"), authority);
        let written = vec![
            Written { path: key.0.clone(), what: "the controller's private key (DER)" },
            Written { path: certificate.0.clone(), what: "the controller's certificate (DER)" },
            Written { path: authority.0.clone(), what: "the CA that the controller trusts (DER)" },
        ];
        let outputs = [
            Output::secret(key.0, key.1),
            Output::public(certificate.0, certificate.1),
            Output::public(authority.0, authority.1),
        ];
        files::write_all(&outputs, overwrite)?;
        Ok(written)
    }

    /// The authority of this folder that signed a certificate (DER).
    pub fn signer(&self, certificate: &[u8]) -> Option<Role> {
        [Role::Devices, Role::Servers].into_iter().find(|role| {
            let authority = description::load_certificate(&self.authority_file(*role, "ca.crt"));
            authority.is_ok_and(|authority| description::is_signed_by(certificate, &authority))
        })
    }

    /// The list of an authority, if there is one.
    ///
    /// # Errors
    ///
    /// If there is one that cannot be read.
    pub fn revocation_list(&self, role: Role) -> Result<Option<RevocationList>, Error> {
        let path = self.authority_file(role, "ca.crl");
        if !path.exists() {
            return Ok(None);
        }
        Ok(RevocationList::load(&path)?.into_iter().next())
    }

    /// Puts a serial number on the list of the authority for these. Answers the list's file, and whether the number is
    /// new on it.
    ///
    /// # Errors
    ///
    /// If the authority or its list cannot be used.
    pub fn revoke(&self, role: Role, serial: &[u8], password: Option<&str>) -> Result<(PathBuf, bool), Error> {
        let path = self.authority_file(role, "ca.crl");
        let authority = self.authority(role, password)?;
        let earlier = self.revocation_list(role)?;
        if earlier.as_ref().is_some_and(|list| list.has_serial(serial)) {
            return Ok((path, false));
        }
        let list = authority.revoke(earlier.as_ref(), &[serial.to_vec()])?;
        files::write_all(&[Output::public(path.clone(), list.pem())], true)?;
        Ok((path, true))
    }
}

/// Certificate and key in PEM, in one file, too, if that is asked for.
fn pem_files(certificate: &Path, issued: &Issued, bundle: bool) -> (Vec<Output>, Vec<Written>) {
    let key = certificate.with_extension("key");
    let mut written = vec![
        Written { path: key.clone(), what: "private key" },
        Written { path: certificate.to_owned(), what: "certificate" },
    ];
    let mut outputs =
        vec![Output::secret(key, issued.key().pem()), Output::public(certificate.to_owned(), issued.pem())];
    if bundle {
        let path = certificate.with_extension("pem");
        written.push(Written { path: path.clone(), what: "certificate and private key in one" });
        outputs.push(Output::secret(path, issued.pem() + &issued.key().pem()));
    }
    (outputs, written)
}
