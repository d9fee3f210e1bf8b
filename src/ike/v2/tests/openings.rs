//! IKE_SA_INIT.

use super::kit::*;
use crate::crypto::dh::Group;
use crate::ike::action::{DropReason, Event, Failure, Phase, Timer};
use crate::ike::v2::message::notify::{Notify, find};
use crate::ike::v2::message::*;
use crate::ike::wire::header::Header;
use crate::ike::wire::registry::NotifyType;
use crate::sa::command::DataCommand;
use crate::sa::path::Path;
use crate::sa::suite::IkeSuite;

#[test]
fn a_tunnel_comes_up_in_two_round_trips() {
    for gateway in [Gateway::new(1), Gateway::with_gcm(2)] {
        let suite = gateway.suite;
        let (mut client, mut gateway, auth) = half_open(profile(), gateway);
        assert_eq!(auth.len(), 1);
        assert_eq!(auth[0].path, path_4500());
        let request = gateway.read_auth(&auth);
        assert!(gateway.believes(&request));
        assert_eq!(request.responder.as_ref().unwrap().identity(), gateway.identity);
        assert!(request.notifies.is_empty());

        let response = gateway.seal_proof(gateway.proof());
        client.receive(path_4500(), &response);
        let offered = request.security_association.proposals[0].spi.clone();
        let [DataCommand::InstallInbound { sa: inbound, .. }, DataCommand::SwitchOutbound { sa: outbound, .. }] =
            client.data.as_slice()
        else {
            panic!("{:?}", client.data)
        };
        assert_eq!(inbound.spi.to_octets().to_vec(), offered);
        assert_eq!(outbound.spi.to_octets(), OUTBOUND);
        assert_eq!(outbound.path, path_4500());
        assert_eq!(inbound.sources, [subnet("10.250.0.0/24")]);
        assert_eq!(inbound.destinations, [subnet("10.200.0.7/32")]);
        assert_eq!((&outbound.sources, &outbound.destinations), (&inbound.destinations, &inbound.sources));
        let [
            Event::SaInitDone { suite: chosen, local_nat, remote_nat },
            Event::Authenticated { identity },
            Event::ChildUp(up),
        ] = client.events.as_slice()
        else {
            panic!("{:?}", client.events)
        };
        assert_eq!((*chosen, *local_nat, *remote_nat), (suite, false, false));
        assert_eq!(*identity, gateway.identity);
        assert_eq!(up.configuration.addresses, [("10.200.0.7".parse().unwrap(), 32)]);
        assert_eq!(up.configuration.dns, ["10.250.0.53".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(up.remote, [subnet("10.250.0.0/24")]);
        assert!(client.failure().is_none());
    }
}
