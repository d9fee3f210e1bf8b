//! Batches: encryption, hash or length of the ICV, and seed, then of each packet header length, text length, suffix and damage.

use crate::Input;

fn packet(len: u16, suffix: u8, damage: u8) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    vec![0, high, low, suffix, damage]
}

pub fn inputs() -> Vec<Input> {
    let equal = |count: usize| packet(1408, 0, 0).repeat(count);
    let mixed: Vec<u8> = (0..33).flat_map(|n| packet(n * 272, 1, 0)).collect();
    let forged: Vec<u8> = (0..33).flat_map(|n| packet(80 + n % 3 * 16, 1, if n % 5 == 0 { 0xf0 } else { 0 })).collect();
    let damaged: Vec<u8> = (0xc8..=0xff).flat_map(|damage| packet(64, 1, damage)).collect();
    let odd: Vec<u8> = (0..20).flat_map(|n| vec![0xff, n * 13, 0, 96, n, 0]).collect();
    let story = |encryption, integrity, packets: &[u8]| [&[encryption, integrity, 0, 1], packets].concat();
    vec![
        ("nothing", story(2, 2, &[])),
        ("one", story(2, 2, &equal(1))),
        ("two_sha1", story(0, 0, &equal(2))),
        ("sixteen_sha256", story(2, 2, &equal(16))),
        ("seventeen_sha512", story(1, 4, &equal(17))),
        ("window_and_more", story(0, 1, &packet(64, 0, 0).repeat(67))),
        ("mixed_sha384", story(2, 3, &mixed)),
        ("mixed_sha256", story(2, 2, &mixed)),
        ("forged", story(2, 2, &forged)),
        ("damaged_sha1", story(0, 0, &damaged)),
        ("damaged_sha512", story(2, 4, &damaged)),
        ("odd_headers", story(2, 2, &odd)),
        ("gcm_mixed", story(6, 2, &mixed)),
        ("gcm_forged", story(4, 2, &forged)),
        ("gcm_damaged_short_icv", story(5, 0, &damaged)),
        ("gcm_odd_headers", story(6, 1, &odd)),
        ("triple_des", story(3, 2, &packet(200, 1, 0).repeat(9))),
    ]
}
