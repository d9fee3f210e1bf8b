//! The quick modes of the beginning, and their answers.

use super::kit::*;
use crate::ike::action::{DropReason, Event, Failure, Phase};
use crate::ike::v1::header::ExchangeType;

#[test]
fn a_quick_mode_makes_a_pair_of_sas_and_the_first_is_used_at_once() {
    let mut client = Client::new(profile());
    let mut peer = Peer::new();
    let request = client.last_sent();
    let (message_id, proposal, _) = peer.open_quick(&request);
    assert!(message_id != 0);
    assert_eq!(proposal.identifications, Some((identification(host()), identification(subnet("10.250.0.0/24")))));
    assert_eq!(proposal.key_exchange, None);
    let before = client.done.len();
    let (answer, made) = peer.answer(&request);
    let sent = client.receive(&answer);
    assert_eq!(client.order(before), ["installed", "sent", "switched", "up", "ready"]);
    assert!(peer.is_confirmation(&made, &sent[0]));
    let (inbound, outbound) = (client.installed()[0], client.switched()[0]);
    assert_eq!((inbound.spi.to_octets(), outbound.spi.to_octets()), (made.client_spi, made.gateway_spi));
    assert_eq!(client.status(), "established");
}
