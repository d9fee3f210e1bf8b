//! Both halves of a packet path with one SA between them.

use vpnd::{
    crypto::{
        cipher::{Protection, ProtectionKeys},
        random::Random,
        secret::Secret,
    },
    esp::dataplane::{InboundPath, OutboundPath, split},
    sa::{
        command::{ChildId, DataCommand, InboundParameters, OutboundParameters},
        lifetime::Lifetime,
        path::{Framing, Path},
        selector::Selector,
        spi::{InboundSpi, OutboundSpi},
        suite::EspSuite,
    },
    time::Instant,
};

const SPI: u32 = 0x1000;

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(1);
            *octet = self.0;
        }
    }
}

fn keys(protection: Protection) -> ProtectionKeys {
    let key = |len: usize| Secret::new((0..=255).cycle().take(len).collect());
    ProtectionKeys { encryption: key(protection.encryption_key_len()), integrity: key(protection.integrity_key_len()) }
}

pub(crate) fn path() -> Path {
    Path {
        local: "192.0.2.1:4500".parse().unwrap(),
        remote: "198.51.100.1:4500".parse().unwrap(),
        framing: Framing::Marked,
    }
}

pub(crate) fn halves(protection: Protection) -> (OutboundPath, InboundPath) {
    let suite = EspSuite { protection, esn: false };
    let any = || vec![Selector::any_v4()];
    let mut outbound = OutboundPath::new(&mut Counting(0));
    let mut inbound = InboundPath::new();
    let install = DataCommand::InstallInbound {
        child: ChildId(1),
        sa: Box::new(InboundParameters {
            spi: InboundSpi::new(SPI).unwrap(),
            suite,
            keys: keys(protection),
            sources: any(),
            destinations: any(),
            // The same datagrams come again and again.
            replay_window: 0,
            lifetime: Lifetime::default(),
        }),
    };
    let switch = DataCommand::SwitchOutbound {
        child: ChildId(1),
        sa: Box::new(OutboundParameters {
            spi: OutboundSpi::new(SPI).unwrap(),
            suite,
            keys: keys(protection),
            sources: any(),
            destinations: any(),
            path: path(),
            lifetime: Lifetime::default(),
        }),
    };
    for command in [install, switch] {
        let (to_outbound, to_inbound) = split(command);
        if let Some(command) = to_outbound {
            outbound.apply(Instant::START, command).unwrap();
        }
        if let Some(command) = to_inbound {
            inbound.apply(Instant::START, command).unwrap();
        }
    }
    (outbound, inbound)
}
