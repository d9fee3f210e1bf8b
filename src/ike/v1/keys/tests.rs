//! Every expected value was computed by another program: RFC 2409 §5, §5.5 and appendix B written out with Python's hmac, from the octets below.

use super::*;
use crate::crypto::cipher::{Aead, AesKey, GcmIcv, Integrity, Protection};
use crate::crypto::dh::Group;

const MESSAGE_ID: u32 = 0x89ab_cdef;
const SPI: [u8; 4] = [0xc0, 0xff, 0xee, 0x01];

struct Vector {
    prf: Prf,
    derivation: &'static str,
    authentication: &'static str,
    encryption: &'static str,
    hash_i: &'static str,
    hash_r: &'static str,
    hash_1: &'static str,
    hash_2: &'static str,
    hash_3: &'static str,
    key_24: &'static str,
    key_32: &'static str,
    /// 96 octets without, then with a key exchange in quick mode.
    keymat: &'static str,
    keymat_pfs: &'static str,
}

const VECTORS: [Vector; 4] = [
    Vector {
        prf: Prf::HmacSha1,
        derivation: "b708303df425599d24b2f91471df151c26f118f3",
        authentication: "9c9b92153ed80fa6b8f9e12d14b43c2917cefca7",
        encryption: "c3327f5a7f58c5821a0152ebad3f04f6c8683e0d",
        hash_i: "5398cdf697f9901a06027e66e435ab9f9c16fffd",
        hash_r: "75fa893e29da7f59026f067db484834ec87c5d5c",
        hash_1: "1db671c385091061dda9518493c7eaecb2f62f71",
        hash_2: "9989e24a27727a19b4047e3645a2ae8ff5ba8b66",
        hash_3: "1b570418d800d83b1e0d44b107a1cd8e85d02da0",
        key_24: "283f950e2d300a185a570ab4eb31d7886632e41556ca1826",
        key_32: "283f950e2d300a185a570ab4eb31d7886632e41556ca1826a920a8678fc06094",
        keymat: "\
         2f565afd5d170f2c45aa619b9aee0bdf2684ee189684cf3b3b5456aa8dc9a3b17ad5504019a072ac74a28141db3a98ba\
         2bca98662e7bd9064d43d420c8b1410e1fa0335a355abeaf81b791fc01ce65046e3f371ab9f02d737a5bbd7d8da1c454",
        keymat_pfs: "\
         34fc075e07ea5424cfebc98fd5088d74993ea5d239c2d143da33f19c32abd20e12068ecad40a61795aebe43030c449ec\
         4dcf6d2032ca9ea403504c59c547801ec3e52d8ba63fbd41f6e161435fc312b17d2e2f75a4000e9777840177218aceab",
    },
    Vector {
        prf: Prf::HmacSha256,
        derivation: "2a2a90960ffe28856408f1dd87d26932bbabb46eb545efe0e0c4c280c8bdcb3a",
        authentication: "0912ae1e8d01627a57afdd42aa9da54c37dc67ffd5ce4701c0c26a775acae96c",
        encryption: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a37fa676ae38099fc",
        hash_i: "371a1d3b39c7390f909f16b44460b52984e7081f385c90de0603a9eb3cee4089",
        hash_r: "a0e952ff6f5825641d64a401289f8a4b0d60f258d376fd7e1a6da57701cbff9e",
        hash_1: "36cdfcb044637668bf510d0956b54c74d5d7b865f6812fd27cd22657262f63a1",
        hash_2: "7d37e69172b6543b7865ec49b863f4e2c366f7a6f26142524ea9b1b5946757c2",
        hash_3: "5442f7ffe8abbeb054076bbd26de88296501eb498abd55adb3a7ce9d88366b23",
        key_24: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a",
        key_32: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a37fa676ae38099fc",
        keymat: "\
         c45ae79e5b04a05925f2c9b205b6fec303c488d780f5ea67e7ba77a9de93d33fb5ebd578a351d973d6401b4a490712bf\
         ef7dbdc207fbed3aabe1190fcd8e2edfb46c508420a2bf9bde78079574e727a4e8c53c7e2ca0082bca8e9ecc0c024377",
        keymat_pfs: "\
         51e7ca686638957e03be87d8ac4ca928098c852f7b044a49c5e13cb7ae6619ce9d2eb3d013a51af515c07f45d80b1901\
         2cf5d7e93b03918a0b37ea2a18b7295c81a87f9d6feb679816d60e4f50731da79e7537e945a3257f7313e8f890d037a2",
    },
    Vector {
        prf: Prf::HmacSha384,
        derivation: "417e2c1760a4b45236e29924a6b785e92e9bd4c1b7af8c497d39dc6e28eaf0990d462f9490a978381a39bf7b4f33e147",
        authentication: "d27669594d8a0826ef769ebd0a0b90e46d48b9f13e3758bec58154afada5997af2ee07eace6d5aaa71dc76a011f9643b",
        encryption: "728ec66bb9ada85899839110a255557c4f732ab1809466845a37f675168b0040afed51fd3a18445868556b035814b9ca",
        hash_i: "3a3121f1b58c482c889b80f1722f69bba84a9d93eb1a3cf7db3a446af716e75b6090e05fa1097b1d79a3300ddb9910bb",
        hash_r: "8116bfe184ccf8bcb65600c4a7914e34f2815b6e7e4557ec7667af4714e1f80389c47e0b326d0f0513c7a589e6b2a2ff",
        hash_1: "2b2a16b18e514b5e82778aa0a5ebce73f23bd4fb8bffe70c4a4f2e5c8cd855b6327c1c71cc6799bc197190401a3277bf",
        hash_2: "f592e02fa81320c0415ca8b18b2f943e2bc81f7ab2d6346253de5b480d2902e47e3ac5dfb741ae190c54d3629971f84e",
        hash_3: "43d7aa95bfdfb941b7a6c6b8f1157bf14dec1a673b329fc94c69f8eba9810b8c31bd700976d4aa898128290dbf652126",
        key_24: "728ec66bb9ada85899839110a255557c4f732ab180946684",
        key_32: "728ec66bb9ada85899839110a255557c4f732ab1809466845a37f675168b0040",
        keymat: "\
         29a9a18d8890b0c5365c5d263e162d3cd1d40dd31cc1c2a480169a0945c48e02d08d0b64fd67a32a2657f10bb0ef1279\
         193e0b2a6126845d334f89698c54a4b2cf6173f8211176c06f5ffaa27157bbcc79c30de59b7db8f1eb43f5c37a2caa1b",
        keymat_pfs: "\
         4f8c32348c95b2fd336a91db4dcf065442d03d41a2cb704ea8734741dedbe8554d6f7b2ed14a6726a2f6301b835ed842\
         fb0f2c04c429496a42ca1462dc0108fac64b4ed595f385331b9ef7f8e2f6500fc362639ac53273d7cacd27dd7d1f0073",
    },
    Vector {
        prf: Prf::HmacSha512,
        derivation: "\
         fee31941453d922aaa2541ef3e61351d3352620aae7ac85875391687efcd6af1a865724f145e095076a590fe586972ac\
         fad6f0868de1adefc122cc57bc55b77c",
        authentication: "\
         1b2595fbd71b5daee9a0bff13329ea9723cf092a9c6ba114df6c224f11eec85276fc6af2c356e75f5876f54e74e0b01b\
         2beaf15f694a778435f725d4f2904108",
        encryption: "\
         f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd10993a8df938aa0cb65ee2a96188c3e9c33a7c88b0b077ae\
         97a30c8e72bd727c0bf40d60a5f6f968",
        hash_i: "\
         050d27e21591b22362d5696b736224f2a136abe66099641ac5c1565b367023f8e3447c7ba8e1ec4dbf39b8667c03592b\
         5a5fac0b946fcce8d6eacdf598388bdb",
        hash_r: "\
         3e7747890277ff41bafc3de817734cc69864665571b0edf7a20b9fec8da5d999dd318029fe9512ef1498a0f4a689a859\
         207570900442fbc534e3f37243a64bde",
        hash_1: "\
         fabda9cddeaf12267cb137b2ffeb264a5d540b3dc82d4e84488c932f2d7504245294bfbfb9826a3404217ec72e87b29c\
         e8f2539084502f317036b7a183955ba1",
        hash_2: "\
         b3b753cb4a772d790ac54010e16ff2f45ca9f7831ac0950e8e8658dd18aea73fc7997620d4ba001d6820929dfc5d158c\
         8f839604207879bf2816dfa1ce845234",
        hash_3: "\
         1a55c6d96902c065335d223aff92cb0715bb03dc2e0457ca2af551f37372f97b4e2a8b3c929c601ca0d3cf5ddb770f59\
         1a11f4e860438f69cc6b69e9c2bdd4d8",
        key_24: "f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd",
        key_32: "f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd10993a8df938aa0c",
        keymat: "\
         4a93d440f666624a1d1bd315a0481d1acb9b587feb8fdcffa917a2fbe65abfe3ccb3c3201967ac2843c20ac1bf95f5cc\
         6fb174c8249a215a6841a9c459012f47e9ed08b19aa9df3bd50042f0410a06cf17c967ca2d3b4b3740ae6e9f9dee8189",
        keymat_pfs: "\
         7f595f8acb7d192e31dd3c7d5b9ac2ff1b5ba91678721166798b232ab6bbbeb6c7199d61dc5fa9ef58a0baf301bb9db6\
         b48b5bb6b8f4b90e8cbd178ff0ab24b04f75c6d1004dae8bd4d39e04585d1b41beb4c597319097333483bf8f4fc2359f",
    },
];

/// Octets that are easily written elsewhere: `step` apart, from `start`.
fn octets(len: usize, step: u8, start: u8) -> Vec<u8> {
    std::iter::successors(Some(start), |last| Some(last.wrapping_add(step))).take(len).collect()
}

struct Inputs {
    publics: (Vec<u8>, Vec<u8>),
    nonces: (Vec<u8>, Vec<u8>),
    shared: Secret,
    /// The SA body as it was sent, and what follows the HASH payload of a message.
    sa: Vec<u8>,
    rest: Vec<u8>,
}

fn inputs() -> Inputs {
    Inputs {
        publics: (octets(256, 5, 1), octets(256, 7, 2)),
        nonces: (octets(32, 1, 0), octets(20, 1, 100)),
        shared: Secret::new(octets(256, 11, 3)),
        sa: octets(52, 13, 4),
        rest: octets(77, 17, 5),
    }
}

impl Inputs {
    fn exchanged(&self) -> Exchanged<'_> {
        Exchanged {
            publics: (&self.publics.0, &self.publics.1),
            nonces: (&self.nonces.0, &self.nonces.1),
            cookies: ([0x11; 8], [0x22; 8]),
        }
    }

    fn skeyid(&self, prf: Prf) -> Skeyid {
        let protection = Protection::CbcHmac { encryption: Cbc::TripleDes, integrity: Integrity::HmacSha1_96 };
        let suite = IkeSuite { protection, prf, group: Group::Modp2048 };
        Skeyid::derive(suite, &Secret::copy_of(b"correct horse battery staple"), &self.shared, self.exchanged())
    }
}

fn hex(secret: &Secret) -> String {
    secret.expose().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn id_i() -> Vec<u8> {
    [&[2, 17, 0x01, 0xf4][..], b"client.example.org"].concat()
}

const ID_R: [u8; 8] = [1, 0, 0, 0, 198, 51, 100, 1];

#[test]
fn the_chain_of_skeyid_is_the_rfcs() {
    for vector in VECTORS {
        let skeyid = inputs().skeyid(vector.prf);
        assert_eq!(hex(&skeyid.derivation), vector.derivation);
        assert_eq!(hex(&skeyid.authentication), vector.authentication);
        assert_eq!(hex(&skeyid.encryption), vector.encryption);
    }
}

#[test]
fn a_cipher_key_is_cut_from_skeyid_e_and_stretched_only_where_that_is_too_short() {
    for vector in VECTORS {
        let skeyid = inputs().skeyid(vector.prf);
        let key = |cipher| hex(&skeyid.cipher_key(cipher));
        assert_eq!(key(Cbc::Aes(AesKey::Aes128)), vector.encryption[..32]);
        assert_eq!(key(Cbc::Aes(AesKey::Aes192)), vector.key_24);
        assert_eq!(key(Cbc::Aes(AesKey::Aes256)), vector.key_32);
        assert_eq!(key(Cbc::TripleDes), vector.key_24);
        let stretched = !vector.encryption.starts_with(vector.key_24);
        assert_eq!(stretched, vector.prf == Prf::HmacSha1);
    }
}

#[test]
fn k1_009_the_hashes_cover_the_sa_body_as_sent_and_the_ids_without_generic_header() {
    for vector in VECTORS {
        let inputs = inputs();
        let (skeyid, exchanged) = (inputs.skeyid(vector.prf), inputs.exchanged());
        assert_eq!(hex(&skeyid.hash_i(exchanged, &inputs.sa, &id_i())), vector.hash_i);
        assert_eq!(hex(&skeyid.hash_r(exchanged, &inputs.sa, &ID_R)), vector.hash_r);
        for place in 0..inputs.sa.len() {
            let mut sa = inputs.sa.clone();
            sa[place] ^= 0x80;
            assert_ne!(hex(&skeyid.hash_r(exchanged, &sa, &ID_R)), vector.hash_r, "octet {place}");
        }
    }
}

#[test]
fn hash_i_reflected_is_not_hash_r() {
    let inputs = inputs();
    let (skeyid, exchanged) = (inputs.skeyid(Prf::HmacSha256), inputs.exchanged());
    let (ours, theirs) = (skeyid.hash_i(exchanged, &inputs.sa, &ID_R), skeyid.hash_r(exchanged, &inputs.sa, &ID_R));
    assert!(!theirs.matches(ours.expose()));
}

#[test]
fn k1_011_the_three_hashes_of_quick_mode_cover_the_message_id() {
    for vector in VECTORS {
        let inputs = inputs();
        let skeyid = inputs.skeyid(vector.prf);
        let (ours, theirs) = (&inputs.nonces.0, &inputs.nonces.1);
        let all = |message_id| {
            [
                hex(&skeyid.hash_1(message_id, &inputs.rest)),
                hex(&skeyid.hash_2(message_id, ours, &inputs.rest)),
                hex(&skeyid.hash_3(message_id, (ours, theirs))),
            ]
        };
        assert_eq!(all(MESSAGE_ID), [vector.hash_1, vector.hash_2, vector.hash_3]);
        for bit in 0..32 {
            assert!(all(MESSAGE_ID ^ (1 << bit)).iter().zip(all(MESSAGE_ID)).all(|(one, other)| *one != other));
        }
    }
}

#[test]
fn keymat_is_cut_into_encryption_then_integrity_key_for_every_kind_of_suite() {
    let aes = |key| Cbc::Aes(key);
    let cbc = |encryption, integrity| Protection::CbcHmac { encryption, integrity };
    let suites = [
        (cbc(aes(AesKey::Aes256), Integrity::HmacSha512_256), 32, 64),
        (cbc(aes(AesKey::Aes192), Integrity::HmacSha384_192), 24, 48),
        (cbc(aes(AesKey::Aes128), Integrity::HmacSha256_128), 16, 32),
        (cbc(Cbc::TripleDes, Integrity::HmacSha1_96), 24, 20),
        // RFC 4106 §8.1: four octets of salt behind the key.
        (Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen)), 36, 0),
        (Protection::Aead(Aead::AesGcm(AesKey::Aes128, GcmIcv::Eight)), 20, 0),
    ];
    let nonces = (octets(16, 1, 200), octets(40, 1, 40));
    let shared = Secret::new(octets(32, 19, 6));
    for vector in VECTORS {
        let skeyid = inputs().skeyid(vector.prf);
        for (protection, encryption, integrity) in suites {
            for (shared, expected) in [(None, vector.keymat), (Some(&shared), vector.keymat_pfs)] {
                let suite = EspSuite { protection, esn: false };
                let keys = skeyid.keymat(suite, SPI, (&nonces.0, &nonces.1), shared).unwrap();
                let (first, second) = (2 * encryption, 2 * (encryption + integrity));
                assert_eq!(hex(&keys.encryption), expected[..first]);
                assert_eq!(hex(&keys.integrity), expected[first..second]);
            }
        }
    }
}

#[test]
fn keymat_of_another_spi_is_another() {
    let nonces = (octets(16, 1, 200), octets(40, 1, 40));
    let skeyid = inputs().skeyid(Prf::HmacSha256);
    let protection = Protection::Aead(Aead::AesGcm(AesKey::Aes256, GcmIcv::Sixteen));
    let keys = |spi| {
        let keys = skeyid.keymat(EspSuite { protection, esn: false }, spi, (&nonces.0, &nonces.1), None);
        hex(&keys.unwrap().encryption)
    };
    assert_ne!(keys(SPI), keys([0xc0, 0xff, 0xee, 0x02]));
}
