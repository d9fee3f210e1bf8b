//! strongSwan as the gateway: its configuration, what it says of its SAs, its log.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{Client, Lab};

pub(crate) const PSK: &str = "an interoperable secret";
pub(crate) const ADDRESS: &str = "192.0.2.1";
pub(crate) const ADDRESS_V6: &str = "2001:db8:2::1";
pub(crate) const INSIDE: &str = "10.250.0.5";
pub(crate) const INSIDE_V6: &str = "fd00:250::5";

/// `ipsec.conf` as the keywords of its `conn`, the secrets, and charon's own settings.
#[derive(Clone)]
pub(crate) struct GatewayConfig {
    unique_ids: &'static str,
    keywords: Vec<(&'static str, String)>,
    further: Vec<String>,
    file: Option<String>,
    secrets: String,
    charon: String,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        let keywords = [
            ("keyexchange", "ikev2"),
            ("type", "tunnel"),
            ("authby", "psk"),
            ("forceencaps", "yes"),
            ("ike", "aes256-sha256-ecp256!"),
            ("esp", "aes256-sha256!"),
            ("left", "%any"),
            ("leftid", ADDRESS),
            ("leftsubnet", "0.0.0.0/0"),
            ("right", "%any"),
            ("rightsourceip", "10.200.0.0/24"),
            ("auto", "add"),
        ];
        Self {
            unique_ids: "never",
            keywords: keywords.map(|(key, value)| (key, value.to_owned())).to_vec(),
            further: Vec::new(),
            file: None,
            secrets: format!(": PSK \"{PSK}\"\n"),
            charon: String::new(),
        }
    }
}

impl GatewayConfig {
    /// The default with IKEv1, and forward secrecy.
    pub(crate) fn ikev1() -> Self {
        Self::default().with("keyexchange", "ikev1").with("esp", "aes256-sha256-ecp256!")
    }

    /// A whole `ipsec.conf`, as it stands.
    pub(crate) fn verbatim(file: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }

    /// Sets a keyword, in the place of its default if it has one.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.keywords.retain(|(known, _)| *known != key);
        self.keywords.push((key, value.into()));
        self
    }

    /// Answers aggressive mode, and no other.
    pub(crate) fn aggressive(self) -> Self {
        self.with("aggressive", "yes").charon("i_dont_care_about_security_and_use_aggressive_mode_psk = yes")
    }

    /// Asks for this name and password after phase 1.
    pub(crate) fn xauth(self, user: &str, password: &str) -> Self {
        self.with("leftauth", "psk")
            .with("rightauth", "psk")
            .with("rightauth2", "xauth")
            .without("authby")
            .secrets(format!(": PSK \"{PSK}\"\n{user} : XAUTH \"{password}\"\n"))
    }

    pub(crate) fn without(mut self, key: &'static str) -> Self {
        self.keywords.retain(|(known, _)| *known != key);
        self
    }

    /// A further `conn`, like the first but for this keyword.
    pub(crate) fn conn(mut self, name: &str, key: &str, value: &str) -> Self {
        self.further.push(format!("conn {name}\n    also=workspaces\n    {key}={value}\n"));
        self
    }

    /// What happens to an older SA of the same identity: `uniqueids` of ipsec.conf.
    pub(crate) fn unique_ids(mut self, value: &'static str) -> Self {
        self.unique_ids = value;
        self
    }

    /// The lines of `ipsec.secrets`.
    pub(crate) fn secrets(mut self, secrets: impl Into<String>) -> Self {
        self.secrets = secrets.into();
        self
    }

    /// A setting of charon itself, as in `strongswan.conf`.
    pub(crate) fn charon(mut self, line: &str) -> Self {
        self.charon.push_str(line);
        self.charon.push('\n');
        self
    }

    /// Starts charon, and returns when it answers.
    pub(crate) fn start(self, lab: &Lab) -> Gateway<'_> {
        self.write(&lab.directory("gateway"));
        lab.verb("gateway", &[]);
        Gateway { lab }
    }

    /// Starts charon in a client's place, as another gateway to the same network.
    pub(crate) fn start_at(self, place: &Client<'_>) {
        place.run("ip", &["address", "add", &format!("{INSIDE}/32"), "dev", "lo"]);
        self.write(&place.directory());
        place.lab.verb("initiator", &[place.name()]);
    }

    fn write(&self, directory: &Path) {
        fs::write(directory.join("ipsec.conf"), self.text()).expect("ipsec.conf");
        fs::write(directory.join("ipsec.secrets"), &self.secrets).expect("ipsec.secrets");
        fs::write(directory.join("charon.extra"), &self.charon).expect("charon.extra");
    }

    fn text(&self) -> String {
        if let Some(file) = &self.file {
            return file.clone();
        }
        let mut text = format!("config setup\n    uniqueids={}\n\nconn workspaces\n", self.unique_ids);
        for (key, value) in &self.keywords {
            writeln!(text, "    {key}={value}").expect("a String takes everything");
        }
        text + &self.further.concat()
    }
}

/// A running gateway. It ends with its lab.
pub(crate) struct Gateway<'lab> {
    lab: &'lab Lab,
}

/// What `ipsec statusall` says of one IKE SA and the last of its children.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SaStatus {
    pub name: String,
    pub peer_identity: String,
    pub ike_proposal: String,
    pub child_proposal: String,
    pub selectors: String,
    /// The state of each child: `INSTALLED`, `REKEYED`, ...
    pub children: Vec<(String, String)>,
}

impl SaStatus {
    /// The selectors of the children that are in use.
    pub(crate) fn all_selectors(&self) -> Vec<&str> {
        let in_use = self.children.iter().filter(|(state, _)| state == "INSTALLED");
        in_use.map(|(_, selectors)| selectors.as_str()).collect()
    }
}

impl Gateway<'_> {
    pub(crate) fn ipsec(&self, arguments: &[&str]) -> String {
        self.lab.verb("ipsec", &[&["gateway"], arguments].concat())
    }

    /// Ends charon, which tells its peers, and starts it again.
    pub(crate) fn restart(&self) {
        self.lab.verb("gateway-stop", &[]);
        self.lab.verb("gateway", &[]);
    }

    /// Ends charon without a word to anybody.
    pub(crate) fn kill(&self) {
        self.lab.verb("gateway-kill", &[]);
    }

    /// Starts it again after that.
    pub(crate) fn revive(&self) {
        self.lab.verb("gateway", &[]);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.lab.directory("gateway").join("charon.log")).expect("charon's log")
    }

    pub(crate) fn sas(&self) -> Vec<SaStatus> {
        sas(&self.ipsec(&["statusall"]))
    }

    /// The one SA there is.
    pub(crate) fn sa(&self) -> SaStatus {
        let sas = self.sas();
        let [sa] = sas.as_slice() else { panic!("not one SA: {sas:#?}") };
        sa.clone()
    }

    pub(crate) fn sa_of(&self, identity: &str) -> SaStatus {
        let sas = self.sas();
        let found = sas.iter().find(|sa| sa.peer_identity == identity);
        found.unwrap_or_else(|| panic!("{identity} has no SA: {sas:#?}")).clone()
    }

    /// Waits until the log says this; the log so far is the failure's message.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "the gateway did not log {text:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the gateway has no SA at all.
    pub(crate) fn wait_until_empty(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.sas().is_empty() {
            assert!(Instant::now() < deadline, "the gateway still has {:#?}", self.sas());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this is so; the log is the failure's message.
    #[track_caller]
    pub(crate) fn wait_until(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < deadline, "not in time:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn sas(statusall: &str) -> Vec<SaStatus> {
    let mut sas: Vec<SaStatus> = Vec::new();
    let associations = statusall.lines().skip_while(|line| !line.starts_with("Security Associations"));
    for line in associations {
        let line = line.trim();
        let Some((name, text)) = line.split_once(": ") else { continue };
        let text = text.trim();
        if name.ends_with(']') {
            if sas.last().is_none_or(|sa| sa.name != name) {
                sas.push(SaStatus { name: name.to_owned(), ..SaStatus::default() });
            }
            let Some(sa) = sas.last_mut() else { continue };
            if let Some(proposal) = text.strip_prefix("IKE proposal: ") {
                proposal.clone_into(&mut sa.ike_proposal);
            } else if let Some((_, peer)) = text.split_once("...") {
                // "192.0.2.10[client@example.com]"
                let identity = peer.split_once('[').map_or(peer, |(_, identity)| identity);
                identity.trim_end_matches(']').clone_into(&mut sa.peer_identity);
            }
        } else if name.ends_with('}') {
            let Some(sa) = sas.last_mut() else { continue };
            if text.contains(" === ") {
                text.clone_into(&mut sa.selectors);
                if let Some((_, selectors)) = sa.children.last_mut() {
                    text.clone_into(selectors);
                }
            } else if let Some((state, _)) = text.split_once(", TUNNEL") {
                sa.children.push((state.to_owned(), String::new()));
            } else if let Some((proposal, _)) = text.split_once(", ").filter(|(_, rest)| rest.contains("bytes_i")) {
                proposal.clone_into(&mut sa.child_proposal);
            }
        }
    }
    sas
}

#[test]
fn the_status_of_two_sas_is_read() {
    let status = "\
Connections:
  workspaces:  %any...%any  IKEv2
Security Associations (2 up, 0 connecting):
  workspaces[6]: ESTABLISHED 0 seconds ago, 192.0.2.1[gw.example.com]...192.0.2.11[replica-7]
  workspaces[6]: IKEv2 SPIs: a65697a416afe6bc_i 2662e0e1f85e5253_r*, pre-shared key reauthentication in 2 hours
  workspaces[6]: IKE proposal: AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048
  workspaces{6}:  INSTALLED, TUNNEL, reqid 1, ESP in UDP SPIs: e5aea1d7_i 694598b8_o
  workspaces{6}:  AES_CBC_256/HMAC_SHA2_256_128, 168 bytes_i (2 pkts, 0s ago), 168 bytes_o (2 pkts, 0s ago), rekeying in 44 minutes
  workspaces{6}:   10.250.0.0/24 === 10.200.0.1/32
  workspaces[5]: ESTABLISHED 3 seconds ago, 192.0.2.1[gw.example.com]...192.0.2.10[a@example.com]
";
    let [first, second] = sas(status).try_into().expect("two");
    assert_eq!(
        first,
        SaStatus {
            name: "workspaces[6]".to_owned(),
            peer_identity: "replica-7".to_owned(),
            ike_proposal: "AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048".to_owned(),
            child_proposal: "AES_CBC_256/HMAC_SHA2_256_128".to_owned(),
            selectors: "10.250.0.0/24 === 10.200.0.1/32".to_owned(),
            children: vec![("INSTALLED".to_owned(), "10.250.0.0/24 === 10.200.0.1/32".to_owned())],
        }
    );
    assert_eq!(second.peer_identity, "a@example.com");
    assert_eq!(sas("Security Associations (0 up, 0 connecting):\n  none\n"), []);
}
