//! The compression functions of SHA-2 and SHA-1 (FIPS 180-4 §6), for words of any width: the functions on them are those where a macro is used.

/// SHA-256 and SHA-512: the state after one block whose sixteen words are given.
macro_rules! sha2_block {
    ($state:expr, $words:expr, $constants:expr) => {{
        let before = $state;
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
        let mut w = $words;
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $i:literal) => {
                let t = add(add($h, big_sigma1($e)), add(choose($e, $f, $g), add(splat($k[$i]), w[$i])));
                $d = add($d, t);
                $h = add(t, add(big_sigma0($a), majority($a, $b, $c)));
            };
        }
        macro_rules! sixteen {
            ($k:expr) => {
                round!(a b c d e f g h, $k, 0);
                round!(h a b c d e f g, $k, 1);
                round!(g h a b c d e f, $k, 2);
                round!(f g h a b c d e, $k, 3);
                round!(e f g h a b c d, $k, 4);
                round!(d e f g h a b c, $k, 5);
                round!(c d e f g h a b, $k, 6);
                round!(b c d e f g h a, $k, 7);
                round!(a b c d e f g h, $k, 8);
                round!(h a b c d e f g, $k, 9);
                round!(g h a b c d e f, $k, 10);
                round!(f g h a b c d e, $k, 11);
                round!(e f g h a b c d, $k, 12);
                round!(d e f g h a b c, $k, 13);
                round!(c d e f g h a b, $k, 14);
                round!(b c d e f g h a, $k, 15);
            };
        }
        macro_rules! extend {
            ($i:literal $i1:literal $i9:literal $i14:literal) => {
                w[$i] = add(add(w[$i], small_sigma0(w[$i1])), add(w[$i9], small_sigma1(w[$i14])));
            };
        }
        if let Some((first, others)) = $constants.as_chunks::<16>().0.split_first() {
            sixteen!(first);
            for k in others {
                extend!(0 1 9 14);
                extend!(1 2 10 15);
                extend!(2 3 11 0);
                extend!(3 4 12 1);
                extend!(4 5 13 2);
                extend!(5 6 14 3);
                extend!(6 7 15 4);
                extend!(7 8 0 5);
                extend!(8 9 1 6);
                extend!(9 10 2 7);
                extend!(10 11 3 8);
                extend!(11 12 4 9);
                extend!(12 13 5 10);
                extend!(13 14 6 11);
                extend!(14 15 7 12);
                extend!(15 0 8 13);
                sixteen!(k);
            }
        }
        let [a0, b0, c0, d0, e0, f0, g0, h0] = before;
        [add(a0, a), add(b0, b), add(c0, c), add(d0, d), add(e0, e), add(f0, f), add(g0, g), add(h0, h)]
    }};
}

pub(super) use sha2_block;

/// FIPS 180-4 §4.2.2.
pub(super) const SHA256: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];
