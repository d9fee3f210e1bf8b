//! Counts what passes a device, and what of it should not be seen there.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bridge::Port;
use crate::{MARKER, Outcome};

/// Inner addresses begin so: the gateway's pool, and what is behind it.
const INNER: [[u8; 2]; 3] = [[10, 200], [10, 250], [10, 251]];

/// In clear is a packet with an inner address in its IP header, and whatever holds the marker.
pub(crate) fn watch(device: &str, stop: &AtomicBool) -> Outcome {
    let port = Port::open_both_ways(device)?;
    println!("READY");
    let (mut frames, mut clear, mut sealed) = (0_u64, 0_u64, 0_u64);
    let mut first = None;
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        // Read before the last look, so that nothing which came before the word is missed.
        let last = stop.load(Ordering::Relaxed);
        while let Some(len) = port.receive(&mut buffer)? {
            let frame = &buffer[..len];
            frames += 1;
            if is_clear(frame) {
                clear += 1;
                first.get_or_insert_with(|| frame[..len.min(64)].to_vec());
            } else if is_esp(frame) {
                sealed += 1;
            }
        }
        if last {
            break;
        }
        port.wait(20);
    }
    let overlooked = port.overlooked()?;
    let first: String = first.unwrap_or_default().iter().map(|octet| format!("{octet:02x}")).collect();
    println!(
        r#"{{"frames": {frames}, "clear": {clear}, "sealed": {sealed}, "overlooked": {overlooked}, "first": "{first}"}}"#
    );
    Ok(())
}

fn is_clear(frame: &[u8]) -> bool {
    frame.windows(MARKER.len()).any(|window| window == MARKER) || has_inner_address(frame)
}

fn has_inner_address(frame: &[u8]) -> bool {
    let is_ipv4 = frame.get(12..14) == Some(&[0x08, 0x00]);
    let mut addresses =
        [26, 30].into_iter().filter_map(|at| frame.get(at..at + 4)?.try_into().ok().map(<[u8; 4]>::into));
    is_ipv4 && addresses.any(|address: Ipv4Addr| INNER.contains(&[address.octets()[0], address.octets()[1]]))
}

/// ESP in UDP: port 4500, and no zeros where the SPI is.
fn is_esp(frame: &[u8]) -> bool {
    const PORT: [u8; 2] = 4500_u16.to_be_bytes();
    let is_udp = frame.get(12..14) == Some(&[0x08, 0x00]) && frame.get(23) == Some(&17);
    let ports = [frame.get(34..36), frame.get(36..38)];
    is_udp && ports.contains(&Some(&PORT)) && frame.get(42..46).is_some_and(|spi| spi != [0; 4])
}
