//! CBC, then HMAC over everything (RFC 4303 §3.3.2.2, RFC 7296 §3.14). It knows no padding rule: texts are whole blocks.

use std::fmt;

use crate::crypto::cbc::{DecryptionKey, EncryptionKey};
use crate::crypto::cipher::{Authentic, BadKey, BadLength, Cbc, Forged, Integrity, ProtectionKeys, Text};
use crate::crypto::mac::Mac;

pub(in crate::crypto) struct CbcHmacSealer {
    key: EncryptionKey,
    mac: Mac,
}

pub(in crate::crypto) struct CbcHmacOpener {
    key: DecryptionKey,
    mac: Mac,
}

impl CbcHmacSealer {
    pub(in crate::crypto) fn new(encryption: Cbc, integrity: Integrity, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        let key = EncryptionKey::new(encryption, keys.encryption.expose())?;
        Ok(Self { key, mac: integrity_mac(integrity, keys)? })
    }

    pub(in crate::crypto) fn seal(&self, job: &mut Text<'_>) -> Result<(), BadLength> {
        self.key.encrypt(job.iv, job.text)?;
        self.mac.sign(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        Ok(())
    }
}

impl CbcHmacOpener {
    pub(in crate::crypto) fn new(encryption: Cbc, integrity: Integrity, keys: &ProtectionKeys) -> Result<Self, BadKey> {
        let key = DecryptionKey::new(encryption, keys.encryption.expose())?;
        Ok(Self { key, mac: integrity_mac(integrity, keys)? })
    }

    pub(in crate::crypto) fn open(&self, job: &mut Text<'_>) -> Result<Authentic, Forged> {
        let matches = self.mac.verify(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        // RFC 4303 §3.4.4.1: the ICV decides before anything is decrypted.
        let authentic = Authentic::when(matches)?;
        self.key.decrypt(job.iv, job.text).map_err(|BadLength| Forged)?;
        Ok(authentic)
    }
}

impl fmt::Debug for CbcHmacSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcHmacSealer(..)")
    }
}

impl fmt::Debug for CbcHmacOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcHmacOpener(..)")
    }
}

fn integrity_mac(integrity: Integrity, keys: &ProtectionKeys) -> Result<Mac, BadKey> {
    let key = keys.integrity.expose();
    if key.len() != integrity.key_len() {
        return Err(BadKey);
    }
    Ok(match integrity {
        Integrity::HmacSha1_96 => Mac::sha1(key),
        Integrity::HmacSha256_96 | Integrity::HmacSha256_128 => Mac::sha256(key),
        Integrity::HmacSha384_192 => Mac::sha384(key),
        Integrity::HmacSha512_256 => Mac::sha512(key),
    })
}
