//! RFC 2202 (HMAC-SHA-1), RFC 4231 and RFC 4868 §2.7 (HMAC-SHA-2).

use vpnd::crypto::cipher::{Cbc, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::prf::Prf;
use vpnd::crypto::secret::Secret;

use crate::{every_way, hex};

/// Key and text; HMAC-SHA-256, -384 and -512 of them, one of them cut. The first seven are RFC 4231 §4.2 to §4.8, the others RFC 4868 §2.7.1.
const SHA_2: [[&str; 5]; 13] = [
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "4869205468657265",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        "\
         87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4\
         be9d914eeb61f1702e696c203a126854",
    ],
    [
        "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        "\
         164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
         caeab1a34d4a6b4b636e070a38bce737",
    ],
    [
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\
         dddd",
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
        "\
         fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807\
         b946a337bee8942674278859e13292fb",
    ],
    [
        "0102030405060708090a0b0c0d0e0f10111213141516171819",
        "\
         cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
         cdcd",
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
        "\
         b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063\
         a5f19741120c4f2de2adebeb10a298dd",
    ],
    [
        "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
        "546573742057697468205472756e636174696f6e",
        "a3b6167473100ee06e0c796c2955552b",
        "3abf34c3503b2a23a46efc619baef897",
        "415fad6271580a531d4179bc891d87a6",
    ],
    [
        "\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579\
         204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        "\
         80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52\
         95e64f73f63f0aec8b915a985d786598",
    ],
    [
        "\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b65\
         7920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565\
         647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c\
         676f726974686d2e",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
        "\
         e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15\
         134676fb6de0446065c97440fa8c6a58",
    ],
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "4869205468657265",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        "\
         87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4\
         be9d914eeb61f1702e696c203a126854",
    ],
    [
        "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        "\
         164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
         caeab1a34d4a6b4b636e070a38bce737",
    ],
    [
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\
         dddd",
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
        "\
         fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807\
         b946a337bee8942674278859e13292fb",
    ],
    [
        "0102030405060708090a0b0c0d0e0f10111213141516171819",
        "\
         cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
         cdcd",
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
        "\
         b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063\
         a5f19741120c4f2de2adebeb10a298dd",
    ],
    [
        "\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579\
         204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        "\
         80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52\
         95e64f73f63f0aec8b915a985d786598",
    ],
    [
        "\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\
         5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b65\
         7920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565\
         647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c\
         676f726974686d2e",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
        "\
         e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15\
         134676fb6de0446065c97440fa8c6a58",
    ],
];

#[test]
fn the_hmacs_of_rfc_4231_and_rfc_4868() {
    for [key, text, outputs @ ..] in SHA_2 {
        for (prf, output) in [Prf::HmacSha256, Prf::HmacSha384, Prf::HmacSha512].into_iter().zip(outputs) {
            let (computed, output) = (prf.compute(&hex(key), &[&hex(text)]), hex(output));
            assert_eq!(computed.len(), prf.output_len());
            assert_eq!(computed.expose()[..output.len()], output);
        }
    }
}

#[test]
fn the_hmacs_of_rfc_2202() {
    let large: &[u8] = b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
    let cases: [(&[u8], &[u8], &str); 7] = [
        (&[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (&[0xaa; 20], &[0xdd; 50], "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        (
            &hex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
            &[0xcd; 50],
            "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
        ),
        (&[0x0c; 20], b"Test With Truncation", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
        (
            &[0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (&[0xaa; 80], large, "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"),
    ];
    for (key, text, output) in cases {
        assert_eq!(Prf::HmacSha1.compute(key, &[text]).expose(), hex(output));
    }
}

fn jobs<'a>(associated: &'a [u8], iv: &'a [u8], icvs: &'a mut [Vec<u8>]) -> Vec<Text<'a>> {
    icvs.iter_mut().map(|icv| Text { associated, iv, text: &mut [], suffix: &[], icv }).collect()
}

/// An ICV over `data`, made with nothing to encrypt: the IV is the last of what is authenticated.
fn icv_over(integrity: Integrity, key: &[u8], data: &[u8]) -> Vec<u8> {
    let protection = Protection::CbcHmac { encryption: Cbc::TripleDes, integrity };
    let keys = ProtectionKeys { encryption: Secret::new((0..24).collect()), integrity: Secret::copy_of(key) };
    let (associated, iv) = data.split_at(data.len() - protection.iv_len());
    let mut made = None;
    for (backend, count) in every_way() {
        let mut icvs = vec![vec![0; protection.icv_len()]; count];
        let sealer = Sealer::with_backend(protection, &keys, backend).unwrap();
        sealer.seal_batch(&mut jobs(associated, iv, &mut icvs)).unwrap();
        let first = made.get_or_insert_with(|| icvs[0].clone());
        assert!(icvs.iter().all(|icv| icv == first), "{backend:?}, {count} at once");
        let opener = Opener::with_backend(protection, &keys, backend).unwrap();
        let mut verdicts = vec![];
        opener.open_batch(&mut jobs(associated, iv, &mut icvs), &mut verdicts);
        assert!(verdicts.len() == count && verdicts.iter().all(Result::is_ok), "{backend:?}, {count} at once");
    }
    made.unwrap()
}

/// Key, text, ICV: RFC 4868 §2.7.2. The last one's key is listed there with 16 octets too many in front.
const ICVS: [(Integrity, [&str; 3]); 12] = [
    (
        Integrity::HmacSha256_128,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "4869205468657265",
            "198a607eb44bfbc69903a0f1cf2bbdc5",
        ],
    ),
    (
        Integrity::HmacSha256_128,
        [
            "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665",
            "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "167f928588c5cc2eef8e3093caa0e87c",
        ],
    ),
    (
        Integrity::HmacSha256_128,
        [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "\
             dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\
             dddd",
            "cdcb1220d1ecccea91e53aba3092f962",
        ],
    ),
    (
        Integrity::HmacSha256_128,
        [
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "\
             cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
             cdcd",
            "372efcf9b40b35c2115b1346903d2ef4",
        ],
    ),
    (
        Integrity::HmacSha384_192,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "4869205468657265",
            "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973",
        ],
    ),
    (
        Integrity::HmacSha384_192,
        [
            "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665",
            "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d",
        ],
    ),
    (
        Integrity::HmacSha384_192,
        [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "\
             dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\
             dddd",
            "809f439be00274321d4a538652164b53554a508184a0c316",
        ],
    ),
    (
        Integrity::HmacSha384_192,
        [
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f200a0b0c0d0e0f10111213141516171819",
            "\
             cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
             cdcd",
            "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c",
        ],
    ),
    (
        Integrity::HmacSha512_256,
        [
            "\
             0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b\
             0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "4869205468657265",
            "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8",
        ],
    ),
    (
        Integrity::HmacSha512_256,
        [
            "\
             4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665\
             4a6566654a6566654a6566654a656665",
            "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454",
        ],
    ),
    (
        Integrity::HmacSha512_256,
        [
            "\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "\
             dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\
             dddd",
            "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8",
        ],
    ),
    (
        Integrity::HmacSha512_256,
        [
            "\
             0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30\
             3132333435363738393a3b3c3d3e3f40",
            "\
             cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
             cdcd",
            "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108",
        ],
    ),
];

#[test]
fn c_10_the_icvs_of_rfc_4868() {
    for (integrity, [key, text, icv]) in ICVS {
        assert_eq!(icv_over(integrity, &hex(key), &hex(text)), hex(icv));
    }
}
#[test]
fn c_10_the_cut_icv_of_rfc_2202() {
    let icv = icv_over(Integrity::HmacSha1_96, &[0x0c; 20], b"Test With Truncation");
    assert_eq!(icv, hex("4c1a03424b55e07fe7f27be1"));
}

#[test]
fn c_10_the_icv_of_old_routers_is_the_standards_first_96_bits() {
    for (_, [key, text, icv]) in ICVS.iter().filter(|(integrity, _)| *integrity == Integrity::HmacSha256_128) {
        assert_eq!(icv_over(Integrity::HmacSha256_96, &hex(key), &hex(text)), hex(&icv[..24]));
    }
}
