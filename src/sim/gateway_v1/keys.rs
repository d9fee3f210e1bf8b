//! The gateway's key schedule, hashes, IVs and encryption, from RFC 2409 §5 and appendix B.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use des::TdesEde3;

use crate::crypto::cipher::{AesKey, Cbc, Opener, ProtectionKeys, Sealer};
use crate::crypto::hash::Hash;
use crate::crypto::secret::Secret;
use crate::sa::suite::{Prf, Protection};

/// The hash whose HMAC is the prf (RFC 2409 §4: no other prf is negotiated).
pub(super) fn hash_of(prf: Prf) -> Hash {
    match prf {
        Prf::HmacSha1 => Hash::Sha1,
        Prf::HmacSha256 => Hash::Sha256,
        Prf::HmacSha384 => Hash::Sha384,
        Prf::HmacSha512 => Hash::Sha512,
    }
}

fn key_len(cipher: Cbc) -> usize {
    match cipher {
        Cbc::Aes(key) => key.len(),
        Cbc::TripleDes => 24,
    }
}

pub(super) fn block_len(cipher: Cbc) -> usize {
    match cipher {
        Cbc::Aes(_) => 16,
        Cbc::TripleDes => 8,
    }
}

/// The values of phase 1 that all else follows from.
#[derive(Clone)]
pub(super) struct Exchanged {
    pub(super) cky_i: [u8; 8],
    pub(super) cky_r: [u8; 8],
    pub(super) nonces: [Vec<u8>; 2],
    pub(super) publics: [Vec<u8>; 2],
    pub(super) shared: Vec<u8>,
    /// SAi_b: the body of the initiator's SA payload as it came.
    pub(super) sa: Vec<u8>,
}

/// SKEYID and what follows from it.
#[derive(Clone)]
pub(super) struct Keys {
    prf: Prf,
    cipher: Cbc,
    skeyid: Vec<u8>,
    d: Vec<u8>,
    a: Vec<u8>,
    encryption: Vec<u8>,
    exchanged: Exchanged,
}

impl Keys {
    /// For authentication with a pre-shared key.
    pub(super) fn derive(prf: Prf, cipher: Cbc, psk: &[u8], exchanged: Exchanged) -> Self {
        let compute = |key: &[u8], parts: &[&[u8]]| prf.compute(key, parts).expose().to_vec();
        let skeyid = compute(psk, &[&exchanged.nonces[0], &exchanged.nonces[1]]);
        let tail = [&exchanged.shared[..], &exchanged.cky_i, &exchanged.cky_r].concat();
        let d = compute(&skeyid, &[&tail, &[0]]);
        let a = compute(&skeyid, &[&d, &tail, &[1]]);
        let e = compute(&skeyid, &[&a, &tail, &[2]]);
        let mut encryption = e.clone();
        if e.len() < key_len(cipher) {
            // Appendix B: Ka = K1 | K2 | K3, K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1)
            let mut block = compute(&e, &[&[0]]);
            encryption = block.clone();
            while encryption.len() < key_len(cipher) {
                block = compute(&e, &[&block]);
                encryption.extend_from_slice(&block);
            }
        }
        encryption.truncate(key_len(cipher));
        Self { prf, cipher, skeyid, d, a, encryption, exchanged }
    }

    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        self.prf.compute(key, parts).expose().to_vec()
    }

    pub(super) fn hash(&self) -> Hash {
        hash_of(self.prf)
    }

    /// HASH_I over the body of IDii.
    pub(super) fn hash_i(&self, id: &[u8]) -> Vec<u8> {
        let it = &self.exchanged;
        self.prf(&self.skeyid, &[&it.publics[0], &it.publics[1], &it.cky_i, &it.cky_r, &it.sa, id])
    }

    /// HASH_R over the body of IDir.
    pub(super) fn hash_r(&self, id: &[u8]) -> Vec<u8> {
        let it = &self.exchanged;
        self.prf(&self.skeyid, &[&it.publics[1], &it.publics[0], &it.cky_r, &it.cky_i, &it.sa, id])
    }

    /// HASH(1) of quick mode, and of informational and transaction exchanges: over the message ID and all that follows the hash.
    pub(super) fn hash_1(&self, id: u32, rest: &[u8]) -> Vec<u8> {
        self.prf(&self.a, &[&id.to_be_bytes(), rest])
    }

    /// HASH(2) of quick mode.
    pub(super) fn hash_2(&self, id: u32, ni: &[u8], rest: &[u8]) -> Vec<u8> {
        self.prf(&self.a, &[&id.to_be_bytes(), ni, rest])
    }

    /// HASH(3) of quick mode.
    pub(super) fn hash_3(&self, id: u32, ni: &[u8], nr: &[u8]) -> Vec<u8> {
        self.prf(&self.a, &[&[0], &id.to_be_bytes(), ni, nr])
    }

    /// The keys of the SA whose receiver chose `spi`.
    fn keymat(&self, protection: Protection, shared: &[u8], spi: u32, nonces: [&[u8]; 2]) -> ProtectionKeys {
        let (e, a) = (protection.encryption_key_len(), protection.integrity_key_len());
        let seed = [shared, &[3], &spi.to_be_bytes(), nonces[0], nonces[1]].concat();
        let mut block = self.prf(&self.d, &[&seed]);
        let mut stream = block.clone();
        while stream.len() < e + a {
            block = self.prf(&self.d, &[&block, &seed]);
            stream.extend_from_slice(&block);
        }
        stream.truncate(e + a);
        let integrity = stream.split_off(e);
        ProtectionKeys { encryption: Secret::new(stream), integrity: Secret::new(integrity) }
    }

    /// The keys of a pair of SAs: what opens what comes to `inbound`, what seals for `outbound`.
    pub(super) fn child(
        &self,
        protection: Protection,
        shared: &[u8],
        [inbound, outbound]: [u32; 2],
        nonces: [&[u8]; 2],
    ) -> (Opener, Sealer) {
        let opener = Opener::new(protection, &self.keymat(protection, shared, inbound, nonces));
        let sealer = Sealer::new(protection, &self.keymat(protection, shared, outbound, nonces));
        (opener.expect("derived keys fit"), sealer.expect("derived keys fit"))
    }

    /// The IV of the first encrypted message of phase 1.
    pub(super) fn first_iv(&self) -> Vec<u8> {
        let mut iv = self.hash().digest(&[&self.exchanged.publics[0], &self.exchanged.publics[1]]);
        iv.truncate(block_len(self.cipher));
        iv
    }

    /// The IV of the first message of an exchange behind phase 1, whose last block is `last`.
    pub(super) fn exchange_iv(&self, last: &[u8], id: u32) -> Vec<u8> {
        let mut iv = self.hash().digest(&[last, &id.to_be_bytes()]);
        iv.truncate(block_len(self.cipher));
        iv
    }

    /// Pads with zeros, encrypts, and leaves the last block as the next IV.
    pub(super) fn encrypt(&self, iv: &mut Vec<u8>, text: &[u8]) -> Vec<u8> {
        let block = block_len(self.cipher);
        let mut text = text.to_vec();
        text.resize(text.len().next_multiple_of(block).max(block), 0);
        match self.cipher {
            Cbc::Aes(AesKey::Aes128) => {
                over(cbc::Encryptor::<Aes128>::new_from_slices(&self.encryption, iv), &mut text)
            }
            Cbc::Aes(AesKey::Aes192) => {
                over(cbc::Encryptor::<Aes192>::new_from_slices(&self.encryption, iv), &mut text)
            }
            Cbc::Aes(AesKey::Aes256) => {
                over(cbc::Encryptor::<Aes256>::new_from_slices(&self.encryption, iv), &mut text)
            }
            Cbc::TripleDes => over(cbc::Encryptor::<TdesEde3>::new_from_slices(&self.encryption, iv), &mut text),
        }
        *iv = text[text.len() - block..].to_vec();
        text
    }

    /// Decrypts; the next IV is the last block of `text`, once the message proved to be genuine.
    pub(super) fn decrypt(&self, iv: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let mut text = text.to_vec();
        if text.is_empty() || !text.len().is_multiple_of(block_len(self.cipher)) {
            return None;
        }
        let key = &self.encryption;
        match self.cipher {
            Cbc::Aes(AesKey::Aes128) => under(cbc::Decryptor::<Aes128>::new_from_slices(key, iv), &mut text),
            Cbc::Aes(AesKey::Aes192) => under(cbc::Decryptor::<Aes192>::new_from_slices(key, iv), &mut text),
            Cbc::Aes(AesKey::Aes256) => under(cbc::Decryptor::<Aes256>::new_from_slices(key, iv), &mut text),
            Cbc::TripleDes => under(cbc::Decryptor::<TdesEde3>::new_from_slices(key, iv), &mut text),
        }
        Some(text)
    }

    /// The last block of an encrypted message.
    pub(super) fn last_block(&self, text: &[u8]) -> Vec<u8> {
        text[text.len() - block_len(self.cipher)..].to_vec()
    }
}

fn over<M: BlockModeEncrypt, E: std::fmt::Debug>(mode: Result<M, E>, text: &mut [u8]) {
    mode.expect("key and IV fit").encrypt_blocks(Array::slice_as_chunks_mut(text).0);
}

fn under<M: BlockModeDecrypt, E: std::fmt::Debug>(mode: Result<M, E>, text: &mut [u8]) {
    mode.expect("key and IV fit").decrypt_blocks(Array::slice_as_chunks_mut(text).0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sa::suite::Integrity;

    /// Computed with Python's hmac and hashlib from the formulas of RFC 2409: the key, and SHA-256 over key, IVs, hashes and KEYMAT.
    #[test]
    fn everything_is_as_another_computed_it() {
        let exchanged = || Exchanged {
            cky_i: [1, 2, 3, 4, 5, 6, 7, 8],
            cky_r: [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8],
            nonces: [(0..16).collect(), (100..124).collect()],
            publics: [vec![0x11; 256], vec![0x22; 256]],
            shared: vec![0x33; 256],
            sa: b"\0\0\0\x01\0\0\0\x01proposals".to_vec(),
        };
        let aes = |key| Cbc::Aes(key);
        let expected = [
            (
                Prf::HmacSha1,
                aes(AesKey::Aes256),
                "71602eacdca39643f335dc984197aec8984b25a37c09ef4a5508ea1704cf66c0",
                "cc15aba1d6cd21d5afef1b1d421843a507edb8f800c684d4e4a3d5d3b395f43c",
            ),
            (
                Prf::HmacSha1,
                Cbc::TripleDes,
                "71602eacdca39643f335dc984197aec8984b25a37c09ef4a",
                "ed740ffadbc1f6941e4493034a1f2922cedd4fb1443a5bf8611d7c31d4fea472",
            ),
            (
                Prf::HmacSha256,
                aes(AesKey::Aes256),
                "598e33d68ec8d7b8bf3c0c2bc9f45cf0dc7d81d10e8d98739c841f9408421109",
                "a8a17066a1a2aa23d3abf5a5b29a29fd8ac87b6a962a3db7cfeef135567b121b",
            ),
            (
                Prf::HmacSha512,
                aes(AesKey::Aes128),
                "c363c6ed65b085bf20f542a1f6d20ae6",
                "f7456054b1c363ec2aa105ba18a2b6cf8b3c2970f149d004bf921ec7a84ffe59",
            ),
        ];
        for (prf, cipher, key, fingerprint) in expected {
            let keys = Keys::derive(prf, cipher, b"a key of more than twenty characters", exchanged());
            let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
            assert_eq!(hex(&keys.encryption), key, "{prf:?}");
            let [ni, nr] = exchanged().nonces;
            let id = b"\x02\0\0\0gateway.example";
            let encryption = Cbc::Aes(AesKey::Aes256);
            let protection = Protection::CbcHmac { encryption, integrity: Integrity::HmacSha256_128 };
            let child = keys.keymat(protection, &[0x33; 256], 0x2001, [&ni, &nr]);
            let all = [
                keys.encryption.clone(),
                keys.first_iv(),
                keys.exchange_iv(&vec![0x44; block_len(cipher)], 0xdead_beef),
                keys.hash_i(id),
                keys.hash_r(id),
                keys.hash_1(0xdead_beef, b"rest"),
                keys.hash_2(0xdead_beef, &ni, b"rest"),
                keys.hash_3(0xdead_beef, &ni, &nr),
                child.encryption.expose().to_vec(),
                child.integrity.expose().to_vec(),
            ];
            assert_eq!(hex(&Hash::Sha256.digest(&[&all.concat()])), fingerprint, "{prf:?}");
        }
    }
}
