//! Whole stories of a tunnel: see `vpnd::sim::story`. The first octet says the protocol, the others everything else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vpnd::sim::{
    gateway, gateway_v1,
    story::{Pace, choices::Octets, tell},
};

const MOST_EVENTS: u32 = 30;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let mut choices = Octets::new(rest, MOST_EVENTS);
    if first & 1 == 0 {
        tell::<gateway::Gateway>(&mut choices, Pace::FAST, &mut |_, _| {});
    } else {
        tell::<gateway_v1::Gateway>(&mut choices, Pace::FAST, &mut |_, _| {});
    }
});
