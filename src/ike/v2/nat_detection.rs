//! The NAT_DETECTION notifies that we send (RFC 7296 §2.23, RFC 4555 §3.8), in IKE_SA_INIT and under an IKE SA.

use std::net::SocketAddr;

use crate::crypto::hash::sha1;
use crate::crypto::random::Random;
use crate::ike::nat::detection_input;
use crate::ike::v2::message::notify::Notify;
use crate::ike::wire::registry::NotifyType;

/// Source, then destination. Our own address is hashed as one that nobody has, so that the gateway finds a NAT and encapsulates.
/// `spis` are the initiator's and the responder's, `remote` is where the message goes.
pub(super) fn notifies(random: &mut dyn Random, spis: ([u8; 8], [u8; 8]), remote: SocketAddr) -> [Notify; 2] {
    let mut nobody = [0; 20];
    random.fill(&mut nobody);
    let destination = sha1(&[&detection_input(spis.0, spis.1, remote)]);
    [
        Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP).with_data(nobody.to_vec()),
        Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP).with_data(destination.to_vec()),
    ]
}
