//! The program as a person meets it: what it prints, and how it ends. Nothing here needs privileges or a network.

#![allow(missing_docs)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

const KEY: &str = "SesameOpenUp-and-a-long-tail-7";
const VALID: &str = "[gateway]\naddress = \"198.51.100.1\"\nsubnets = [\"10.250.0.0/24\"]\npsk_file = \"psk\"\n";

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("vpnd-cli-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A configuration and a key that nobody else can read.
    fn with(text: &str) -> (Self, PathBuf) {
        let directory = Self::new();
        directory.write("psk", format!("{KEY}\n"), 0o600);
        let file = directory.write("office.toml", text, 0o600);
        (directory, file)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn vpnd(arguments: &[&str]) -> Ran {
    vpnd_with(arguments, &[])
}

fn vpnd_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpnd"));
    command.args(arguments).env_remove("CREDENTIALS_DIRECTORY");
    let Output { status, stdout, stderr } = command.envs(environment.iter().copied()).output().unwrap();
    let ran = Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    };
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "the key is shown:\n{}{}", ran.stdout, ran.stderr);
    ran
}

fn check(text: &str) -> Ran {
    let (_directory, file) = Directory::with(text);
    vpnd(&["check", path(&file)])
}

#[test]
fn who_asks_where_nobody_listens_is_told_how_to_say_whom() {
    let (directory, file) = Directory::with(VALID);
    let state = path(&directory.0).to_owned();
    for whom in [vec!["--device", "vpnd7"], vec!["--config", path(&file)], vec![]] {
        let ran = vpnd(&[&["status", "--state-directory", &state], &whom[..]].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("no vpnd listens here") && ran.stderr.contains("--socket"), "{}", ran.stderr);
    }
    let (_directory, off) = Directory::with(&format!("{VALID}[control]\nsocket = \"off\"\n"));
    let ran = vpnd(&["status", "--config", path(&off)]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("[control] socket"), "{}", ran.stderr);
    assert_eq!(vpnd(&["status", "--device", "a", "--socket", "b"]).code, Some(2));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_valid_file_is_summed_up_in_a_few_lines() {
    let ran = check(VALID);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for words in
        ["office.toml is valid", "198.51.100.1, UDP port 500", "10.250.0.0/24", "aes256gcm16", "routes for the subnets"]
    {
        assert!(ran.stdout.contains(words), "{words}:\n{}", ran.stdout);
    }
    assert!(ran.stdout.lines().count() < 12);
}

#[test]
fn all_mistakes_are_shown_at_once_with_place_caret_and_suggestion() {
    let ran = check(
        "[gateway]\nadress = \"198.51.100.1\"\nsubnets = [\"10.250.0.5/24\"]\npsk_file = \"psk\"\n[ike]\nproposals = [\"aes265-sha256-modp2048\"]\n",
    );
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stdout, "");
    for words in [
        "office.toml:2:1: error: unknown key `adress` in [gateway]",
        "    | ^^^^^^ did you mean `address`?",
        "office.toml:3:12: error:",
        "`10.250.0.0/24`",
        "office.toml:6:15: error: unknown algorithm `aes265`",
        "  6 | proposals = [\"aes265-sha256-modp2048\"]",
        "    |               ^^^^^^ did you mean `aes256`?",
    ] {
        assert!(ran.stderr.contains(words), "{words}:\n{}", ran.stderr);
    }
}

#[test]
fn the_json_of_a_check_is_one_object() {
    let (_directory, file) = Directory::with(VALID);
    let ran = vpnd(&["check", "--json", path(&file)]);
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, object["valid"].as_bool(), ran.stderr.as_str()), (Some(0), Some(true), ""));
    assert!(object["summary"]["ike"].as_str().unwrap().contains("aes256"));

    let (_directory, file) = Directory::with(&VALID.replace("address", "adress"));
    let ran = vpnd(&["check", "--json", path(&file)]);
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, object["valid"].as_bool()), (Some(2), Some(false)));
    assert!(object["summary"].is_null());
    let findings = object["findings"].as_array().unwrap();
    let unknown = findings.iter().find(|finding| finding["message"].as_str().unwrap().contains("adress")).unwrap();
    assert_eq!((unknown["line"].as_u64(), unknown["column"].as_u64()), (Some(2), Some(1)));
    assert_eq!(unknown["help"].as_str(), Some("did you mean `address`?"));
}

#[test]
fn help_tells_the_exit_codes() {
    for arguments in [&["--help"][..], &["up", "--help"], &["check", "--help"]] {
        let ran = vpnd(arguments);
        assert_eq!(ran.code, Some(0));
        for line in ["Exit codes:", "5  authentication failed", "7  subnets"] {
            assert!(ran.stdout.contains(line), "{arguments:?}:\n{}", ran.stdout);
        }
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let (_directory, file) = Directory::with(VALID);
    for arguments in [
        &[][..],
        &["upp"],
        &["up"],
        &["check"],
        &["up", "--config", path(&file), "--wait", "0"],
        &["up", "--config", path(&file), "--wait", "soon"],
        &["up", "--config", path(&file), "--log-level", "loud"],
        &["up", "--config", path(&file), "--psk", "x"],
    ] {
        let ran = vpnd(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn up_refuses_what_check_refuses() {
    let (_directory, file) = Directory::with(&VALID.replace("10.250.0.0/24", "10.250.0.0/42"));
    let ran = vpnd(&["up", "--config", path(&file)]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("office.toml:3:12: error: `/42` is no prefix length"), "{}", ran.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (directory, _) = Directory::with(VALID);
    let missing = directory.0.join("home.toml");
    let binary = directory.write("binary.toml", b"[gateway]\naddress = \"\xff\"\n", 0o600);
    let huge = directory.write("huge.toml", "#".repeat((1 << 20) + 1), 0o600);
    for (file, words) in [
        (&missing, "No such file"),
        (&directory.0, "this is a directory"),
        (&binary, "line 2 is not UTF-8"),
        (&huge, "larger than"),
    ] {
        for command in [&["check"][..], &["up", "--config"]] {
            let ran = vpnd(&[command, &[path(file)]].concat());
            assert_eq!(ran.code, Some(2));
            assert!(ran.stderr.contains(path(file)) && ran.stderr.contains(words), "{}", ran.stderr);
        }
    }
}

#[test]
fn c_14_a_key_that_everybody_can_read_is_warned_about() {
    let (directory, file) = Directory::with(VALID);
    directory.write("psk", format!("{KEY}\n"), 0o644);
    let ran = vpnd(&["check", path(&file)]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("warning: everybody on this host can read") && ran.stderr.contains("chmod 600"));
    let inline = VALID.replace("psk_file = \"psk\"", &format!("psk = \"{KEY}\""));
    let file = directory.write("inline.toml", inline, 0o644);
    let ran = vpnd(&["check", path(&file)]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("stands in the configuration file") && ran.stderr.contains("can read it"),
        "{}",
        ran.stderr
    );
}

#[test]
fn c_15_a_guessable_key_is_warned_about() {
    let (directory, file) = Directory::with(VALID);
    directory.write("psk", "secret\n", 0o600);
    let ran = vpnd(&["check", path(&file)]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("[gateway] psk_file: the pre-shared key can be guessed"), "{}", ran.stderr);
}

#[test]
fn the_key_is_found_beside_the_configuration_in_the_environment_or_with_systemd() {
    let (directory, file) = Directory::with(&VALID.replace("psk_file = \"psk\"", "psk_env = \"TEST_PSK\""));
    let file = path(&file);
    assert_eq!(vpnd_with(&["check", file], &[("TEST_PSK", KEY)]).stderr, "");
    assert!(vpnd(&["check", file]).stderr.contains("the environment variable TEST_PSK is not set"));
    let empty = vpnd_with(&["check", file], &[("TEST_PSK", "")]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("[gateway] psk_env: the pre-shared key is empty"), "{}", empty.stderr);

    directory.write("office", KEY, 0o400);
    let credential =
        directory.write("c.toml", VALID.replace("psk_file = \"psk\"", "psk_credential = \"office\""), 0o600);
    let given = vpnd_with(&["check", path(&credential)], &[("CREDENTIALS_DIRECTORY", path(&directory.0))]);
    assert_eq!((given.code, given.stderr.as_str()), (Some(0), ""));
    assert!(vpnd(&["check", path(&credential)]).stderr.contains("LoadCredential="));

    fs::remove_file(directory.0.join("psk")).unwrap();
    let without = directory.write("w.toml", VALID, 0o600);
    let checked = vpnd(&["check", path(&without)]);
    assert_eq!(checked.code, Some(0));
    assert!(checked.stderr.contains("warning: [gateway] psk_file:") && checked.stderr.contains("No such file"));
    let up = vpnd(&["up", "--config", path(&without)]);
    assert_eq!(up.code, Some(2));
    assert!(up.stderr.contains("error: [gateway] psk_file:") && up.stderr.contains("No such file"), "{}", up.stderr);
}

const XAUTH: &str = "[ike]\nversion = 1\nxauth_user = \"branch\"\n";

#[test]
fn a_check_of_ikev1_says_how_it_would_be_negotiated() {
    let ran = check(&format!("{VALID}[ike]\nversion = 1\n"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for words in ["IKEv1 main mode, lifetime 4h", "one child SA a pair of subnets", "-modp2048"] {
        assert!(ran.stdout.contains(words), "{words}:\n{}", ran.stdout);
    }
    let ran = check(&format!("{VALID}[ike]\nversion = 1\nmode = \"aggressive\"\n[esp]\nchildren = \"any\"\n"));
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("office.toml:7:8: warning:") && ran.stderr.contains("offline"), "{}", ran.stderr);
    for words in ["IKEv1 aggressive mode", "one child SA for everything", "10.250.0.0/24"] {
        assert!(ran.stdout.contains(words), "{words}:\n{}", ran.stdout);
    }
    let ran = check(&format!("{VALID}[ike]\nmode = \"main\"\nxauth_user = \"branch\"\n"));
    assert_eq!(ran.code, Some(2));
    for place in ["office.toml:6:1: error: `mode` is for IKEv1", "office.toml:7:1: error: `xauth_user` is for IKEv1"] {
        assert!(ran.stderr.contains(place), "{}", ran.stderr);
    }
}

#[test]
fn c_14_the_xauth_password_is_found_like_the_key_and_never_shown() {
    let (directory, file) = Directory::with(&format!("{VALID}{XAUTH}xauth_password_file = \"password\"\n"));
    let missing = vpnd(&["check", path(&file)]);
    assert_eq!(missing.code, Some(0));
    assert!(missing.stderr.contains("warning: [ike] xauth_password_file:") && missing.stderr.contains("No such file"));
    assert_eq!(vpnd(&["up", "--config", path(&file)]).code, Some(2));

    directory.write("password", format!("{KEY}\n"), 0o600);
    let ran = vpnd(&["check", path(&file)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains("branch, password from [ike] xauth_password_file"), "{}", ran.stdout);

    directory.write("password", format!("{KEY}\n"), 0o644);
    assert!(vpnd(&["check", path(&file)]).stderr.contains("everybody on this host can read"));
    directory.write("password", "\n", 0o600);
    directory.write("psk", "", 0o600);
    let empty = vpnd(&["check", path(&file)]);
    assert_eq!(empty.code, Some(2));
    for words in ["[gateway] psk_file: the pre-shared key is empty", "[ike] xauth_password_file: the password is empty"]
    {
        assert!(empty.stderr.contains(words), "{}", empty.stderr);
    }

    let (_directory, file) = Directory::with(&format!("{VALID}{XAUTH}xauth_password_env = \"TEST_PASSWORD\"\n"));
    assert_eq!(vpnd_with(&["check", path(&file)], &[("TEST_PASSWORD", KEY)]).stderr, "");
    assert!(
        vpnd(&["check", path(&file)]).stderr.contains("xauth_password_env: the environment variable TEST_PASSWORD")
    );
}

#[test]
fn a_shared_identity_says_what_the_gateway_needs() {
    let ran = check(&format!("{VALID}[local]\nid = \"web.example.org\"\nshared_identity = true\n"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for words in ["`uniqueids=never`", "`unique = never`"] {
        assert!(ran.stdout.contains(words), "{words}:\n{}", ran.stdout);
    }
    assert!(!check(VALID).stdout.contains("uniqueids"));
}

#[test]
fn psk_format_is_obeyed() {
    let (directory, file) = Directory::with(&format!("{VALID}psk_format = \"hex\"\n"));
    let ran = vpnd(&["check", path(&file)]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("not hexadecimal"), "{}", ran.stderr);
    directory.write("psk", "00112233445566778899aabbccddeeff0123456789\n", 0o600);
    assert_eq!(vpnd(&["check", path(&file)]).code, Some(0));
}

#[test]
fn identities_are_expanded_from_the_environment() {
    let (_directory, file) = Directory::with(&format!("{VALID}[local]\nid = \"${{TEST_POD}}.example.org\"\n"));
    let ran = vpnd_with(&["check", path(&file)], &[("TEST_POD", "web-0")]);
    assert!(ran.stdout.contains("we are web-0.example.org"), "{}", ran.stdout);
    let unset = vpnd(&["check", path(&file)]);
    assert_eq!(unset.code, Some(2));
    assert!(unset.stderr.contains("`TEST_POD` is not set"), "{}", unset.stderr);
}

/// Another test's child process, not yet become its program, may still hold the copy open for writing.
fn output_of_a_fresh_copy(command: &mut Command) -> Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            result => return result.unwrap(),
        }
    }
}

#[test]
fn without_privileges_up_ends_with_3_and_says_what_is_missing() {
    let (directory, file) = Directory::with(VALID);
    directory.write("psk", KEY, 0o644);
    directory.write("office.toml", VALID, 0o644);
    // The build's own directory may be closed to others.
    let program = directory.0.join("vpnd");
    fs::copy(env!("CARGO_BIN_EXE_vpnd"), &program).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for json in [&[][..], &["--json"]] {
        let mut command = Command::new(&program);
        command.args(["up", "--config", path(&file), "--wait", "5"]).args(json);
        if is_root {
            command.uid(65534).gid(65534);
        }
        let Output { status, stdout, stderr } = output_of_a_fresh_copy(&mut command);
        let said = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(3), "{said}");
        assert!(said.contains("CAP_NET_ADMIN") && !said.contains(KEY), "{said}");
        assert_eq!(said.contains("\"exit_code\":3"), !json.is_empty(), "{said}");
    }
}

#[test]
fn every_command_of_the_service_is_one_of_ours() {
    let unit = include_str!("../examples/vpnd@.service");
    let commands: Vec<&str> =
        unit.lines().filter_map(|line| line.split_once("/usr/bin/vpnd ")).map(|(_, rest)| rest).collect();
    assert_eq!(commands.len(), 3, "to start, to reload, and to take over for a moment: {commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let ran = vpnd(&words);
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.stderr);
    }
}

#[test]
fn every_example_is_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let ran = vpnd_with(&["check", "--json", path(&file)], &[("VPND_PSK", KEY), ("HOSTNAME", "web-0")]);
        assert_eq!(ran.code, Some(0), "{}:\n{}", file.display(), ran.stdout);
        let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let findings = object["findings"].as_array().unwrap().iter();
        let mut doubts: Vec<&str> = findings.map(|finding| finding["message"].as_str().unwrap()).collect();
        // The secrets themselves are not there; nothing else may be doubtful, but that an example needs aggressive mode.
        doubts.retain(|doubt| !doubt.contains("_file: ") || !doubt.contains("No such file"));
        if fs::read_to_string(&file).unwrap().contains("\"aggressive\"") {
            doubts.retain(|doubt| !doubt.starts_with("aggressive mode"));
        }
        assert!(doubts.is_empty(), "{}: {doubts:?}", file.display());
        seen += 1;
    }
    assert!(seen >= 16, "only {seen} examples");
}

#[test]
fn what_documentation_shows_as_a_whole_file_is_valid() {
    let documentation = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md")).unwrap();
    let blocks: Vec<&str> = documentation
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.contains("[gateway]\n"))
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let ran = check(block);
        assert_eq!(ran.code, Some(0), "{block}\n{}", ran.stderr);
    }
}

#[test]
fn documentation_names_every_key() {
    let documentation = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md")).unwrap();
    for section in ["gateway", "local", "ike", "esp", "tun", "log", "security"] {
        // A key that cannot be makes the program list those that can.
        let ran = check(&format!(
            "{}\n[{section}]\nqqqqqqqqqqqqqqqqqqqqqqqq = 1\n",
            if section == "gateway" { "" } else { VALID }
        ));
        let known = ran.stderr.split("known here: ").nth(1).unwrap_or_else(|| panic!("{}", ran.stderr));
        for key in known.lines().next().unwrap().split(", ") {
            assert!(documentation.contains(&format!("| `{key}`")), "[{section}] {key} is not documented");
        }
    }
}

#[test]
fn the_manual_page_and_completions_know_every_subcommand_and_exit_code() {
    let page = vpnd(&["man"]);
    assert_eq!(page.code, Some(0));
    for word in [".TH vpnd", "vpnd\\-up(1)", "vpnd\\-check(1)", "authentication failed"] {
        assert!(page.stdout.contains(word), "{word} is not in the manual page");
    }
    assert!(vpnd(&["man", "up"]).stdout.contains("vpnd\\-up"));
    assert_eq!(vpnd(&["man", "down"]).code, Some(2));
    for shell in ["bash", "zsh", "fish"] {
        assert!(vpnd(&["completions", shell]).stdout.contains("check"), "{shell}");
    }
}
