//! CBC, then HMAC over everything (RFC 4303 §3.3.2.2, RFC 7296 §3.14). It knows no padding rule: texts are whole blocks.

use std::array;
use std::cmp::Reverse;
use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use crate::crypto::cbc::{DecryptionKey, EncryptionKey};
use crate::crypto::cipher::{Authentic, BadKey, BadLength, Cbc, Forged, Integrity, ProtectionKeys, Text};
use crate::crypto::mac::Mac;
use crate::crypto::multibuffer::{Backend, Chain, Decryption, EncryptionLanes, GROUP, HmacLanes, Message, Tag, WINDOW};

pub(in crate::crypto) struct CbcHmacSealer {
    key: EncryptionKey,
    mac: Mac,
    key_lanes: Option<EncryptionLanes>,
    mac_lanes: Option<HmacLanes>,
}

pub(in crate::crypto) struct CbcHmacOpener {
    key: DecryptionKey,
    mac: Mac,
    many: Option<Decryption>,
    mac_lanes: Option<HmacLanes>,
}

impl CbcHmacSealer {
    pub(in crate::crypto) fn new(
        encryption: Cbc,
        integrity: Integrity,
        keys: &ProtectionKeys,
        backend: Backend,
    ) -> Result<Self, BadKey> {
        let key_lanes = match encryption {
            Cbc::Aes(size) => EncryptionLanes::new(backend, size, keys.encryption.expose()),
            Cbc::TripleDes => None,
        };
        Ok(Self {
            key: EncryptionKey::new(encryption, keys.encryption.expose())?,
            mac: integrity_mac(integrity, keys)?,
            key_lanes,
            mac_lanes: HmacLanes::new(backend, integrity, keys.integrity.expose()),
        })
    }

    pub(in crate::crypto) fn seal(&self, job: &mut Text<'_>) -> Result<(), BadLength> {
        self.key.encrypt(job.iv, job.text)?;
        self.mac.sign(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        Ok(())
    }

    /// All of them have lengths that fit.
    pub(in crate::crypto) fn seal_batch(&self, jobs: &mut [Text<'_>]) -> Result<(), BadLength> {
        if (self.key_lanes.is_none() && self.mac_lanes.is_none()) || jobs.len() < 2 {
            return jobs.iter_mut().try_for_each(|job| self.seal(job));
        }
        for window in jobs.chunks_mut(WINDOW) {
            let mut sorted: [Option<&mut Text<'_>>; WINDOW] = [const { None }; WINDOW];
            let jobs = list(&mut sorted, window.iter_mut());
            by_length(jobs, |job| job.text.len());
            for group in jobs.chunks_mut(GROUP) {
                self.encrypt_group(group)?;
                self.sign_group(group);
            }
        }
        Ok(())
    }

    fn encrypt_group(&self, group: &mut [Option<&mut Text<'_>>]) -> Result<(), BadLength> {
        let Some(lanes) = &self.key_lanes else {
            return group.iter_mut().flatten().try_for_each(|job| self.key.encrypt(job.iv, job.text));
        };
        let mut chains: [Chain<'_>; GROUP] = Default::default();
        let chains = chains.get_mut(..group.len()).unwrap_or_default();
        for (chain, job) in chains.iter_mut().zip(group.iter_mut().flatten()) {
            *chain = Chain { block: *job.iv.first_chunk().ok_or(BadLength)?, text: job.text };
        }
        lanes.encrypt(chains);
        let mut rest = chains.iter_mut().filter(|chain| !chain.text.is_empty());
        rest.try_for_each(|chain| self.key.encrypt(&chain.block, chain.text))
    }

    fn sign_group(&self, group: &mut [Option<&mut Text<'_>>]) {
        let mut messages = [Message::default(); GROUP];
        let mut tags = [[0; 64]; GROUP];
        let messages = list(&mut messages, group.iter().flatten().map(|job| job.message()));
        let done = tags_by_lanes(self.mac_lanes.as_ref(), messages, &mut tags);
        for (job, tag) in group.iter_mut().flatten().zip(&tags).take(done) {
            job.icv.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
        }
        for job in group.iter_mut().flatten().skip(done) {
            self.mac.sign(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        }
    }
}

impl CbcHmacOpener {
    pub(in crate::crypto) fn new(
        encryption: Cbc,
        integrity: Integrity,
        keys: &ProtectionKeys,
        backend: Backend,
    ) -> Result<Self, BadKey> {
        let many = match encryption {
            Cbc::Aes(size) => Decryption::new(backend, size, keys.encryption.expose()),
            Cbc::TripleDes => None,
        };
        Ok(Self {
            many,
            key: DecryptionKey::new(encryption, keys.encryption.expose())?,
            mac: integrity_mac(integrity, keys)?,
            mac_lanes: HmacLanes::new(backend, integrity, keys.integrity.expose()),
        })
    }

    pub(in crate::crypto) fn open(&self, job: &mut Text<'_>) -> Result<Authentic, Forged> {
        let matches = self.mac.verify(&[job.associated, job.iv, job.text, job.suffix], job.icv);
        self.decrypt(job, matches)
    }

    /// Opens each by itself. None of them may have a length that does not fit.
    pub(in crate::crypto) fn open_batch(&self, jobs: &mut [Text<'_>], verdicts: &mut Vec<Result<Authentic, Forged>>) {
        if self.mac_lanes.is_none() || jobs.len() < 2 {
            verdicts.extend(jobs.iter_mut().map(|job| self.open(job)));
            return;
        }
        for window in jobs.chunks_mut(WINDOW) {
            let matches = self.verify_window(window);
            let Some(many) = &self.many else {
                verdicts.extend(window.iter_mut().zip(matches).map(|(job, matches)| self.decrypt(job, matches)));
                continue;
            };
            let mut chains: [Chain<'_>; WINDOW] = array::from_fn(|_| Chain::default());
            let opened = window.iter_mut().zip(matches).filter_map(|(job, matches)| {
                let block = job.iv.first_chunk().copied().ok_or(Forged);
                // RFC 4303 §3.4.4.1: the ICV decides before anything is decrypted.
                let opened = block.and_then(|block| Ok((Authentic::when(matches)?, block)));
                let chain = opened.as_ref().ok().map(|(_, block)| Chain { block: *block, text: &mut *job.text });
                verdicts.push(opened.map(|(authentic, _)| authentic));
                chain
            });
            many.decrypt(list(&mut chains, opened));
        }
    }

    fn verify_window(&self, window: &[Text<'_>]) -> [Choice; WINDOW] {
        let mut matches = [Choice::from(0); WINDOW];
        let mut sorted: [Option<(usize, &Text<'_>)>; WINDOW] = [None; WINDOW];
        let jobs = list(&mut sorted, window.iter().enumerate());
        by_length(jobs, |(_, job)| job.text.len());
        for group in jobs.chunks(GROUP) {
            let mut messages = [Message::default(); GROUP];
            let mut tags = [[0; 64]; GROUP];
            let messages = list(&mut messages, group.iter().flatten().map(|(_, job)| job.message()));
            let done = tags_by_lanes(self.mac_lanes.as_ref(), messages, &mut tags);
            for (position, ((index, job), tag)) in group.iter().flatten().zip(&tags).enumerate() {
                let verdict = if position < done {
                    tag.get(..job.icv.len()).map_or(Choice::from(0), |start| equal(start, job.icv))
                } else {
                    self.mac.verify(&[job.associated, job.iv, job.text, job.suffix], job.icv)
                };
                matches.get_mut(*index).into_iter().for_each(|matches| *matches = verdict);
            }
        }
        matches
    }

    fn decrypt(&self, job: &mut Text<'_>, matches: Choice) -> Result<Authentic, Forged> {
        // RFC 4303 §3.4.4.1: the ICV decides before anything is decrypted.
        let authentic = Authentic::when(matches)?;
        self.key.decrypt(job.iv, job.text).map_err(|BadLength| Forged)?;
        Ok(authentic)
    }
}

/// Fills the list from its start, and gives back what it filled.
fn list<T: From<U>, U>(slots: &mut [T], items: impl Iterator<Item = U>) -> &mut [T] {
    let filled = slots.iter_mut().zip(items).map(|(slot, item)| *slot = item.into()).count();
    slots.get_mut(..filled).unwrap_or_default()
}

/// The longest first, so that those that share lanes have nearly one length.
fn by_length<T>(jobs: &mut [Option<T>], length: impl Fn(&T) -> usize) {
    jobs.sort_unstable_by_key(|job| Reverse(job.as_ref().map(&length)));
}

/// Like `ct_eq`, but by words instead of octets.
fn equal(a: &[u8], b: &[u8]) -> Choice {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).map(|(a, b)| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b));
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| u64::from(a ^ b));
    words.chain(rest).fold(0, |all, difference| all | difference).ct_eq(&0)
}

fn tags_by_lanes(lanes: Option<&HmacLanes>, messages: &[Message<'_>], tags: &mut [Tag; GROUP]) -> usize {
    lanes.filter(|_| messages.iter().all(Message::fits_a_lane)).map_or(0, |lanes| lanes.tags(messages, tags))
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
