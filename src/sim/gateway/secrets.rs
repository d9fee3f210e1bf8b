//! The gateway's key schedule and message protection, from RFC 7296 §2.13 to §2.17 and §3.14, RFC 5282 and RFC 7383.

use crate::crypto::cipher::{Opener, ProtectionKeys, Sealer, Text};
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::sa::suite::{IkeSuite, Prf, Protection};

use super::octets::{Message, Payload, chain, payload, set_length, write_chain};

fn prf_plus(prf: Prf, key: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    let mut stream: Vec<u8> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    let mut counter = 1u8;
    while stream.len() < length {
        last = prf.compute(key, &[&last, seed, &[counter]]).expose().to_vec();
        stream.extend_from_slice(&last);
        counter += 1;
    }
    stream.truncate(length);
    stream
}

fn cut(stream: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = stream.split_off(length);
    std::mem::replace(stream, rest)
}

fn keys(encryption: Vec<u8>, integrity: Vec<u8>) -> ProtectionKeys {
    ProtectionKeys { encryption: Secret::new(encryption), integrity: Secret::new(integrity) }
}

/// The SK_ values of one IKE SA, from the gateway's side.
pub(super) struct IkeSecrets {
    pub(super) suite: IkeSuite,
    sk_d: Vec<u8>,
    pub(super) sk_pi: Vec<u8>,
    pub(super) sk_pr: Vec<u8>,
    opener: Opener,
    sealer: Sealer,
    sent: u64,
}

impl IkeSecrets {
    pub(super) fn derive(suite: IkeSuite, shared: &[u8], ni: &[u8], nr: &[u8], spis: [[u8; 8]; 2]) -> Self {
        let skeyseed = suite.prf.compute(&[ni, nr].concat(), &[shared]);
        Self::expand(suite, skeyseed.expose(), &[ni, nr].concat(), spis, false)
    }

    /// Those of an IKE SA in place of this one (RFC 7296 §2.18); `ours`: the gateway asked for it.
    pub(super) fn next(
        &self,
        suite: IkeSuite,
        shared: &[u8],
        nonces: [&[u8]; 2],
        spis: [[u8; 8]; 2],
        ours: bool,
    ) -> Self {
        let nonces = nonces.concat();
        let skeyseed = self.suite.prf.compute(&self.sk_d, &[shared, &nonces]);
        Self::expand(suite, skeyseed.expose(), &nonces, spis, ours)
    }

    fn expand(suite: IkeSuite, skeyseed: &[u8], nonces: &[u8], spis: [[u8; 8]; 2], ours: bool) -> Self {
        let (p, e, a) =
            (suite.prf.output_len(), suite.protection.encryption_key_len(), suite.protection.integrity_key_len());
        let seed = [nonces, &spis.concat()].concat();
        let mut stream = prf_plus(suite.prf, skeyseed, &seed, 3 * p + 2 * e + 2 * a);
        let sk_d = cut(&mut stream, p);
        let (ai, ar) = (cut(&mut stream, a), cut(&mut stream, a));
        let (ei, er) = (cut(&mut stream, e), cut(&mut stream, e));
        let (sk_pi, sk_pr) = (cut(&mut stream, p), stream);
        let (initiator, responder) = (keys(ei, ai), keys(er, ar));
        let (sealing, opening) = if ours { (&initiator, &responder) } else { (&responder, &initiator) };
        let opener = Opener::new(suite.protection, opening).expect("derived keys fit");
        let sealer = Sealer::new(suite.protection, sealing).expect("derived keys fit");
        Self { suite, sk_d, sk_pi, sk_pr, opener, sealer, sent: 0 }
    }

    /// Keys of a child: what the client seals with, what we seal with; `ours`: the gateway asked for it.
    pub(super) fn child(
        &self,
        protection: Protection,
        shared: &[u8],
        nonces: [&[u8]; 2],
        ours: bool,
    ) -> (Opener, Sealer) {
        let (e, a) = (protection.encryption_key_len(), protection.integrity_key_len());
        let mut stream = prf_plus(self.suite.prf, &self.sk_d, &[shared, &nonces.concat()].concat(), 2 * e + 2 * a);
        let (ei, ai) = (cut(&mut stream, e), cut(&mut stream, a));
        let (er, ar) = (cut(&mut stream, e), stream);
        let (initiator, responder) = (keys(ei, ai), keys(er, ar));
        let (sealing, opening) = if ours { (&initiator, &responder) } else { (&responder, &initiator) };
        let opener = Opener::new(protection, opening).expect("derived keys fit");
        let sealer = Sealer::new(protection, sealing).expect("derived keys fit");
        (opener, sealer)
    }

    /// What stands in AUTH: prf(prf(PSK, pad), message | nonce | prf(SK_p, ID)).
    pub(super) fn auth(&self, psk: &[u8], message: &[u8], nonce: &[u8], sk_p: &[u8], id: &[u8]) -> Vec<u8> {
        let prf = self.suite.prf;
        let key = prf.compute(psk, &[b"Key Pad for IKEv2"]);
        let maced = prf.compute(sk_p, &[id]);
        prf.compute(key.expose(), &[message, nonce, maced.expose()]).expose().to_vec()
    }

    /// The inner payloads of an SK message, or (number, total, first kind, octets) of an SKF.
    pub(super) fn open(&self, message: &Message, datagram: &[u8]) -> Option<Opened> {
        let (first, mut at) = message.inner?;
        let fragment = message.payloads.last()?.0 == payload::SKF;
        let mut numbers = (0, 0);
        if fragment {
            let head = datagram.get(at..at + 4)?;
            numbers = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
            at += 4;
        }
        let protection = self.suite.protection;
        let end = datagram.len().checked_sub(protection.icv_len())?;
        let (head, iv) = (datagram.get(..at)?, datagram.get(at..at + protection.iv_len())?);
        let mut text = datagram.get(at + protection.iv_len()..end)?.to_vec();
        let mut icv = datagram[end..].to_vec();
        self.opener.open(Text { associated: head, iv, text: &mut text, suffix: &[], icv: &mut icv }).ok()?;
        let padding = usize::from(*text.last()?);
        text.truncate(text.len().checked_sub(padding + 1)?);
        if fragment {
            return Some(Opened::Fragment { number: numbers.0, total: numbers.1, first, text });
        }
        Some(Opened::Whole(chain(first, &text, 0)?.0))
    }

    pub(super) fn seal(&mut self, message: &Message, inner: &[Payload], random: &mut dyn Random) -> Vec<u8> {
        let mut text = Vec::new();
        write_chain(&mut text, inner);
        self.seal_text(message, inner.first().map_or(0, |(kind, _)| *kind), None, text, random)
    }

    /// The message in SKF pieces of at most `size` octets of text.
    pub(super) fn seal_fragments(
        &mut self,
        message: &Message,
        inner: &[Payload],
        size: usize,
        random: &mut dyn Random,
    ) -> Vec<Vec<u8>> {
        let mut text = Vec::new();
        write_chain(&mut text, inner);
        let first = inner.first().map_or(0, |(kind, _)| *kind);
        let pieces: Vec<Vec<u8>> = text.chunks(size).map(<[u8]>::to_vec).collect();
        let total = u16::try_from(pieces.len()).expect("few fragments");
        (1u16..)
            .zip(pieces)
            .map(|(number, piece)| {
                let first = if number == 1 { first } else { 0 };
                self.seal_text(message, first, Some((number, total)), piece, random)
            })
            .collect()
    }

    fn seal_text(
        &mut self,
        message: &Message,
        first: u8,
        fragment: Option<(u16, u16)>,
        mut text: Vec<u8>,
        random: &mut dyn Random,
    ) -> Vec<u8> {
        let protection = self.suite.protection;
        let block = protection.block_len();
        let padding = (block - (text.len() + 1) % block) % block;
        text.resize(text.len() + padding, 0);
        text.push(u8::try_from(padding).expect("less than a block"));
        let mut iv = vec![0; protection.iv_len()];
        self.sent += 1;
        match protection {
            Protection::Aead(_) => iv.copy_from_slice(&self.sent.to_be_bytes()),
            Protection::CbcHmac { .. } => random.fill(&mut iv),
        }
        let mut icv = vec![0; protection.icv_len()];
        let mut out = message.header(if fragment.is_some() { payload::SKF } else { payload::SK });
        let numbers =
            fragment.map_or(Vec::new(), |(number, total)| [number.to_be_bytes(), total.to_be_bytes()].concat());
        let length = u16::try_from(4 + numbers.len() + iv.len() + text.len() + icv.len()).expect("a payload's length");
        out.extend_from_slice(&[first, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&numbers);
        let total = out.len() + iv.len() + text.len() + icv.len();
        out.resize(total, 0);
        set_length(&mut out);
        out.truncate(total - iv.len() - text.len() - icv.len());
        self.sealer
            .seal(Text { associated: &out, iv: &iv, text: &mut text, suffix: &[], icv: &mut icv })
            .expect("lengths fit");
        [out, iv, text, icv].concat()
    }
}

pub(super) enum Opened {
    Whole(Vec<Payload>),
    Fragment { number: u16, total: u16, first: u8, text: Vec<u8> },
}
