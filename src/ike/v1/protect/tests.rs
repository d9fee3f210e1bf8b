//! Every expected value was computed by another program: RFC 2409 appendix B written out with Python's hashlib and its `cryptography`.

use super::*;
use crate::crypto::cipher::AesKey;
use crate::crypto::hash::Hash;
use crate::ike::v1::header::{Cookies, ExchangeType};
use crate::ike::wire::registry;
use crate::sa::spi::IkeSpi;

const AES_128: Cbc = Cbc::Aes(AesKey::Aes128);
const AES_192: Cbc = Cbc::Aes(AesKey::Aes192);
const AES_256: Cbc = Cbc::Aes(AesKey::Aes256);

const HEADER_LEN: usize = 28;
const MESSAGE_ID: u32 = 0x89ab_cdef;

struct Vector {
    hash: Hash,
    cipher: Cbc,
    key: &'static str,
    /// The first IV of phase 1.
    phase1: &'static str,
    /// The last block of the fifth message, which has 61 octets of payloads.
    fifth: &'static str,
    /// The last block of the sixth, which has 48.
    sixth: &'static str,
    /// The first IV of the exchange with `MESSAGE_ID`.
    exchange: &'static str,
    /// Its second message, encrypted; the first had 50 octets of payloads, this one 33.
    second: &'static str,
}

const VECTORS: [Vector; 16] = [
    Vector {
        hash: Hash::Sha1,
        cipher: AES_128,
        key: "c3327f5a7f58c5821a0152ebad3f04f6",
        phase1: "94f03207531278a98ade93f7509a6ef0",
        fifth: "0efc9309fba4874c438be27e198fa6c9",
        sixth: "4ec92838e0264d3a01d1998151409f72",
        exchange: "bbd399bb7595219aa2860f9c37914f65",
        second: "bf2df8f32eacd6edf4ce87dd14d4940fdeca646f4fa39299fa23d3f5b5a37cf28d056538bd5994972fe03f2f652220bb",
    },
    Vector {
        hash: Hash::Sha1,
        cipher: AES_192,
        key: "283f950e2d300a185a570ab4eb31d7886632e41556ca1826",
        phase1: "94f03207531278a98ade93f7509a6ef0",
        fifth: "6c5deb6bec39b64aa9171bf02d0982d3",
        sixth: "9e108ed0004828e8f4dc651352a3add3",
        exchange: "8e30c61f45e1cc03afe11504700bd7f9",
        second: "ce401478a4abcdc35417215665e769f94888d4e7750d474eaf1fdb33a816885c4ba24f5edb71b14011323171b52fc52c",
    },
    Vector {
        hash: Hash::Sha1,
        cipher: AES_256,
        key: "283f950e2d300a185a570ab4eb31d7886632e41556ca1826a920a8678fc06094",
        phase1: "94f03207531278a98ade93f7509a6ef0",
        fifth: "bd93321529befd9d2561c4a4ea311dfe",
        sixth: "a7e8be24db36081a85061e3dcc34498d",
        exchange: "8530968930f927346e32a109cd45966b",
        second: "ff4e6904e9d4f8e6913d712ad23e2a44939c7cf155c3cf6174ecbc64de003e77fa2e5aaeae84d463d35bcc6ecef4bff9",
    },
    Vector {
        hash: Hash::Sha1,
        cipher: Cbc::TripleDes,
        key: "283f950e2d300a185a570ab4eb31d7886632e41556ca1826",
        phase1: "94f03207531278a9",
        fifth: "2ac7a4b240795de0",
        sixth: "c8b983c2f4c1890e",
        exchange: "b514886ddc49057d",
        second: "2b22f4c2e9c184682d2cf7ae7fadacf0cd0ffd1b5317391b1f78302ee4c9c38ddcd53c6024d7fcfe",
    },
    Vector {
        hash: Hash::Sha256,
        cipher: AES_128,
        key: "310b67392fc5ba601107ffe96748ea83",
        phase1: "afde1118f2f1dd52e1ced9961193c010",
        fifth: "7381667b5e7fece78da05d43fdc98218",
        sixth: "1303218a1a2549db09803f36238383da",
        exchange: "79554b49e7b6d4b6b2bcc90a7014f91c",
        second: "fcebc8be2f0cf532fb7d235c494c27eb964e44b97a7ddc4098255a6f26f590993e8928d171f53bc19809df54db1005df",
    },
    Vector {
        hash: Hash::Sha256,
        cipher: AES_192,
        key: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a",
        phase1: "afde1118f2f1dd52e1ced9961193c010",
        fifth: "bf9dd5f9152cb42ee901aef1d0cc1a3d",
        sixth: "856f8ecb2298aa4c1962a325264979db",
        exchange: "30e54791daf5e48505b012b27c0a53c0",
        second: "952c041e80e3a1f4f1358dc8599a439d16b584de57538471335ebd659be0fa764002782cabb2722bfd764eda981fc412",
    },
    Vector {
        hash: Hash::Sha256,
        cipher: AES_256,
        key: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a37fa676ae38099fc",
        phase1: "afde1118f2f1dd52e1ced9961193c010",
        fifth: "e0f83cececee5db760e0dd5056edb2c1",
        sixth: "4cf9c61c80e1456a1b5940756dcad786",
        exchange: "957f0d4604d136da0085a11a6e896865",
        second: "a5447adee6020f6bd2de4601b33cd32245d9c921b8b30ebefb91ac0a765187b8c1cdc0b4132474764b5505e6650d66d0",
    },
    Vector {
        hash: Hash::Sha256,
        cipher: Cbc::TripleDes,
        key: "310b67392fc5ba601107ffe96748ea83295ef1525f1c866a",
        phase1: "afde1118f2f1dd52",
        fifth: "3371f471301f11e4",
        sixth: "20aa6c7afa5e452b",
        exchange: "cb068c509fe6688a",
        second: "226e556b036f73d91fafe597ab3d16c3d78f2e11f3749acd244ce464934f793763122d0aefd2d074",
    },
    Vector {
        hash: Hash::Sha384,
        cipher: AES_128,
        key: "728ec66bb9ada85899839110a255557c",
        phase1: "608fded9cbc3c53c9f87e37444584d82",
        fifth: "94b225cd03b9790b688b86755c45a746",
        sixth: "363e73e32cb57a8a8a7775d9f210551d",
        exchange: "d8a4bc9e83cb3d2c0ec187131b2a6e7e",
        second: "f193aad3a2fc5bd5cf0147357366a1ecc91b09dc7f9787f298233e9afd123a8448ba6e89d949d817ad1331dc94d4c150",
    },
    Vector {
        hash: Hash::Sha384,
        cipher: AES_192,
        key: "728ec66bb9ada85899839110a255557c4f732ab180946684",
        phase1: "608fded9cbc3c53c9f87e37444584d82",
        fifth: "d41b525a591936f019f133a259fb350c",
        sixth: "120feb0fbfddb69349b88e731a47404d",
        exchange: "a7ce3dcc72976ef689fb68b684969d7d",
        second: "8a6444e7ca496e2988167fc036061c21cf93e746e64e408578ffe78c51452ec60f176f1088b76b7a2ed9e2cb36bb3941",
    },
    Vector {
        hash: Hash::Sha384,
        cipher: AES_256,
        key: "728ec66bb9ada85899839110a255557c4f732ab1809466845a37f675168b0040",
        phase1: "608fded9cbc3c53c9f87e37444584d82",
        fifth: "0bc0210a4cc052da1c85e82ee330df73",
        sixth: "71e3de054081f6d3be804f5ca438bc04",
        exchange: "497c508da4cfd3e0000c057b4d50da30",
        second: "4862fb3b70d8ac96c09cbef602b2d965c3d8450c633cf817ac9213de4ad263b5a492ce4fab6f866948a281c89e1eeabb",
    },
    Vector {
        hash: Hash::Sha384,
        cipher: Cbc::TripleDes,
        key: "728ec66bb9ada85899839110a255557c4f732ab180946684",
        phase1: "608fded9cbc3c53c",
        fifth: "9d031e923da12823",
        sixth: "48dd422533f1ed31",
        exchange: "46fc4f1b9c7858be",
        second: "1a1edcb842a5d8d734f8c3a04d622cce9125db4b841fca97fd562d88a3c62aa5efbb9d4e9bc6ed6d",
    },
    Vector {
        hash: Hash::Sha512,
        cipher: AES_128,
        key: "f273dfcf14cc2bb49b184fd9165f93ce",
        phase1: "560bd7374d91f92cfa80d97cf701c2f6",
        fifth: "b2e47443a22cecb88b0dcd15ae630b41",
        sixth: "928cc003485baab47d28ed2388869b6a",
        exchange: "3390af0f668ff57467334463ecae544c",
        second: "bb80e699301a5ef6a9a6694653c7f223b2a7f1a9f9f953d0e34fae50cf5b60c2594db2fdc44cb7ef46c4182fe4c3a5e3",
    },
    Vector {
        hash: Hash::Sha512,
        cipher: AES_192,
        key: "f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd",
        phase1: "560bd7374d91f92cfa80d97cf701c2f6",
        fifth: "c031ec0528e2bb09c0d40bfec07f564c",
        sixth: "bb6b93a44517540aa7855c8370dcae8a",
        exchange: "601da6768abfd746e44da0eb5dda7727",
        second: "bf7ce22732d6b86231e41e9d30fd38a1aff7a38fc5312f83bed5ad9195ed9b9a436a545f60cdcfc8db184693e855fb1e",
    },
    Vector {
        hash: Hash::Sha512,
        cipher: AES_256,
        key: "f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd10993a8df938aa0c",
        phase1: "560bd7374d91f92cfa80d97cf701c2f6",
        fifth: "950eaa02ef6d7f05bd4a95b942db9e75",
        sixth: "d45483350ace3d357b170239a2ce5540",
        exchange: "186f9f8e77e7b9091922e3f830b24f8f",
        second: "3864daa4ee393e546c9f1ea3e623d946797bed3f54217182dada693b87f4591adff265a46bb7d4892c9e4073a5819e19",
    },
    Vector {
        hash: Hash::Sha512,
        cipher: Cbc::TripleDes,
        key: "f273dfcf14cc2bb49b184fd9165f93ce3474f1493aa950cd",
        phase1: "560bd7374d91f92c",
        fifth: "e45f03919818cc13",
        sixth: "a8a99236168c6cbe",
        exchange: "6b724a724ff0826a",
        second: "aeabbb77a08b6abfe77c25d3527732bbed75b174d2f9bd60a8756888c87faf8497cf8297efe7e7fe",
    },
];

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn octets(len: usize, step: u8, start: u8) -> Vec<u8> {
    std::iter::successors(Some(start), |last| Some(last.wrapping_add(step))).take(len).collect()
}

fn header() -> Header {
    let cookie = |octet| IkeSpi::new([octet; 8]).unwrap();
    Header {
        cookies: Cookies { initiator: cookie(0x11), responder: Some(cookie(0x22)) },
        next_payload: PayloadType(0),
        major: 1,
        exchange: ExchangeType::QUICK_MODE,
        flags: Flags::default(),
        message_id: MESSAGE_ID,
    }
}

fn contents(octets: Vec<u8>) -> Contents {
    Contents { first: registry::PayloadType(8), octets }
}

fn cipher(vector: &Vector) -> Cipher {
    Cipher::new(vector.cipher, &Secret::new(unhex(vector.key))).unwrap()
}

fn publics() -> (Vec<u8>, Vec<u8>) {
    (octets(256, 5, 1), octets(256, 7, 2))
}

#[test]
fn k1_008_the_first_iv_is_cut_to_the_block_in_phase_1_and_in_each_exchange() {
    for vector in VECTORS {
        let (block, publics) = (cipher(&vector).block_len(), publics());
        let first = Iv::of_phase1(vector.hash, (&publics.0, &publics.1), block);
        assert_eq!(hex(first.octets()), vector.phase1);
        let last = Iv::after(&unhex(vector.sixth), block).unwrap();
        let exchange = Iv::of_exchange(vector.hash, &last, MESSAGE_ID, block);
        assert_eq!(hex(exchange.octets()), vector.exchange);
        assert_eq!((first.octets().len(), exchange.octets().len()), (block, block));
    }
}

#[test]
fn k1_008_each_message_begins_with_the_last_block_of_the_one_before() {
    for vector in VECTORS {
        let (cipher, publics) = (cipher(&vector), publics());
        let block = cipher.block_len();
        let mut iv = Iv::of_phase1(vector.hash, (&publics.0, &publics.1), block);
        cipher.seal(&header(), &mut iv, &contents(octets(61, 1, 0))).unwrap();
        assert_eq!(hex(iv.octets()), vector.fifth);
        cipher.seal(&header(), &mut iv, &contents(octets(48, 1, 0))).unwrap();
        assert_eq!(hex(iv.octets()), vector.sixth);
        let mut exchange = Iv::of_exchange(vector.hash, &iv, MESSAGE_ID, block);
        cipher.seal(&header(), &mut exchange, &contents(octets(50, 1, 100))).unwrap();
        let second = cipher.seal(&header(), &mut exchange, &contents(octets(33, 1, 0))).unwrap();
        assert_eq!(hex(&second[HEADER_LEN..]), vector.second);
    }
}

#[test]
fn k1_008_two_exchanges_have_chains_of_their_own() {
    let vector = &VECTORS[0];
    let block = cipher(vector).block_len();
    let last = Iv::after(&unhex(vector.sixth), block).unwrap();
    let one = Iv::of_exchange(vector.hash, &last, 1, block);
    assert_ne!(one, Iv::of_exchange(vector.hash, &last, 2, block));
    assert_eq!(one, Iv::of_exchange(vector.hash, &last, 1, block));
}

#[test]
fn k1_008_what_is_opened_moves_the_chain_only_if_the_caller_takes_the_next_iv() {
    for vector in VECTORS {
        let cipher = cipher(&vector);
        let block = cipher.block_len();
        let mut sending = Iv::of_phase1(vector.hash, (b"one", b"other"), block);
        let receiving = sending.clone();
        let genuine = cipher.seal(&header(), &mut sending, &contents(octets(40, 3, 0))).unwrap();
        // Rejected messages, then a repeated one: `open` has no way to change the chain, and the genuine message still opens.
        for len in [0, 1, block - 1, block + 1] {
            assert_eq!(cipher.open(&receiving, &vec![0; len]), Err(CipherError::Length), "{len}");
        }
        cipher.open(&receiving, &vec![0xee; 3 * block]).unwrap();
        for _ in 0..2 {
            let (text, next) = cipher.open(&receiving, &genuine[HEADER_LEN..]).unwrap();
            assert_eq!(text[..40], octets(40, 3, 0));
            assert_eq!(next, sending);
        }
    }
}

#[test]
fn padding_is_zeros_up_to_the_block_and_counted_by_the_header() {
    for vector in VECTORS {
        let cipher = cipher(&vector);
        let block = cipher.block_len();
        for len in 1..70 {
            let mut iv = Iv::of_phase1(vector.hash, (b"one", b"other"), block);
            let first = iv.clone();
            let message = cipher.seal(&header(), &mut iv, &contents(vec![0xaa; len])).unwrap();
            let (read, rest) = Header::parse(&message).unwrap();
            assert_eq!((read.next_payload, read.flags.encrypted), (PayloadType(8), true));
            assert_eq!(rest.len(), len.next_multiple_of(block));
            let (text, _) = cipher.open(&first, rest).unwrap();
            assert!(text[..len].iter().all(|octet| *octet == 0xaa) && text[len..].iter().all(|octet| *octet == 0));
        }
    }
}

#[test]
fn nothing_is_sealed_that_holds_nothing_or_too_much() {
    let cipher = cipher(&VECTORS[0]);
    let mut iv = Iv::of_phase1(Hash::Sha1, (b"one", b"other"), cipher.block_len());
    let before = iv.clone();
    assert!(cipher.seal(&header(), &mut iv, &contents(vec![])).is_err());
    assert!(cipher.seal(&header(), &mut iv, &contents(vec![0; 1 << 16])).is_err());
    assert_eq!(iv, before);
}
