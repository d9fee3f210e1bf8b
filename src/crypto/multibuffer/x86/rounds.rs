//! The compression functions of SHA-2 and SHA-1 (FIPS 180-4 §6), for words of any width: the functions on them are those where a macro is used.

/// SHA-256 and SHA-512: the state after one block whose sixteen words are given. A round takes as long as the longest way from one `e` to the
/// next, so what is known before comes first; `early` holds the compiler to that, which else finds sums with fewer additions in a longer row.
#[rustfmt::skip] // it cannot decide how macros within macros are indented
macro_rules! sha2_block {
    ($state:expr, $words:expr, $constants:expr) => {{
        let before = $state;
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
        let mut w = $words;
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $i:literal) => {
                let known = early(add(add(splat($k[$i]), w[$i]), $h));
                let (chosen, sigma) = (choose($e, $f, $g), big_sigma1($e));
                $d = add(early(add(early(add($d, known)), chosen)), sigma);
                $h = add(add(early(add(known, chosen)), sigma), add(big_sigma0($a), majority($a, $b, $c)));
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
            ($i:literal) => {
                w[$i] = add(
                    add(w[$i], small_sigma0(w[($i + 1) % 16])),
                    add(w[($i + 9) % 16], small_sigma1(w[($i + 14) % 16])),
                );
            };
        }
        if let Some((first, others)) = $constants.as_chunks::<16>().0.split_first() {
            sixteen!(first);
            for k in others {
                extend!(0);
                extend!(1);
                extend!(2);
                extend!(3);
                extend!(4);
                extend!(5);
                extend!(6);
                extend!(7);
                extend!(8);
                extend!(9);
                extend!(10);
                extend!(11);
                extend!(12);
                extend!(13);
                extend!(14);
                extend!(15);
                sixteen!(k);
            }
        }
        let [a0, b0, c0, d0, e0, f0, g0, h0] = before;
        [add(a0, a), add(b0, b), add(c0, c), add(d0, d), add(e0, e), add(f0, f), add(g0, g), add(h0, h)]
    }};
}

/// SHA-1: the same, with five words of state; the other three are left alone.
#[rustfmt::skip] // it cannot decide how macros within macros are indented
macro_rules! sha1_block {
    ($state:expr, $words:expr) => {{
        let [mut a, mut b, mut c, mut d, mut e, x, y, z] = $state;
        let before = [a, b, c, d, e];
        let mut w = $words;
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident, $mix:ident, $k:expr, $t:expr) => {
                if $t >= 16 {
                    let old = xor3(w[($t + 13) % 16], w[($t + 8) % 16], w[($t + 2) % 16]);
                    w[$t % 16] = rotate1(xor(old, w[$t % 16]));
                }
                $e = add(add($e, rotate5($a)), add($mix($b, $c, $d), add($k, w[$t % 16])));
                $b = rotate30($b);
            };
        }
        macro_rules! five {
            ($mix:ident, $k:expr, $t:literal) => {
                round!(a b c d e, $mix, $k, $t);
                round!(e a b c d, $mix, $k, $t + 1);
                round!(d e a b c, $mix, $k, $t + 2);
                round!(c d e a b, $mix, $k, $t + 3);
                round!(b c d e a, $mix, $k, $t + 4);
            };
        }
        macro_rules! twenty {
            ($mix:ident, $k:expr, $t0:literal $t1:literal $t2:literal $t3:literal) => {
                let k = splat($k);
                five!($mix, k, $t0);
                five!($mix, k, $t1);
                five!($mix, k, $t2);
                five!($mix, k, $t3);
            };
        }
        twenty!(choose, 0x5a82_7999, 0 5 10 15);
        twenty!(xor3, 0x6ed9_eba1, 20 25 30 35);
        twenty!(majority, 0x8f1b_bcdc, 40 45 50 55);
        twenty!(xor3, 0xca62_c1d6, 60 65 70 75);
        let [a0, b0, c0, d0, e0] = before;
        [add(a0, a), add(b0, b), add(c0, c), add(d0, d), add(e0, e), x, y, z]
    }};
}

pub(super) use {sha1_block, sha2_block};

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

/// FIPS 180-4 §4.2.3.
pub(super) const SHA512: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];
