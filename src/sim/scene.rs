//! Ready-made beginnings of stories.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::secret::Secret;
use crate::ike::identity::Identity;
use crate::ike::profile::{
    AddressRequest, ChildProfile, Ikev1, Phase1Mode, Profile, Protocol, RetransmissionPolicy, Xauth,
};
use crate::sa::lifetime::Lifetime;
use crate::sa::selector::Selector;
use crate::sa::suite::{EsnOffer, EspOffer, Group, IkeOffer, IkeSuite, Prf, Protection, ProtectionOffer};
use crate::tunnel::reconnect::ReconnectPolicy;
use crate::tunnel::settings::{Host, LocalIdentity, TunnelSettings};

use super::gateway::GatewaySettings;
use super::gateway_v1::{self, NatDialect, Unique, XauthAccount};
use super::link::Quality;
use super::world::{GATEWAY, Scene};

/// The key of all stories.
pub const PSK: &[u8] = b"a key of more than twenty characters";

/// What both sides agree on.
#[derive(Clone, Copy, Debug)]
pub struct Suites {
    pub ike: IkeSuite,
    pub esp: Protection,
    pub esn: bool,
}

impl Suites {
    /// Of one protection for both, with SHA-256 and this group.
    pub fn of(protection: Protection, group: Group) -> Self {
        Self { ike: IkeSuite { protection, prf: Prf::HmacSha256, group }, esp: protection, esn: false }
    }
}

fn offer(protection: Protection) -> ProtectionOffer {
    match protection {
        Protection::Aead(aead) => ProtectionOffer::Aead(vec![aead]),
        Protection::CbcHmac { encryption, integrity } => {
            ProtectionOffer::CbcHmac { encryption: vec![encryption], integrity: vec![integrity] }
        }
    }
}

/// A client that wants a virtual address and one subnet.
pub fn client(suites: Suites) -> TunnelSettings {
    let subnet = Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 250, 0, 0)), 24).expect("a prefix");
    let profile = Profile {
        protocol: Protocol::Ikev2,
        local_identity: Identity::Fqdn("replaced".into()),
        remote_identities: Vec::new(),
        send_remote_identity: false,
        psk: Arc::new(Secret::copy_of(PSK)),
        ike_offers: vec![IkeOffer {
            protection: offer(suites.ike.protection),
            prfs: vec![suites.ike.prf],
            groups: vec![suites.ike.group],
        }],
        ike_lifetime: Lifetime::default(),
        request: AddressRequest { ipv4: Some(Ipv4Addr::UNSPECIFIED), dns: true, ..AddressRequest::default() },
        child: ChildProfile {
            first_id: crate::sa::command::ChildId(1),
            offers: vec![EspOffer {
                protection: offer(suites.esp),
                pfs: Vec::new(),
                esn: if suites.esn { EsnOffer::Required } else { EsnOffer::Without },
            }],
            local: vec![Selector::any_v4()],
            remote: vec![subnet],
            lifetime: Lifetime::default(),
            replay_window: 1024,
            verify_pfs: true,
        },
        encapsulation_port: 4500,
        retransmission: RetransmissionPolicy::default(),
        dpd: Some(Duration::from_secs(30)),
        keepalive: Duration::from_secs(20),
        fragmentation: Some(1280),
        initial_contact: true,
        mobike: false,
        nonce_len: 32,
    };
    TunnelSettings {
        return_after: None,
        gateways: vec![Host::Address(GATEWAY)],
        first_port: 500,
        local_identity: LocalIdentity::Fixed(Identity::Fqdn("replica-1.example".into())),
        remote_identity: Some(Identity::Fqdn("gateway.example".into())),
        profile,
        reconnect: ReconnectPolicy::default(),
    }
}

/// The gateway that fits it.
pub fn gateway(suites: Suites) -> GatewaySettings {
    GatewaySettings {
        address: GATEWAY,
        identity: (2, b"gateway.example".to_vec()),
        psk: PSK.to_vec(),
        ike_suites: vec![suites.ike],
        esp_suites: vec![(suites.esp, suites.esn)],
        subnets: vec![Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 250, 0, 0)), 24).expect("a prefix")],
        pool: (Some(Ipv4Addr::new(10, 200, 0, 7)), Some(Ipv6Addr::new(0xfd00, 0x200, 0, 0, 0, 0, 0, 7))),
        cookie: false,
        fragment: None,
        dpd: None,
        auth_lifetime: None,
        replaces: None,
        patient: false,
        pfs: None,
        child_rekey: None,
        ike_rekey: None,
        nonces: (None, None),
        mobike: false,
        return_routability: false,
        further: Vec::new(),
        dead: Vec::new(),
        impairments: Vec::new(),
    }
}

/// Both of them on a good link, no NAT.
pub fn plain(suites: Suites, seed: u64) -> Scene {
    Scene {
        client: client(suites),
        gateway: gateway(suites),
        others: Vec::new(),
        quality: Quality::GOOD,
        nat: false,
        seed,
    }
}

/// The same, and both speak MOBIKE.
pub fn mobile(suites: Suites, seed: u64) -> Scene {
    let mut scene = plain(suites, seed);
    scene.client.profile.mobike = true;
    scene.gateway.mobike = true;
    scene
}

/// The name that XAUTH asks for in stories.
pub const USER: &str = "anna";
/// And the password.
pub const PASSWORD: &[u8] = b"a password";

/// The same client, speaking IKEv1.
pub fn client_v1(suites: Suites, mode: Phase1Mode, with_name: bool) -> TunnelSettings {
    let mut settings = client(suites);
    let xauth = with_name.then(|| Xauth { user: USER.into(), password: Secret::copy_of(PASSWORD) });
    settings.profile.protocol = Protocol::Ikev1(Arc::new(Ikev1 { mode, xauth }));
    settings.profile.ike_lifetime.time = Some(Duration::from_secs(4 * 3600));
    settings.profile.child.lifetime.time = Some(Duration::from_secs(3600));
    settings
}

/// The gateway that fits it.
pub fn gateway_v1(suites: Suites) -> gateway_v1::GatewaySettings {
    gateway_v1::GatewaySettings {
        address: GATEWAY,
        identity: (2, b"gateway.example".to_vec()),
        psk: PSK.to_vec(),
        ike_suites: vec![suites.ike],
        esp_suites: vec![(suites.esp, suites.esn)],
        pfs: None,
        subnets: vec![Selector::from_prefix(IpAddr::V4(Ipv4Addr::new(10, 250, 0, 0)), 24).expect("a prefix")],
        pool: (Some(Ipv4Addr::new(10, 200, 0, 7)), Some(Ipv6Addr::new(0xfd00, 0x200, 0, 0, 0, 0, 0, 7))),
        attributes: Vec::new(),
        push: false,
        xauth: None,
        nat: NatDialect::Rfc,
        fragment: None,
        announces_dpd: true,
        dpd: None,
        ike_lifetime: None,
        rekeys: None,
        commit: None,
        unique: Unique::Replace,
        impairments: Vec::new(),
    }
}

/// What the gateway knows of the client's name.
pub fn account() -> XauthAccount {
    XauthAccount { name: USER.into(), password: PASSWORD.to_vec(), message: None, one_by_one: false }
}

/// Main mode, an address by Mode Config and one subnet, on a good link without NAT.
pub fn plain_v1(suites: Suites, seed: u64) -> Scene<gateway_v1::Gateway> {
    let client = client_v1(suites, Phase1Mode::Main, false);
    Scene { client, gateway: gateway_v1(suites), others: Vec::new(), quality: Quality::GOOD, nat: false, seed }
}

/// Both sides want this group in every quick mode.
pub fn with_pfs(scene: &mut Scene<gateway_v1::Gateway>, group: Group) {
    scene.gateway.pfs = Some(group);
    for offer in &mut scene.client.profile.child.offers {
        offer.pfs = vec![group];
    }
}
