//! Every suite with every group, in both phases: up, and a ping through the tunnel. The table is left in
//! `matrix-ikev1.txt` of the target's temporary directory, where `make interop` prints it from.

use crate::gateway::{Gateway, GatewayConfig, INSIDE};
use crate::grid::Grid;
use crate::lab::{Client, Lab};
use crate::vpnd::{VpndConfig, quoted};

/// Our notation, and how strongSwan writes what it chose.
const SUITES: [(&str, &str); 20] = [
    ("aes128-sha1", "AES_CBC_128/HMAC_SHA1_96"),
    ("aes128-sha256", "AES_CBC_128/HMAC_SHA2_256_128"),
    ("aes128-sha384", "AES_CBC_128/HMAC_SHA2_384_192"),
    ("aes128-sha512", "AES_CBC_128/HMAC_SHA2_512_256"),
    ("aes192-sha1", "AES_CBC_192/HMAC_SHA1_96"),
    ("aes192-sha256", "AES_CBC_192/HMAC_SHA2_256_128"),
    ("aes192-sha384", "AES_CBC_192/HMAC_SHA2_384_192"),
    ("aes192-sha512", "AES_CBC_192/HMAC_SHA2_512_256"),
    ("aes256-sha1", "AES_CBC_256/HMAC_SHA1_96"),
    ("aes256-sha256", "AES_CBC_256/HMAC_SHA2_256_128"),
    ("aes256-sha384", "AES_CBC_256/HMAC_SHA2_384_192"),
    ("aes256-sha512", "AES_CBC_256/HMAC_SHA2_512_256"),
    ("3des-sha1", "3DES_CBC/HMAC_SHA1_96"),
    ("3des-sha256", "3DES_CBC/HMAC_SHA2_256_128"),
    ("aes128gcm16", "AES_GCM_16_128"),
    ("aes128gcm12", "AES_GCM_12_128"),
    ("aes128gcm8", "AES_GCM_8_128"),
    ("aes256gcm16", "AES_GCM_16_256"),
    ("aes256gcm12", "AES_GCM_12_256"),
    ("aes256gcm8", "AES_GCM_8_256"),
];

const GROUPS: [(&str, &str); 8] = [
    ("modp1024", "MODP_1024"),
    ("modp1536", "MODP_1536"),
    ("modp2048", "MODP_2048"),
    ("modp3072", "MODP_3072"),
    ("modp4096", "MODP_4096"),
    ("ecp256", "ECP_256"),
    ("ecp384", "ECP_384"),
    ("ecp521", "ECP_521"),
];

/// Phase 1 beside a suite that only ESP has.
const BESIDE_AEAD: usize = 9;

const AT_ONCE: u8 = 4;

struct Cell {
    suite: usize,
    group: usize,
}

impl Cell {
    fn identity(&self) -> String {
        format!("{}.{}.example.com", SUITES[self.suite].0, GROUPS[self.group].0)
    }

    fn phase_1(&self) -> (&'static str, &'static str) {
        let (ours, theirs) = SUITES[self.suite];
        if theirs.contains("HMAC") { (ours, theirs) } else { SUITES[BESIDE_AEAD] }
    }

    fn config(&self) -> VpndConfig {
        let (suite, group) = (SUITES[self.suite].0, GROUPS[self.group].0);
        let config = VpndConfig::ikev1()
            .with("local", "id", quoted(&self.identity()))
            .with("ike", "proposals", format!("[\"{}-{group}\"]", self.phase_1().0))
            .with("esp", "proposals", format!("[\"{suite}-{group}\"]"));
        let is_weak_suite = suite.ends_with("-sha1") || suite.starts_with("3des");
        let is_weak = is_weak_suite || matches!(group, "modp1024" | "modp1536");
        if is_weak { config.with("security", "allow_weak", "true") } else { config }
    }

    fn expected(&self) -> (String, String) {
        let (phase_1, group) = (self.phase_1().1, GROUPS[self.group].1);
        let (_, integrity) = phase_1.split_once("/HMAC_").expect("CBC with HMAC");
        let (hash, _) = integrity.rsplit_once('_').expect("a hash and a length");
        (format!("{phase_1}/PRF_HMAC_{hash}/{group}"), format!("{}/{group}", SUITES[self.suite].1))
    }

    /// Panics unless the tunnel comes up with this suite and group, carries a ping, and goes down.
    fn prove(&self, client: &Client<'_>, gateway: &Gateway<'_>) {
        let vpnd = self.config().up(client);
        assert!(client.gets_an_answer(INSIDE), "no answer through the tunnel");
        let sa = gateway.sa_of(&self.identity());
        assert_eq!((sa.ike_proposal, sa.child_proposal), self.expected());
        vpnd.terminate();
    }
}

/// In IKEv1 the gateway takes a proposal only if one of its own has all the algorithms: each suite is one.
fn gateway_that_takes_everything(lab: &Lab) -> Gateway<'_> {
    let groups = GROUPS.map(|(ours, _)| ours).join("-");
    let each = |keep: fn(&str) -> bool| {
        let kept = SUITES.iter().filter(|(_, theirs)| keep(theirs));
        kept.map(|(ours, _)| format!("{ours}-{groups}")).collect::<Vec<_>>().join(",")
    };
    GatewayConfig::ikev1()
        .with("ike", format!("{}!", each(|theirs| theirs.contains("HMAC"))))
        .with("esp", format!("{}!", each(|_| true)))
        .start(lab)
}

#[test]
fn every_suite_of_ikev1_with_every_group_carries_a_ping() {
    let lab = Lab::open();
    let clients: Vec<_> = (0..AT_ONCE).map(|number| lab.client(number)).collect();
    let gateway = gateway_that_takes_everything(&lab);
    let grid = Grid::new(&SUITES.map(|(ours, _)| ours), &GROUPS.map(|(ours, _)| ours));
    grid.prove("matrix-ikev1.txt", &clients, |client, suite, group| Cell { suite, group }.prove(client, &gateway));
    gateway.wait_until_empty();
}
