//! RFC 3602 §4, and for the key lengths and the cipher it leaves out NIST SP 800-38A and OpenSSL.

use vpnd::crypto::cipher::{AesKey, Cbc, Integrity, Opener, Protection, ProtectionKeys, Sealer, Text};
use vpnd::crypto::secret::Secret;

use crate::{every_way, hex};

/// Key, IV, what stands before the IV, plain text, cipher text.
const RFC_3602: [[&str; 5]; 8] = [
    [
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        "",
        "53696e676c6520626c6f636b206d7367",
        "e353779c1079aeb82708942dbe77181a",
    ],
    [
        "c286696d887c9aa0611bbb3e2025a45a",
        "562e17996d093d28ddb3ba695a2e6f58",
        "",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
    ],
    [
        "6c3ea0477630ce21a2ce334aa746c2cd",
        "c782dc4c098c66cbd9cd27d825682c81",
        "",
        "5468697320697320612034382d62797465206d657373616765202865786163746c7920332041455320626c6f636b7329",
        "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
    ],
    [
        "56e47a38c5598974bc46903dba290349",
        "8ce82eefbea0da3c44699ed7db51b7d9",
        "",
        "\
         a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf\
         d0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
        "\
         c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad\
         83ce9f9a102ee99d49a53e87f4c3da55",
    ],
    [
        "90d382b410eeba7ad938c46cec1a82bf",
        "e96e8c08ab465763fd098d45dd3ff893",
        "0000432100000001",
        "\
         08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627\
         28292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01",
        "\
         f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a8e4b7e52\
         775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
    ],
    [
        "90d382b410eeba7ad938c46cec1a82bf",
        "69d08df7d203329db093fc4924e5bd80",
        "0000432100000008",
        "0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
        "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
    ],
    [
        "0123456789abcdef0123456789abcdef",
        "f4e765244f6407adf13dc1380f673f37",
        "0000876500000002",
        "\
         45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f10111213\
         1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708090a0a04",
        "\
         773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b859243c6\
         47752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
    ],
    [
        "0123456789abcdef0123456789abcdef",
        "85d47224b5f3dd5d2101d4ea8dffab22",
        "0000876500000005",
        "\
         45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffffffffffff\
         ffffffffffffffffffffffffffffffffffffffff0102030405060708090a0a04",
        "\
         15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c07ff9639\
         b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
    ],
];

/// NIST SP 800-38A §F.2.3 and §F.2.5: key, cipher text; IV and plain text are the same.
const SP_800_38A: [(AesKey, [&str; 2]); 2] = [
    (
        AesKey::Aes192,
        [
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "\
         4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e0\
         08b0e27988598881d920a9e64f5615cd",
        ],
    ),
    (
        AesKey::Aes256,
        [
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "\
         f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461\
         b2eb05e2c39be9fcda6c19078c6a9d1b",
        ],
    ),
];
const SP_800_38A_IV: &str = "000102030405060708090a0b0c0d0e0f";
const SP_800_38A_TEXT: &str = "\
    6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef\
    f69f2445df4f9b17ad2b417be66c3710";

/// `openssl enc -des-ede3-cbc -nopad` over the same text.
const TRIPLE_DES: [&str; 3] = [
    "0123456789abcdef23456789abcdef01456789abcdef0123",
    "f69f2445df4f9b17",
    "\
    2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da79bd86425fae429fdbd65a7a21b6e5d20\
    925d8b0ef919a428154b96ed90f2bc1e",
];

fn check(encryption: Cbc, key: &str, iv: &str, associated: &str, plain: &str, cipher: &str) {
    let integrity = Integrity::HmacSha256_128;
    let protection = Protection::CbcHmac { encryption, integrity };
    let keys = ProtectionKeys { encryption: Secret::new(hex(key)), integrity: Secret::new(vec![7; 32]) };
    let (iv, associated) = (hex(iv), hex(associated));
    for (backend, count) in every_way() {
        let sealer = Sealer::with_backend(protection, &keys, backend).unwrap();
        let opener = Opener::with_backend(protection, &keys, backend).unwrap();
        let mut copies = vec![(hex(plain), vec![0; protection.icv_len()]); count];
        let jobs = |copies: &mut Vec<(Vec<u8>, Vec<u8>)>, work: &mut dyn FnMut(&mut [Text<'_>])| {
            let texts =
                copies.iter_mut().map(|(text, icv)| Text { associated: &associated, iv: &iv, text, suffix: &[], icv });
            work(&mut texts.collect::<Vec<_>>());
        };
        jobs(&mut copies, &mut |texts| sealer.seal_batch(texts).unwrap());
        assert!(copies.iter().all(|(text, _)| *text == hex(cipher)), "{backend:?}, {count} at once");
        let mut verdicts = vec![];
        jobs(&mut copies, &mut |texts| opener.open_batch(texts, &mut verdicts));
        assert!(verdicts.len() == count && verdicts.iter().all(Result::is_ok), "{backend:?}, {count} at once");
        assert!(copies.iter().all(|(text, _)| *text == hex(plain)), "{backend:?}, {count} at once");
    }
}

#[test]
fn the_texts_and_esp_packets_of_rfc_3602() {
    for [key, iv, associated, plain, cipher] in RFC_3602 {
        check(Cbc::Aes(AesKey::Aes128), key, iv, associated, plain, cipher);
    }
}

#[test]
fn the_texts_of_sp_800_38a() {
    for (aes, [key, cipher]) in SP_800_38A {
        check(Cbc::Aes(aes), key, SP_800_38A_IV, "", SP_800_38A_TEXT, cipher);
    }
}

#[test]
fn triple_des_as_openssl() {
    let [key, iv, cipher] = TRIPLE_DES;
    check(Cbc::TripleDes, key, iv, "", SP_800_38A_TEXT, cipher);
}
