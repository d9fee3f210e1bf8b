//! Stories of datagrams: one of each step, and mixtures. The first three octets choose protection, sequence number size and replay window.

use crate::Input;

const RAW: u8 = 0;
const PACKET: u8 = 1;
const ANYTHING: u8 = 2;
const DAMAGE: u8 = 3;
const REPEAT: u8 = 4;
const TRAIN: u8 = 5;
const DELIVER: u8 = 6;
const SEND: u8 = 7;

pub fn inputs() -> Vec<Input> {
    let numbered = |octets: &[u8]| {
        let count = u16::try_from(octets.len()).expect("short").to_be_bytes();
        [count.as_slice(), octets].concat()
    };
    let raw = |octets: &[u8]| [vec![RAW, 0], numbered(octets)].concat();
    // Source, destination, protocol, fragment field, content.
    let packet = [vec![PACKET, 0, 0, 17, 0, 0], numbered(&[0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4])].concat();
    let anything = |next_header: u8, content: &[u8]| [vec![ANYTHING, 0, 0, next_header], numbered(content)].concat();
    let tcp = [
        &[0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0x64, 0x0d, 10, 200, 0, 1, 10, 250, 0, 5][..],
        &[0, 80, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 1, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4],
    ]
    .concat();
    let ipv6 = [&[0x60, 0, 0, 0, 0, 8, 17, 64][..], &[0xfd; 16], &[0xfd; 16], &[0, 53, 0, 53, 0, 8, 0, 0]].concat();
    let deliver = vec![DELIVER, 3, 0xe8];
    let send = [vec![SEND], numbered(&tcp)].concat();
    let mut inputs: Vec<Input> = vec![
        ("keepalive", [vec![0, 0, 0], raw(&[0xff]), raw(&[]), raw(&[0; 5])].concat()),
        ("unknown_spi", [vec![1, 0, 4], raw(&[0xc0; 60])].concat()),
        ("train", [vec![0, 0, 0, TRAIN, 0, 20], numbered(&[0xc0, 1, 2, 3].repeat(16))].concat()),
        ("dummy", [vec![2, 0, 4], anything(59, &[0; 40])].concat()),
        ("ipv6", [vec![2, 0, 4], anything(41, &ipv6), [vec![SEND], numbered(&ipv6)].concat()].concat()),
        ("other_next_header", [vec![2, 0, 4], anything(6, &tcp), anything(4, &ipv6), anything(4, &[])].concat()),
        ("far_jump", [vec![0, 1, 4, ANYTHING, 1, 0xff, 0xff, 0xff, 0xff, 0, 4], numbered(&tcp)].concat()),
    ];
    let whole = [
        packet.clone(),
        deliver.clone(),
        packet,
        vec![DAMAGE, 0, 30, 4],
        vec![DAMAGE, 0, 30, 0],
        vec![REPEAT, 0],
        deliver.clone(),
        vec![REPEAT, 1],
        deliver,
        send,
    ]
    .concat();
    let names = ["gcm16", "gcm12", "chacha20", "cbc_sha256", "cbc_sha512", "triple_des"];
    inputs.extend((0..).zip(names).map(|(protection, name)| (name, [vec![protection, 0, 4], whole.clone()].concat())));
    inputs.push(("gcm16_esn", [vec![0, 1, 0], whole.clone()].concat()));
    inputs.push(("cbc_sha256_esn", [vec![3, 1, 0], whole].concat()));
    inputs
}
