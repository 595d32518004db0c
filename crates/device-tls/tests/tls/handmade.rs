//! A TLS 1.3 server in the smallest form (RFC 8446), for messages that no decent server sends.

use rcgen::KeyPair;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{self, SHA256, digest};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::SystemRandom;
use ring::{aead, hmac, signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

pub(crate) const NEW_SESSION_TICKET: u8 = 4;
pub(crate) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const CERTIFICATE_VERIFY: u8 = 15;
pub(crate) const FINISHED: u8 = 20;
pub(crate) const KEY_UPDATE: u8 = 24;

/// The server after its hello: it sends what it is told to.
pub(crate) struct Handmade {
    io: DuplexStream,
    transcript: digest::Context,
    handshake: Prk,
    /// The secret that records are encrypted under now, and the number of the next.
    traffic: Prk,
    sequence: u64,
    /// Bits of the records' content that are changed before they are encrypted, by the record's number.
    pub(crate) spoil: Option<(u64, Spoil)>,
}

/// What is done to the content of a record.
pub(crate) type Spoil = Box<dyn Fn(&mut Vec<u8>)>;

impl Handmade {
    /// Answers the client's hello. `spoil` changes the answer, a whole handshake message.
    pub(crate) async fn hello(mut io: DuplexStream, spoil: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut header = [0; 5];
        io.read_exact(&mut header).await.unwrap();
        let mut client = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        io.read_exact(&mut client).await.unwrap();
        let mut transcript = digest::Context::new(&SHA256);
        transcript.update(&client);

        let random = SystemRandom::new();
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &random).unwrap();
        let public = private.compute_public_key().unwrap();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0x13, 1, 0]);
        // supported_versions, key_share (RFC 8446 §4.2.1, §4.2.8).
        let mut extensions = vec![0, 43, 0, 2, 3, 4, 0, 51, 0, 69, 0, 23, 0, 65];
        extensions.extend(public.as_ref());
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut hello = message(2, &body);
        spoil(&mut hello);
        transcript.update(&hello);
        // A device that has had enough closes the pipe, which is not this side's concern, here and below.
        let _ = io.write_all(&plain(HANDSHAKE, &hello)).await;

        let peer = UnparsedPublicKey::new(&ECDH_P256, key_share(&client));
        let shared = agree_ephemeral(private, &peer, <[u8]>::to_vec).unwrap();
        let early = Salt::new(HKDF_SHA256, &[0; 32]).extract(&[0; 32]);
        let salt = expand(&early, "derived", digest(&SHA256, b"").as_ref(), 32);
        let handshake = Salt::new(HKDF_SHA256, &salt).extract(&shared);
        let traffic = secret(&handshake, "s hs traffic", &transcript);
        Self { io, transcript, handshake, traffic, sequence: 0, spoil: None }
    }

    /// Sends a handshake message in a record of its own.
    pub(crate) async fn handshake(&mut self, kind: u8, body: &[u8]) {
        let message = message(kind, body);
        self.transcript.update(&message);
        self.send(HANDSHAKE, &message).await;
    }

    /// The messages of a decent server before its Finished.
    pub(crate) async fn introduce(&mut self, certificate: &[u8], key: &KeyPair) {
        self.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]).await;
        self.handshake(CERTIFICATE, &chain(certificate)).await;
        let proof = self.proof(key);
        self.handshake(CERTIFICATE_VERIFY, &proof).await;
    }

    /// CertificateVerify (RFC 8446 §4.4.3).
    pub(crate) fn proof(&self, key: &KeyPair) -> Vec<u8> {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = signature::EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der(), &random).unwrap();
        let mut signed = vec![b' '; 64];
        signed.extend(b"TLS 1.3, server CertificateVerify\0");
        signed.extend(self.transcript.clone().finish().as_ref());
        let signature = key.sign(&random, &signed).unwrap();
        let mut proof = vec![4, 3];
        proof.extend(u16::try_from(signature.as_ref().len()).unwrap().to_be_bytes());
        proof.extend(signature.as_ref());
        proof
    }

    /// Sends a Finished that is right (RFC 8446 §4.4.4), and goes over to the keys of the open session.
    pub(crate) async fn finish(&mut self) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &expand(&self.traffic, "finished", &[], 32));
        let tag = hmac::sign(&key, self.transcript.clone().finish().as_ref());
        self.handshake(FINISHED, tag.as_ref()).await;
        let salt = expand(&self.handshake, "derived", digest(&SHA256, b"").as_ref(), 32);
        let master = Salt::new(HKDF_SHA256, &salt).extract(&[0; 32]);
        self.traffic = secret(&master, "s ap traffic", &self.transcript);
        self.sequence = 0;
    }

    /// Sends an encrypted record.
    pub(crate) async fn send(&mut self, kind: u8, content: &[u8]) {
        let mut inner = content.to_vec();
        inner.push(kind);
        self.encrypted(inner).await;
    }

    /// Sends an encrypted record with this inside, which is content, type and padding.
    pub(crate) async fn encrypted(&mut self, inner: Vec<u8>) {
        let record = self.seal(inner);
        self.raw(&record).await;
    }

    /// Sends these bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }

    /// Sends nothing more, which the device sees.
    pub(crate) async fn hang_up(&mut self) {
        let _ = self.io.shutdown().await;
    }

    /// The next record, with this inside.
    pub(crate) fn seal(&mut self, mut inner: Vec<u8>) -> Vec<u8> {
        if let Some((_, spoil)) = self.spoil.as_ref().filter(|(number, _)| *number == self.sequence) {
            spoil(&mut inner);
        }
        let key = expand(&self.traffic, "key", &[], 16);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap());
        let mut nonce: [u8; 12] = expand(&self.traffic, "iv", &[], 12).try_into().unwrap();
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        self.sequence += 1;
        let len = u16::try_from(inner.len() + aead::AES_128_GCM.tag_len()).unwrap().to_be_bytes();
        let header = [DATA, 3, 3, len[0], len[1]];
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, aead::Aad::from(header), &mut inner).unwrap();
        [&header, &*inner].concat()
    }
}

/// A record that is not encrypted.
pub(crate) fn plain(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, len[0], len[1]], content].concat()
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, len[1], len[2], len[3]], body].concat()
}

/// The body of a Certificate with one entry.
pub(crate) fn chain(certificate: &[u8]) -> Vec<u8> {
    let entry = [&message(0, certificate)[1..], &[0, 0]].concat();
    [&[0], &message(0, &entry)[1..]].concat()
}

/// The client's share on P-256, in its hello.
fn key_share(hello: &[u8]) -> &[u8] {
    let at = hello.windows(6).position(|bytes| bytes[..2] == [0, 51] && bytes[4..] == [0, 69]).unwrap();
    &hello[at + 10..at + 10 + 65]
}

fn secret(prk: &Prk, label: &str, transcript: &digest::Context) -> Prk {
    let bytes = expand(prk, label, transcript.clone().finish().as_ref(), 32);
    Prk::new_less_safe(HKDF_SHA256, &bytes)
}

/// HKDF-Expand-Label (RFC 8446 §7.1).
fn expand(prk: &Prk, label: &str, context: &[u8], len: usize) -> Vec<u8> {
    struct Len(usize);
    impl KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = format!("tls13 {label}");
    let size = u16::try_from(len).unwrap().to_be_bytes();
    let info = [&size[..], &[label.len() as u8], label.as_bytes(), &[context.len() as u8], context];
    let mut out = vec![0; len];
    prk.expand(&info, Len(len)).unwrap().fill(&mut out).unwrap();
    out
}
