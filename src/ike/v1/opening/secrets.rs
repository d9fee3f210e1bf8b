//! What phase 1 leads to before anybody is authenticated: keys, proofs and the IV, from what both sides sent (RFC 2409 §5, appendix B).

use crate::crypto::hash::Hash;
use crate::crypto::secret::Secret;
use crate::ike::action::DropReason;
use crate::ike::v1::header::{Header, PayloadType};
use crate::ike::v1::isakmp_sa::PeerAuthenticated;
use crate::ike::v1::iv::Iv;
use crate::ike::v1::keys::{Exchanged, Skeyid, hash_of};
use crate::ike::v1::message::Hashed;
use crate::ike::v1::protect::Cipher;
use crate::ike::wire::chain::Contents;
use crate::sa::suite::{IkeSuite, Protection};

/// What both sides sent, ours first.
#[derive(Debug)]
pub(in crate::ike::v1) struct Sent {
    pub(in crate::ike::v1) cookies: ([u8; 8], [u8; 8]),
    pub(in crate::ike::v1) publics: (Vec<u8>, Vec<u8>),
    pub(in crate::ike::v1) nonces: (Vec<u8>, Vec<u8>),
    /// The body of our SA payload, octet by octet as it travelled: both hashes are over it (RFC 2409 §5).
    pub(in crate::ike::v1) sa: Vec<u8>,
    /// The body of our ID payload.
    pub(in crate::ike::v1) id: Vec<u8>,
}

/// Keys that nobody proved to have yet.
#[derive(Debug)]
pub(in crate::ike::v1) struct Secrets {
    pub(in crate::ike::v1) skeyid: Skeyid,
    pub(in crate::ike::v1) cipher: Cipher,
    hash: Hash,
    sent: Sent,
    /// Where phase 1's chain begins.
    first_iv: Iv,
    /// Where it stands: behind the last message that was sent or accepted.
    pub(in crate::ike::v1) iv: Iv,
}

impl Secrets {
    /// `None` if the suite is none of IKEv1.
    pub(in crate::ike::v1) fn derive(suite: IkeSuite, psk: &Secret, shared: &Secret, sent: Sent) -> Option<Self> {
        let Protection::CbcHmac { encryption, .. } = suite.protection else { return None };
        let skeyid = Skeyid::derive(suite, psk, shared, sent.exchanged());
        let cipher = Cipher::new(encryption, &skeyid.cipher_key(encryption))?;
        let publics = (sent.publics.0.as_slice(), sent.publics.1.as_slice());
        let hash = hash_of(suite.prf);
        let first_iv = Iv::of_phase1(hash, publics, cipher.block_len());
        Some(Self { skeyid, cipher, hash, sent, iv: first_iv.clone(), first_iv })
    }

    /// Ours, then the peer's.
    pub(in crate::ike::v1) fn cookies(&self) -> ([u8; 8], [u8; 8]) {
        self.sent.cookies
    }

    /// Our proof.
    pub(in crate::ike::v1) fn prove(&self) -> Vec<u8> {
        self.skeyid.hash_i(self.sent.exchanged(), &self.sent.sa, &self.sent.id).expose().to_vec()
    }

    /// The peer's proof, over its ID payload's body as it travelled.
    pub(in crate::ike::v1) fn check(&self, id: &[u8], hash: &[u8]) -> Option<PeerAuthenticated> {
        PeerAuthenticated::check(&self.skeyid.hash_r(self.sent.exchanged(), &self.sent.sa, id), hash)
    }

    /// Encrypts the next message of ours.
    pub(in crate::ike::v1) fn seal(&mut self, header: &Header, contents: &Contents) -> Option<Vec<u8>> {
        self.cipher.seal(header, &mut self.iv, contents).ok()
    }

    /// Decrypts the next message of the peer's, without believing it: what follows the header, and the IV behind it.
    pub(in crate::ike::v1) fn open(&self, rest: &[u8]) -> Result<(Vec<u8>, Iv), DropReason> {
        self.cipher.open(&self.iv, rest).map_err(|_| DropReason::Malformed)
    }

    /// Decrypts a message of an informational exchange during phase 1, if its HASH(1) is right: what the gateway sends that refuses our proof. Its IV
    /// follows from where the gateway's chain stands: behind our proof, or before it when that could not be read.
    pub(in crate::ike::v1) fn open_informational(
        &self,
        header: &Header,
        rest: &[u8],
    ) -> Result<(PayloadType, Vec<u8>), DropReason> {
        for phase1 in [&self.iv, &self.first_iv] {
            let iv = Iv::of_exchange(self.hash, phase1, header.message_id, self.cipher.block_len());
            let (octets, _) = self.cipher.open(&iv, rest).map_err(|_| DropReason::Malformed)?;
            let Ok(hashed) = Hashed::parse(header.next_payload, &octets) else { continue };
            if self.skeyid.hash_1(header.message_id, hashed.rest).matches(hashed.hash) {
                return Ok((PayloadType(hashed.next), hashed.rest.to_vec()));
            }
        }
        Err(DropReason::Forged)
    }
}

impl Sent {
    fn exchanged(&self) -> Exchanged<'_> {
        Exchanged {
            publics: (&self.publics.0, &self.publics.1),
            nonces: (&self.nonces.0, &self.nonces.1),
            cookies: self.cookies,
        }
    }
}
