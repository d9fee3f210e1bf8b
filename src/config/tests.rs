//! Whole files in, reports and configurations out.

mod ikev1;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::report::Severity;
use super::*;
use crate::crypto::secret::Secret;
use crate::ike::identity::Identity;
use crate::sa::selector::Selector;
use crate::sa::suite::{EsnOffer, Group};
use crate::tunnel::settings::{Host, LocalIdentity};

const SMALLEST: &str = "[gateway]\naddress = \"198.51.100.1\"\nsubnets = [\"10.250.0.0/24\"]\npsk_file = \"psk\"\n";

fn environment(name: &str) -> Option<String> {
    (name == "HOSTNAME").then(|| "web-0".to_owned())
}

fn config(text: &str) -> Config {
    let (config, report) = read(text, &environment);
    config.unwrap_or_else(|| panic!("{}", report.render("office.toml", text)))
}

fn with(more: &str) -> String {
    format!("{SMALLEST}{more}")
}

fn rendered(text: &str) -> String {
    let (config, report) = read(text, &environment);
    assert_eq!(config.is_none(), report.has_errors());
    report.render("office.toml", text)
}

/// The messages and helps of all errors.
fn errors(text: &str) -> Vec<String> {
    let (_, report) = read(text, &environment);
    let said =
        |finding: &report::Finding| format!("{} | {}", finding.message, finding.help.clone().unwrap_or_default());
    report.findings().iter().filter(|finding| finding.severity == Severity::Error).map(said).collect()
}

fn warnings(text: &str) -> Vec<String> {
    let (_, report) = read(text, &environment);
    let warnings = report.findings().iter().filter(|finding| finding.severity == Severity::Warning);
    warnings.map(|finding| finding.message.clone()).collect()
}

fn only_error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{text}\n{errors:#?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn the_smallest_file_has_documented_defaults() {
    let config = config(SMALLEST);
    assert_eq!(config.gateways(), [Host::Address(IpAddr::from([198, 51, 100, 1]))]);
    assert_eq!(config.first_port(), 500);
    assert_eq!(config.local_identity(), &LocalIdentity::SourceAddress);
    assert_eq!(config.remote_identity(), None);
    assert_eq!(config.address_mode(), &AddressMode::Virtual { ipv4: true, ipv6: false });
    assert_eq!(config.ike_lifetime(), Duration::from_secs(4 * 3600));
    assert_eq!(config.esp_lifetime(), Duration::from_secs(3600));
    assert_eq!(config.dpd(), Some(Duration::from_secs(30)));
    assert_eq!(config.keepalive(), Duration::from_secs(20));
    assert_eq!(config.replay_window(), 1024);
    assert_eq!(config.fragmentation(), Some(1280));
    assert_eq!(config.mtu(), None);
    assert!(config.routes() && !config.default_route() && !config.initial_contact() && config.mobike());
    assert_eq!(config.device(), "vpnd0");
    assert_eq!(config.ike_offers().len(), 2);
    assert_eq!(config.ike_offers()[0].groups[0], Group::Curve25519);
    assert!(config.ike_offers().iter().all(|offer| offer.groups.iter().all(|group| !group.is_weak())));
    assert!(config.esp_offers().iter().all(|offer| offer.esn == EsnOffer::Without));
    assert_eq!(rendered(SMALLEST), "");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = "[gateway]\nadress = \"198.51.100.1\"\nsubnets = [\"10.250.0.5/24\"]\npsk_file = \"psk\"\n\n[ike]\nproposals = [\"aes265-sha256-modp2048\"]\nlifetime = 3600\n\n[tunn]\nmtu = 1400\n";
    let expected = "\
office.toml:1:2: error: `address` is missing in [gateway]
  1 | [gateway]
    |  ^^^^^^^ write `address = \"198.51.100.1\"`, an address or a name
office.toml:2:1: error: unknown key `adress` in [gateway]
  2 | adress = ***
    | ^^^^^^ did you mean `address`?
office.toml:3:12: error: the address has bits behind the prefix
  3 | subnets = [\"10.250.0.5/24\"]
    |            ^^^^^^^^^^^^^^^ write `10.250.0.0/24` for the whole subnet, or `10.250.0.5/32` for one host
office.toml:7:15: error: unknown algorithm `aes265`
  7 | proposals = [\"aes265-sha256-modp2048\"]
    |               ^^^^^^ did you mean `aes256`?
office.toml:8:12: error: `lifetime` is a duration in quotes with a unit
  8 | lifetime = 3600
    |            ^^^^ write \"3600s\" for seconds
office.toml:10:2: error: unknown section `tunn`
  10 | [tunn]
     |  ^^^^ did you mean `tun`?
";
    assert_eq!(rendered(text), expected);
}

#[test]
fn several_syntax_errors_are_told_at_once() {
    let text = "[gateway]\naddress = 198.51.100.1\nsubnets = [\"10.250.0.0/24\"]\npsk_file = \"psk\n";
    let report = rendered(text);
    assert!(report.contains("office.toml:2:") && report.contains("office.toml:4:"), "{report}");
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_the_right_one() {
    assert!(only_error(&with("[local]\nproposals = []\n")).contains("it belongs in [ike] or [esp]"));
    assert!(only_error(&format!("mtu = 1400\n{SMALLEST}")).contains("it belongs in [tun]"));
}

#[test]
fn an_empty_file_says_what_is_needed() {
    assert!(only_error("").contains("[gateway]"));
    assert_eq!(errors("[gateway]\n").len(), 3);
}

#[test]
fn a_wrong_type_is_told_with_the_right_one() {
    for (text, expected) in [
        ("[tun]\nroutes = \"yes\"\n", "`routes` is true or false, without quotes, not a string"),
        ("[tun]\nname = 1\n", "`name` is a device name in quotes, not an integer"),
        ("[local]\nid = [\"a\"]\n", "`id` is an identity in quotes, not an array"),
        ("[ike]\nproposals = [1]\n", "not an integer"),
        ("[esp]\nreplay_window = \"64\"\n", "`replay_window` is a number, not a string"),
        ("[esp]\nreplay_window = 99999999999999999999\n", "too large"),
        ("[ike]\nlifetime = 1.5\n", "not a float"),
        ("[local]\nid = 1979-05-27\n", "not a datetime"),
    ] {
        let errors = errors(&with(text));
        assert!(errors.iter().any(|error| error.contains(expected)), "{text}: {errors:?}");
    }
    assert!(errors("gateway = 1\n").iter().any(|error| error.contains("`gateway` is a section")));
}

#[test]
fn the_kill_switch_is_on_unless_somebody_else_makes_the_routes() {
    for (text, expected) in [
        ("", KillSwitch::On(Nftables::Auto)),
        ("[killswitch]\nenabled = true\nnftables = \"auto\"\n", KillSwitch::On(Nftables::Auto)),
        ("[killswitch]\nnftables = true\n", KillSwitch::On(Nftables::Required)),
        ("[killswitch]\nnftables = false\n", KillSwitch::On(Nftables::Never)),
        ("[killswitch]\nenabled = false\n", KillSwitch::Off),
        ("[tun]\nroutes = false\n", KillSwitch::Off),
    ] {
        assert_eq!(config(&with(text)).kill_switch(), expected, "{text}");
    }
    for (text, expected) in [
        ("[killswitch]\nnftables = \"maybe\"\n", "`nftables` is \"auto\", true or false"),
        ("[killswitch]\nenabled = \"yes\"\n", "`enabled` is true or false"),
        ("[killswitch]\nenabled = false\nnftables = true\n", "does nothing"),
        ("[tun]\nroutes = false\n[killswitch]\nenabled = true\n", "contradicts `routes = false`"),
    ] {
        assert!(only_error(&with(text)).contains(expected), "{text}: {}", only_error(&with(text)));
    }
}

#[test]
fn l_11_the_control_socket_is_where_the_file_says_or_nowhere() {
    for (text, expected) in [
        ("", ControlSocket::ByDevice),
        ("[control]\n", ControlSocket::ByDevice),
        ("[control]\nsocket = \"off\"\n", ControlSocket::Off),
        ("[control]\nsocket = \"/run/office.sock\"\n", ControlSocket::At("/run/office.sock".into())),
    ] {
        assert_eq!(*config(&with(text)).control_socket(), expected, "{text}");
    }
    let long = format!("[control]\nsocket = \"/{}\"\n", "x".repeat(107));
    for text in ["[control]\nsocket = \"office.sock\"\n", "[control]\nsocket = \"/run/\"\n", &long] {
        assert!(only_error(&with(text)).contains("socket"), "{text}");
    }
    assert!(only_error(&with("[control]\nsocket = false\n")).contains("not a boolean"));
}

#[test]
fn l_11_what_the_process_gives_up_is_a_choice() {
    assert_eq!(config(SMALLEST).sandbox(), Sandbox::Auto);
    for (name, expected) in Sandbox::NAMES {
        assert_eq!(config(&with(&format!("[security]\nsandbox = \"{name}\"\n"))).sandbox(), *expected);
    }
    assert!(only_error(&with("[security]\nsandbox = \"on\"\n")).contains("sandbox"));
}

#[test]
fn what_is_not_built_is_refused_and_not_forgotten() {
    for text in ["[dns]\n", "[metrics]\nlisten = \"127.0.0.1:9100\"\n"] {
        assert!(only_error(&with(text)).contains("not built yet"), "{text}");
    }
    let two = SMALLEST.replace("[\"10.250.0.0/24\"]", "[\"10.250.0.0/24\", \"10.251.0.0/24\"]");
    assert!(only_error(&format!("{two}[esp]\nchildren = \"per-subnet\"\n")).contains("not built yet"));
    for text in ["[esp]\nchildren = \"per-subnet\"\n", "[esp]\nchildren = \"auto\"\n"] {
        config(&with(text));
    }
}

#[test]
fn x_07_mobike_is_announced_unless_it_is_switched_off() {
    assert!(config(&with("[ike]\nversion = 2\nmobike = true\n")).mobike());
    assert!(!config(&with("[ike]\nmobike = false\n")).mobike());
}

#[test]
fn values_out_of_range_are_refused() {
    for text in [
        "[esp]\nreplay_window = 8193\n",
        "[esp]\nreplay_window = -1\n",
        "[tun]\nmtu = 575\n",
        "[tun]\nmtu = 9001\n",
        "[tun]\nname = \"a-name-of-16-oct\"\n",
        "[tun]\nname = \"a/b\"\n",
        "[tun]\nname = \"\"\n",
        "[tun]\nname = \"..\"\n",
        "[ike]\nlifetime = \"9s\"\n",
        "[ike]\nlifetime = \"31d\"\n",
        "[ike]\ndpd = \"0s\"\n",
        "[ike]\nkeepalive = \"1h\"\n",
        "[ike]\nfragmentation = 575\n",
        "[ike]\nversion = 3\n",
        "[esp]\nesn = \"yes\"\n",
        "[local]\nport = 0\n",
        "[local]\nport = 65536\n",
        "[log]\nlevel = \"verbose\"\n",
    ] {
        only_error(&with(text));
    }
    assert_eq!(config(&with("[esp]\nreplay_window = 8192\n")).replay_window(), 8192);
    assert_eq!(config(&with("[ike]\ndpd = \"off\"\n")).dpd(), None);
    assert_eq!(config(&with("[ike]\nfragmentation = false\n")).fragmentation(), None);
    assert_eq!(config(&with("[tun]\nmtu = 1400\nname = \"vpnd-office.1\"\n")).mtu(), Some(1400));
}

#[test]
fn weak_algorithms_need_words_and_broken_ones_are_never_used() {
    let weak = "[ike]\nproposals = [\"3des-sha1-modp1024\"]\n[esp]\nproposals = [\"aes128-sha1\"]\n";
    let told = errors(&with(weak));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|error| error.contains("allow_weak = true")));
    config(&with(&format!("{weak}[security]\nallow_weak = true\n")));
    for word in ["des-sha256-modp2048", "aes256-md5-modp2048", "null-sha256-modp2048", "aes256-sha256-modp768"] {
        let text = with(&format!("[ike]\nproposals = [\"{word}\"]\n[security]\nallow_weak = true\n"));
        assert!(errors(&text)[0].contains("is never used"), "{word}");
    }
}

#[test]
fn the_default_route_is_taken_only_in_words() {
    for everything in
        ["[\"0.0.0.0/0\"]", "[\"::/0\"]", "[\"0.0.0.0/1\", \"128.0.0.0/1\"]", "[\"10.0.0.0/8\", \"0.0.0.0/0\"]"]
    {
        let text = SMALLEST.replace("[\"10.250.0.0/24\"]", everything);
        assert!(only_error(&text).contains("default_route = true"), "{everything}");
        assert!(config(&format!("{text}[tun]\ndefault_route = true\n")).default_route());
        assert!(!config(&format!("{text}[tun]\nroutes = false\n")).routes());
        only_error(&format!("{text}[tun]\ndefault_route = true\nroutes = false\n"));
    }
    only_error(&with("[tun]\ndefault_route = true\n"));
}

#[test]
fn there_is_exactly_one_source_of_the_key() {
    let without = SMALLEST.replace("psk_file = \"psk\"\n", "");
    assert!(only_error(&without).contains("psk_file"));
    assert!(only_error(&SMALLEST.replace("psk_file", "psk_env = \"KEY\"\npsk_file")).contains("more than one"));
    for (line, expected) in [
        ("psk_env = \"VPND_PSK\"", "[gateway] psk_env"),
        ("psk_credential = \"office\"", "[gateway] psk_credential"),
        ("psk_file = \"psk\"\npsk_format = \"hex\"", "[gateway] psk_file"),
        ("psk = \"a good long key that nobody knows\"", "[gateway] psk"),
    ] {
        assert_eq!(config(&format!("{without}{line}\n")).psk_source().key(), expected);
    }
    for line in [
        "psk_env = \"\"",
        "psk_env = \"$KEY\"",
        "psk_credential = \"../psk\"",
        "psk_file = \"\"",
        "psk = \"\"",
        "psk = 7",
    ] {
        assert!(!errors(&format!("{without}{line}\n")).is_empty(), "{line}");
    }
}

#[test]
fn c_14_no_report_shows_a_key() {
    let key = "SesameOpenUp";
    let without = SMALLEST.replace("psk_file = \"psk\"\n", "");
    for text in [
        format!("{without}psk = \"{key}\"\n"),
        format!("{without}psk = \"{key}\" x\n"),
        format!("{without}psk = \"{key}\n"),
        format!("{without}psk = {key}\n"),
        format!("{without}psk \"{key}\"\n"),
        format!("{without}\"psk\" = \"{key}\"\nnonsense"),
        format!("{without}psk = '{key}\n"),
        format!("{without}psk = \"\"\"\n{key}\u{1}\n\"\"\"\n"),
        format!("{without}psk = \"\"\"{key}\n{key}\n"),
        format!("{without}psk = [\"{key}\"]\n"),
        format!("{without}psk = {{ a = \"{key}\" }}\n"),
        format!("{without}pks = \"{key}\"\n"),
        format!("{without}psk = \"{key}\"\npsk = \"{key}\"\n"),
        format!("[ike]\npsk = \"{key}\"\n{without}"),
        format!("psk = \"{key}\"\n{without}"),
        format!("[local]\nid = 1\nxauth_password = \"{key}\"\n{without}"),
        format!("gateway = {{ psk = \"{key}\" }}\n"),
        format!("gateway = {{ psk = \"{key}\" \n"),
        format!("gateway.psk = \"{key}\" \"\n"),
        format!("[secrets]\na = \"{key}\"\n{without}"),
        format!("[gateway] psk = \"{key}\"\n"),
        format!("{without}psk = \"{key}\"\npsk_format = \"hex\"\n"),
        format!("{without}psk = \"\\q{key}\"\n"),
    ] {
        let (config, report) = read(&text, &environment);
        let shown = report.render("office.toml", &text);
        assert!(!shown.is_empty(), "{text}");
        assert!(!shown.contains(key), "{text}\n---\n{shown}");
        assert!(!format!("{report:?}{config:?}").contains(key), "{text}");
    }
}

#[test]
fn c_14_no_report_shows_a_key_whatever_slip_was_made() {
    let (first, second) = ("SesameOpenUp", "AndShutAgain");
    for line in [format!("psk = \"{first}-{second}\""), format!("psk = \"\"\"\n{first}\n{second}\"\"\"")] {
        let text = SMALLEST.replace("psk_file = \"psk\"", &line);
        for at in 0..text.len() {
            for slip in ["", "\"", "'", "=", "[", "]", "{", "\n", "#", "x", ".", "\\", "\u{1}", "\u{fc}"] {
                let replaced = format!("{}{slip}{}", &text[..at], &text[at + 1..]);
                let inserted = format!("{}{slip}{}", &text[..at], &text[at..]);
                for text in [replaced, inserted] {
                    let (_, report) = read(&text, &environment);
                    let shown = report.render("office.toml", &text);
                    assert!(!shown.contains(first) && !shown.contains(second), "{text}\n---\n{shown}");
                }
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[(gateway|ike|esp|tun|local)\\]\n|[a-z_]{1,12} = |\\PC|[\"'\\[\\]{},.\n0-9-]){0,60}") {
        let (config, report) = read(&text, &environment);
        proptest::prop_assert_eq!(config.is_none(), report.has_errors());
        report.render("office.toml", &text);
    }
}

#[test]
fn a_key_in_the_file_is_used_and_warned_about() {
    let text = SMALLEST.replace("psk_file = \"psk\"", "psk = \"short\"");
    let shown = rendered(&text);
    assert!(shown.contains("warning: the pre-shared key stands in the configuration file"), "{shown}");
    assert!(shown.contains("can be guessed"), "{shown}");
    config(&text);
}

#[test]
fn identities_may_hold_variables_and_then_initial_contact_is_sent() {
    let unique = config(&with("[local]\nid = \"${HOSTNAME}.web.example.org\"\n"));
    assert_eq!(unique.local_identity(), &LocalIdentity::Fixed(Identity::Fqdn("web-0.web.example.org".into())));
    assert!(unique.initial_contact());
    assert!(!config(&with("[local]\nid = \"web.example.org\"\n")).initial_contact());
    assert!(config(&with("[local]\nid = \"web.example.org\"\n[ike]\ninitial_contact = true\n")).initial_contact());
    assert!(!config(&with("[local]\nid = \"${HOSTNAME}\"\n[ike]\ninitial_contact = false\n")).initial_contact());
    let shared = "[local]\nid = \"web.example.org\"\nshared_identity = true\n";
    assert!(config(&with(shared)).shared_identity() && !config(&with(shared)).initial_contact());
    assert!(only_error(&with(&format!("{shared}[ike]\ninitial_contact = true\n"))).contains("other replicas"));
    let doubtful = with("[local]\nid = \"${HOSTNAME}\"\nshared_identity = true\n");
    assert_eq!(warnings(&doubtful).len(), 1);
    assert!(!config(&doubtful).initial_contact());
    let shown = rendered(&with("[local]\nid = \"a.${NAME}\"\n"));
    assert!(shown.contains("office.toml:6:9: error: the environment variable `NAME` is not set"), "{shown}");
}

#[test]
fn addresses_are_asked_for_by_the_families_of_the_subnets() {
    let both = SMALLEST.replace("[\"10.250.0.0/24\"]", "[\"10.250.0.0/24\", \"2001:db8::/32\"]");
    let settings = config(&both).tunnel_settings(psk());
    assert_eq!(settings.profile.request.ipv4, Some(Ipv4Addr::UNSPECIFIED));
    assert_eq!(settings.profile.request.ipv6, Some(Ipv6Addr::UNSPECIFIED));
    assert_eq!(settings.profile.child.local, [Selector::any_v4(), Selector::any_v6()]);
    let one = config(SMALLEST).tunnel_settings(psk());
    assert_eq!(one.profile.request.ipv6, None);
    assert_eq!(one.profile.child.local, [Selector::any_v4()]);
    assert_eq!(one.profile.child.remote, [Selector::from_prefix([10, 250, 0, 0].into(), 24).unwrap()]);
}

#[test]
fn site_to_site_has_subnets_of_its_own_and_asks_for_no_address() {
    let site = config(&with("[local]\nsubnets = [\"10.1.0.0/16\"]\n"));
    assert_eq!(site.address_mode(), &AddressMode::None);
    let settings = site.tunnel_settings(psk());
    assert_eq!(settings.profile.child.local, [Selector::from_prefix([10, 1, 0, 0].into(), 16).unwrap()]);
    assert_eq!(settings.profile.request, crate::ike::profile::AddressRequest::default());
    let fixed = config(&with("[local]\naddress = \"10.1.0.5\"\n")).tunnel_settings(psk());
    assert_eq!(fixed.profile.request.fixed, [(IpAddr::from([10, 1, 0, 5]), 32)]);
    assert_eq!(fixed.profile.child.local, [Selector::host([10, 1, 0, 5].into())]);
    only_error(&with("[local]\naddress = \"none\"\n"));
    only_error(&with("[local]\naddress = \"virtual\"\nsubnets = [\"10.1.0.0/16\"]\n"));
    only_error(&with("[local]\naddress = \"10.1.0.5/24\"\n"));
    only_error(&with("[local]\naddress = [\"10.1.0.5\", \"10.1.0.6\"]\n"));
}

#[test]
fn other_ports_than_500_are_encapsulated_from_the_start() {
    for (line, first, encapsulated) in
        [("", 500, 4500), ("port = 4500\n", 4500, 4500), ("port = 14500\n", 14500, 14500)]
    {
        let settings = config(&format!("{SMALLEST}{line}")).tunnel_settings(psk());
        assert_eq!((settings.first_port, settings.profile.encapsulation_port), (first, encapsulated));
    }
}

#[test]
fn what_a_file_holds_cannot_disturb_a_terminal() {
    let shown = rendered(&with("\"\\u001b[31m\" = 1\n[log]\nlevel = \"\\u0007\"\n"));
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    let (_, report) = read("\u{1b}[31m = 1", &environment);
    assert!(!report.render("\u{1b}[31moffice", "\u{1b}[31m = 1").contains('\u{1b}'));
}

#[test]
fn the_caret_stands_under_the_mistake() {
    for (text, line, caret) in [
        ("[log]\n\tlevel = \"loud\"\n", "    level = \"loud\"", 12..18),
        ("[log]\nformat = \"text\" # \u{fc}ber\nlevel = \"lo\u{fc}d\"\n", "level = \"lo\u{fc}d\"", 8..14),
        ("[log]\nlevel = \"\u{6f22}\u{5b57}\"\n", "level = \"\u{6f22}\u{5b57}\"", 8..14),
    ] {
        let shown = rendered(&with(text));
        let mut lines = shown.lines().skip(1);
        let (source, marks) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(source.split_once(" | ").unwrap().1, line);
        let marks = marks.split_once(" | ").unwrap().1;
        let start = marks.find('^').unwrap();
        assert_eq!(start..start + marks.matches('^').count(), caret, "{shown}");
    }
}

#[test]
fn a_long_line_is_cut_around_the_mistake() {
    let text = with(&format!("[ike]\nproposals = [{}\"aes265\"]\n", "\"aes256-sha256-modp2048\", ".repeat(20)));
    let shown = rendered(&text);
    assert!(shown.lines().all(|line| line.chars().count() < 160), "{shown}");
    assert!(shown.contains("aes265"), "{shown}");
}

#[test]
fn a_file_full_of_mistakes_gives_a_bounded_report() {
    let text = with(&(0..1000).map(|number| format!("key{number} = 1\n")).collect::<String>());
    let shown = rendered(&text);
    assert!(shown.contains("and 950 more"), "{shown}");
    assert!(shown.len() < 20_000);
}

fn psk() -> Arc<Secret> {
    Arc::new(Secret::copy_of(b"a good long key that nobody knows"))
}

#[test]
fn the_way_back_to_the_first_gateway_has_an_interval_and_an_off_switch() {
    let returns = |line: &str| {
        config(&format!("{SMALLEST}{line}")).tunnel_settings(psk()).return_after.map(|time| time.as_secs())
    };
    assert_eq!(returns(""), Some(600));
    assert_eq!(returns("return_after = \"2m\"\n"), Some(120));
    assert_eq!(returns("return_after = \"off\"\n"), None);
    assert_eq!(returns("return_after = false\n"), None);
    only_error(&format!("{SMALLEST}return_after = \"5s\"\n"));
}
