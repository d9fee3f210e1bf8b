//! Every suite with every group: up, the child rekeyed (which proves the group before the tunnel is up), and a ping through the tunnel. The
//! table is left in `matrix.txt` of the target's temporary directory, where `make interop` prints it from.

use crate::gateway::{Gateway, GatewayConfig, INSIDE};
use crate::grid::Grid;
use crate::lab::{Client, Lab};
use crate::vpnd::{VpndConfig, quoted};

/// Our notation, and how strongSwan writes what it chose.
const SUITES: [(&str, &str); 19] = [
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
    ("aes128gcm16", "AES_GCM_16_128"),
    ("aes128gcm12", "AES_GCM_12_128"),
    ("aes128gcm8", "AES_GCM_8_128"),
    ("aes256gcm16", "AES_GCM_16_256"),
    ("aes256gcm12", "AES_GCM_12_256"),
    ("aes256gcm8", "AES_GCM_8_256"),
    ("chacha20poly1305", "CHACHA20_POLY1305"),
];

const GROUPS: [(&str, &str); 7] = [
    ("modp2048", "MODP_2048"),
    ("modp3072", "MODP_3072"),
    ("modp4096", "MODP_4096"),
    ("ecp256", "ECP_256"),
    ("ecp384", "ECP_384"),
    ("ecp521", "ECP_521"),
    ("curve25519", "CURVE_25519"),
];

/// An AEAD brings no hash, so each group brings one of the three pseudorandom functions.
const AEAD_PRFS: [(&str, &str); 3] =
    [("prfsha256", "PRF_HMAC_SHA2_256"), ("prfsha384", "PRF_HMAC_SHA2_384"), ("prfsha512", "PRF_HMAC_SHA2_512")];

const AT_ONCE: u8 = 4;

struct Cell {
    suite: usize,
    group: usize,
}

impl Cell {
    fn identity(&self) -> String {
        format!("{}.{}.example.com", SUITES[self.suite].0, GROUPS[self.group].0)
    }

    fn prf(&self) -> Option<(&'static str, &'static str)> {
        let is_aead = !SUITES[self.suite].1.contains("HMAC");
        is_aead.then(|| AEAD_PRFS[self.group % AEAD_PRFS.len()])
    }

    fn config(&self) -> VpndConfig {
        let (suite, group) = (SUITES[self.suite].0, GROUPS[self.group].0);
        let ike = self.prf().map_or_else(|| format!("{suite}-{group}"), |(prf, _)| format!("{suite}-{prf}-{group}"));
        let config = VpndConfig::default()
            .with("local", "id", quoted(&self.identity()))
            .with("ike", "proposals", format!("[\"{ike}\"]"))
            .with("esp", "proposals", format!("[\"{suite}-{group}\"]"));
        if suite.ends_with("-sha1") { config.with("security", "allow_weak", "true") } else { config }
    }

    fn expected(&self) -> (String, String) {
        let (suite, group) = (SUITES[self.suite].1, GROUPS[self.group].1);
        let prf = self.prf().map_or_else(
            || {
                let (_, integrity) = suite.split_once("/HMAC_").expect("CBC with HMAC");
                let (hash, _) = integrity.rsplit_once('_').expect("a hash and a length");
                format!("PRF_HMAC_{hash}")
            },
            |(_, prf)| prf.to_owned(),
        );
        (format!("{suite}/{prf}/{group}"), format!("{suite}/{group}"))
    }

    /// Panics unless the tunnel comes up with this suite and group, also in the child's first rekey, carries a ping, and goes down.
    fn prove(&self, client: &Client<'_>, gateway: &Gateway<'_>) {
        let vpnd = self.config().up(client);
        assert_eq!(client.ping(INSIDE, 1), 1, "no answer through the tunnel");
        let sa = gateway.sa_of(&self.identity());
        assert_eq!((sa.ike_proposal, sa.child_proposal), self.expected());
        vpnd.terminate();
    }
}

fn gateway_that_takes_everything(lab: &Lab) -> Gateway<'_> {
    let names = |keep: fn(&str) -> bool| {
        let mut names: Vec<&str> =
            SUITES.iter().filter(|(_, theirs)| keep(theirs)).flat_map(|(ours, _)| ours.split('-')).collect();
        names.sort_unstable();
        names.dedup();
        names.join("-")
    };
    let cbc = names(|theirs| theirs.contains("HMAC"));
    let aead = names(|theirs| !theirs.contains("HMAC"));
    let prfs = AEAD_PRFS.map(|(ours, _)| ours).join("-");
    let groups = GROUPS.map(|(ours, _)| ours).join("-");
    GatewayConfig::default()
        .with("ike", format!("{cbc}-{groups},{aead}-{prfs}-{groups}!"))
        .with("esp", format!("{cbc}-{groups},{aead}-{groups}!"))
        .start(lab)
}

#[test]
fn every_suite_with_every_group_carries_a_ping() {
    let lab = Lab::open();
    let clients: Vec<_> = (0..AT_ONCE).map(|number| lab.client(number)).collect();
    let gateway = gateway_that_takes_everything(&lab);
    let grid = Grid::new(&SUITES.map(|(ours, _)| ours), &GROUPS.map(|(ours, _)| ours));
    grid.prove("matrix.txt", &clients, |client, suite, group| Cell { suite, group }.prove(client, &gateway));
    gateway.wait_until_empty();
}
