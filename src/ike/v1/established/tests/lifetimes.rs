//! How long the gateway says that the ISAKMP SA lives.

use std::time::Duration;

use super::kit::*;
use crate::ike::v1::message::{Informational, Notify};
use crate::sa::lifetime::Lifetime;

fn renewed_after(seconds: u16, spi_is_right: bool) -> Duration {
    let mut profile = profile();
    profile.child.lifetime = Lifetime::default();
    let mut client = Client::with(profile, CAPABILITIES, Some(Duration::from_secs(3600)));
    let mut peer = Peer::new();
    let (answer, _) = peer.answer(&client.last_sent_quick());
    client.receive(&answer);
    let mut spi = client.last_sent()[..16].to_vec();
    spi[0] ^= u8::from(!spi_is_right);
    let data = [&[0x80, 11, 0, 1, 0x80, 12][..], &seconds.to_be_bytes()].concat();
    let notifies = vec![Notify { protocol: 1, spi, kind: 24576, data }];
    let message = peer.inform(&Informational { notifies, ..Informational::default() });
    client.receive(&message);
    client.poll_timeout().unwrap().since_start()
}

#[test]
fn k1_014_responder_lifetime_of_the_isakmp_sa_renews_it_earlier_and_never_later() {
    for (seconds, spi_is_right, end) in
        [(60, true, 60), (7200, true, 3600), (60, false, 3600), (0, true, 3600), (1, true, 10)]
    {
        let next = renewed_after(seconds, spi_is_right);
        let expected = Duration::from_secs(end);
        assert!(next < expected && next >= expected * 7 / 10, "{seconds}: {next:?} of {expected:?}");
    }
}
