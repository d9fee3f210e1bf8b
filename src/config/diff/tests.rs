use std::sync::Arc;

use super::*;
use crate::crypto::secret::Secret;

const FILE: &str = r#"
[gateway]
address = "198.51.100.1"
subnets = ["10.250.0.0/24"]
psk_file = "psk"
"#;

fn config(text: &str) -> Config {
    let (config, report) = crate::config::read(text, &|_| None);
    config.unwrap_or_else(|| panic!("{}", report.render("office.toml", text)))
}

fn between(old: &str, new: &str) -> Vec<Difference> {
    differences(&config(old), &config(new), ChangedSecrets::default())
}

/// What changes when a line of a section is added, or replaces what the smallest file says.
fn with(section: &str, line: &str) -> String {
    let replaced = format!("{} =", line.split(' ').next().unwrap());
    let stays = |old: &&str| section != "gateway" || !old.starts_with(&replaced);
    let base: String = FILE.lines().filter(stays).map(|old| format!("{old}\n")).collect();
    let header = format!("[{section}]\n");
    match base.contains(&header) {
        true => base.replace(&header, &format!("{header}{line}\n")),
        false => format!("{base}{header}{line}\n"),
    }
}

#[test]
fn every_key_has_its_row() {
    let xauth = "version = 1\nxauth_user = \"ann\"\nxauth_password_file = \"password\"";
    let v1 = "version = 1\nproposals = [\"aes256-sha256-modp2048\"]";
    for (old, new, key, takes) in [
        (FILE, &*with("gateway", "address = \"198.51.100.2\""), "[gateway] address", Takes::NewSession),
        (FILE, &with("gateway", "address = [\"198.51.100.1\", \"198.51.100.2\"]"), "[gateway] address", Takes::InPlace),
        (
            FILE,
            &with("gateway", "address = [\"198.51.100.2\", \"198.51.100.1\"]"),
            "[gateway] address",
            Takes::NewSession,
        ),
        (FILE, &with("gateway", "port = 4500"), "[gateway] port", Takes::NewSession),
        (FILE, &with("gateway", "return_after = \"2m\""), "[gateway] return_after", Takes::InPlace),
        (FILE, &with("gateway", "id = \"gw.example\""), "[gateway] id", Takes::NewSession),
        (FILE, &with("gateway", "subnets = [\"10.251.0.0/24\"]"), "[gateway] subnets", Takes::NewSession),
        (FILE, &with("local", "id = \"a@example.com\""), "[local] id", Takes::NewSession),
        (FILE, &with("local", "address = \"10.1.2.3\""), "[local] address", Takes::NewSession),
        (FILE, &with("local", "port = 4501"), "[local] port", Takes::Restart),
        (FILE, &with("ike", "proposals = [\"aes128-sha256-ecp256\"]"), "[ike] proposals", Takes::NewSession),
        (FILE, &with("ike", "lifetime = \"1h\""), "[ike] lifetime", Takes::NextRekeying),
        (FILE, &with("ike", "dpd = \"7s\""), "[ike] dpd", Takes::InPlace),
        (FILE, &with("ike", "dpd = false"), "[ike] dpd", Takes::InPlace),
        (FILE, &with("ike", "keepalive = \"11s\""), "[ike] keepalive", Takes::InPlace),
        (FILE, &with("ike", "fragmentation = 1000"), "[ike] fragmentation", Takes::InPlace),
        (&with("ike", "fragmentation = false"), FILE, "[ike] fragmentation", Takes::NewSession),
        (FILE, &with("ike", "mobike = false"), "[ike] mobike", Takes::NewSession),
        (FILE, &with("ike", "initial_contact = true"), "[ike] initial_contact", Takes::NextSession),
        (FILE, &with("esp", "proposals = [\"aes128-sha256\"]"), "[esp] proposals", Takes::NewSession),
        (FILE, &with("esp", "lifetime = \"2h\""), "[esp] lifetime", Takes::NextRekeying),
        (FILE, &with("esp", "replay_window = 64"), "[esp] replay_window", Takes::NextRekeying),
        (FILE, &with("esp", "verify_pfs = false"), "[esp] verify_pfs", Takes::NextSession),
        (FILE, &with("esp", "children = \"any\""), "[esp] children", Takes::NewSession),
        (FILE, &with("tun", "name = \"vpnd7\""), "[tun] name", Takes::Restart),
        (FILE, &with("tun", "mtu = 1300"), "[tun] mtu", Takes::Host),
        (FILE, &with("killswitch", "enabled = false"), "[killswitch]", Takes::Host),
        (FILE, &with("killswitch", "nftables = true"), "[killswitch]", Takes::Host),
        (FILE, &with("log", "level = \"debug\""), "[log] level", Takes::InPlace),
        (FILE, &with("log", "format = \"json\""), "[log] format", Takes::InPlace),
        (FILE, &with("control", "socket = \"off\""), "[control] socket", Takes::Restart),
        (FILE, &with("security", "sandbox = \"off\""), "[security] sandbox", Takes::Restart),
        (FILE, &with("control", "watch = true"), "[control] watch", Takes::InPlace),
        (
            FILE,
            &with("gateway", "psk_env = \"PSK\"").replace("psk_file = \"psk\"\n", ""),
            "[gateway] psk",
            Takes::InPlace,
        ),
        (&with("ike", v1), &with("ike", &format!("{v1}\nmode = \"aggressive\"")), "[ike] mode", Takes::NewSession),
        (&with("ike", "version = 1"), &with("ike", xauth), "[ike] xauth_user", Takes::NewSession),
        (&with("ike", xauth), &with("ike", &xauth.replace("ann", "bob")), "[ike] xauth_user", Takes::NewSession),
        (
            &with("ike", xauth),
            &with("ike", &xauth.replace("\"password\"", "\"p\"")),
            "[ike] xauth_password",
            Takes::InPlace,
        ),
    ] {
        let found: Vec<_> = between(old, new).iter().map(|difference| (difference.key, difference.takes)).collect();
        assert_eq!(found, [(key, takes)], "{old}\n->{new}");
        assert_eq!(between(new, new), [], "{new}");
    }
}

#[test]
fn what_belongs_together_is_told_together() {
    let keys = |old: &str, new: &str| between(old, new).iter().map(|difference| difference.key).collect::<Vec<_>>();
    let routes = with("tun", "routes = false");
    assert_eq!(keys(FILE, &routes), ["[tun] routes", "[killswitch]"]);
    let site = with("local", "subnets = [\"10.9.0.0/24\"]");
    assert_eq!(keys(FILE, &site), ["[local] address", "[local] subnets"]);
    let shared = with("local", "shared_identity = true\nid = \"a@example.com\"");
    assert!(keys(FILE, &shared).contains(&"[local] shared_identity"));
    assert_eq!(keys(FILE, &with("ike", "version = 1"))[0], "[ike] version");
    let everything = with("gateway", "subnets = [\"0.0.0.0/0\"]");
    let allowed = keys(FILE, &format!("{everything}[tun]\ndefault_route = true\n"));
    assert_eq!(allowed, ["[gateway] subnets", "[tun] default_route"]);
}

#[test]
fn subnets_of_a_child_for_everything_are_routes_alone() {
    let any =
        |subnets: &str| format!("{}[esp]\nchildren = \"any\"\n", with("gateway", &format!("subnets = [{subnets}]")));
    let takes = |old: &str, new: &str| between(&any(old), &any(new))[0].takes;
    assert_eq!(takes("\"10.1.0.0/16\"", "\"10.2.0.0/16\""), Takes::Host);
    assert_eq!(takes("\"10.1.0.0/16\"", "\"10.1.0.0/16\", \"fd00::/64\""), Takes::NewSession);
}

fn secrets(psk: &str, password: Option<&str>) -> Secrets {
    let secret = |text: &str| Secret::copy_of(text.as_bytes());
    Secrets { psk: Arc::new(secret(psk)), xauth_password: password.map(secret) }
}

#[test]
fn c_14_secrets_are_compared_and_never_shown() {
    let xauth = "version = 1\nxauth_user = \"ann\"\nxauth_password_file = \"password\"";
    let config = config(&with("ike", xauth));
    let in_use = config.tunnel_settings(secrets("one key", Some("one word")));
    let between = |psk: &str, password: &str| {
        let changed = secrets(psk, Some(password)).changed(&in_use);
        differences(&config, &config, changed)
    };
    assert_eq!(between("one key", "one word"), []);
    let both = between("a new key", "a new word");
    let keys: Vec<_> = both.iter().map(|difference| (difference.key, difference.takes)).collect();
    let (psk, password) = ("[gateway] psk_file", "[ike] xauth_password_file");
    assert_eq!(keys, [(psk, Takes::NewSession), (password, Takes::NewSession)]);
    for difference in &both {
        let shown = format!("{difference} {difference:?}");
        assert!(shown.contains("changed") && !shown.contains("new key") && !shown.contains("new word"), "{shown}");
    }
    assert_eq!(between("one keY", "one word").len(), 1);
}

#[test]
fn c_14_a_key_in_the_file_itself_is_not_shown_either() {
    let inline = FILE.replace("psk_file = \"psk\"", "psk = \"a long key that nobody knows\"");
    for (old, new) in [(FILE, &*inline), (&inline, FILE)] {
        let shown = format!("{:?}", between(old, new));
        assert!(shown.contains("in the file") && !shown.contains("nobody"), "{shown}");
    }
}

#[test]
fn what_takes_a_restart_stays_as_it_runs() {
    let running = config(FILE);
    let new = config(
        "[gateway]\naddress = \"198.51.100.9\"\nsubnets = [\"10.0.0.0/8\"]\npsk_file = \"psk\"\n[local]\nport = 4501\n\
         [tun]\nname = \"vpnd7\"\n[control]\nsocket = \"/run/office.sock\"\n[security]\nsandbox = \"off\"\n",
    );
    let restart = |list: &[Difference]| list.iter().filter(|difference| difference.takes == Takes::Restart).count();
    let wanted = differences(&running, &new, ChangedSecrets::default());
    let in_force = new.clone().without_restart(&running);
    let done = differences(&running, &in_force, ChangedSecrets::default());
    assert_eq!((restart(&wanted), restart(&done)), (4, 0));
    assert_eq!(done.len(), wanted.len() - 4);
    // It is told again at each reload.
    assert_eq!(restart(&differences(&in_force, &new, ChangedSecrets::default())), 4);
}
