//! The borders of ARCHITECTURE.md, checked on the text of the sources: who may import whom, what a pure layer may not touch,
//! and that nothing below the header fork asks which IKE it is.

#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and what it may import, from the bottom up.
const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("bpf", &[]),
    ("crypto", &[]),
    ("sa", &["crypto", "time"]),
    ("ike", &["sa", "crypto", "time"]),
    ("esp", &["sa", "crypto", "time"]),
    ("tunnel", &["ike", "esp", "sa", "crypto", "time"]),
    ("config", &["tunnel", "ike", "esp", "sa", "crypto", "time"]),
    ("sim", &["tunnel", "ike", "esp", "sa", "crypto", "time"]),
    ("io", &["esp", "sa", "crypto", "time", "bpf"]),
    ("os", &["config", "tunnel", "esp", "sa", "crypto", "time", "bpf"]),
    ("daemon", &["io", "os", "config", "tunnel", "ike", "esp", "sa", "crypto", "time"]),
    ("cli", &["daemon", "io", "os", "config", "tunnel", "ike", "esp", "sa", "crypto", "time"]),
];

const PURE: &[&str] = &["time", "bpf", "crypto", "sa", "ike", "esp", "tunnel", "config"];

/// What no pure layer may touch.
const FORBIDDEN_IN_PURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::",
    "std::os::",
    "UdpSocket",
    "TcpStream",
    "UnixStream",
    "std::time::Instant",
    "SystemTime",
    "tokio::",
    "getrandom::",
    "libc::",
    "clap::",
    "tracing::",
];

/// Imports that are forbidden inside a layer: (a path's start, what it may not import).
const WITHIN: &[(&str, &str)] = &[
    ("ike/v1/", "crate::ike::v2"),
    ("ike/v2/", "crate::ike::v1"),
    ("ike/wire/", "crate::ike::v1"),
    ("ike/wire/", "crate::ike::v2"),
    ("ike/wire/", "crate::ike::session"),
    ("ike/v2/", "crate::ike::session"),
    ("ike/v1/", "crate::ike::session"),
];

/// Files of tests, which may import from anywhere.
fn is_test_code(relative: &str) -> bool {
    relative.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
}

fn faults(relative: &str, source: &str) -> Vec<String> {
    if is_test_code(relative) {
        return Vec::new();
    }
    let layer = relative.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        let root = matches!(relative, "lib.rs" | "main.rs");
        return if root { Vec::new() } else { vec![format!("{relative}: unknown layer")] };
    };
    let production = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: Vec<(usize, &str)> = production
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()))
        .filter(|(_, line)| !line.starts_with("//"))
        .collect();
    let mut faults = Vec::new();
    for &(number, line) in &code {
        for used in imported_layers(line) {
            if used != layer && LAYERS.iter().any(|(name, _)| *name == used) && !allowed.contains(&used) {
                faults.push(format!("{relative}:{number}: {layer} imports {used}"));
            }
        }
        for (start, import) in WITHIN {
            if relative.starts_with(start) && line.contains(import) {
                faults.push(format!("{relative}:{number}: imports {import}"));
            }
        }
        if PURE.contains(&layer) {
            for word in FORBIDDEN_IN_PURE.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{relative}:{number}: {word} in a pure layer"));
            }
        }
    }
    if layer == "ike" && !matches!(relative, "ike/session.rs" | "ike/wire/header.rs") {
        let text: String = code.iter().map(|(_, line)| *line).collect::<Vec<_>>().join(" ");
        for signature in text.split("fn ").skip(1).filter_map(|rest| rest.split(['{', ';']).next()) {
            if signature.split("->").next().is_some_and(|head| head.to_lowercase().contains("version")) {
                faults.push(format!("{relative}: a function knows the word version: {}", signature.trim()));
            }
        }
    }
    faults
}

/// The layers that a line names by `crate::layer` or `crate::{layer, ..}`.
fn imported_layers(line: &str) -> Vec<&str> {
    let name_end = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    line.match_indices("crate::")
        .flat_map(|(at, prefix)| {
            let rest = &line[at + prefix.len()..];
            let list = rest.strip_prefix('{').map_or(vec![rest], |inner| inner.split(',').map(str::trim).collect());
            list.into_iter().map(|part| &part[..name_end(part)]).collect::<Vec<_>>()
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_import_points_up_or_sideways_and_no_pure_layer_touches_the_machine() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.len() > 40, "only {} sources found", files.len());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let relative = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
            faults(relative, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_border_is_seen_when_it_is_crossed() {
    for (file, line) in [
        ("ike/v2/auth.rs", "use crate::esp::replay;"),
        ("esp/inbound.rs", "use crate::ike::session::Session;"),
        ("sa/spi.rs", "use crate::{crypto::prf, tunnel::Tunnel};"),
        ("io/tun.rs", "use crate::os::route;"),
        ("ike/v2/auth.rs", "use crate::ike::v1::main_mode;"),
        ("esp/inbound.rs", "let now = std::time::Instant::now();"),
        ("tunnel/mod.rs", "let socket = std::net::UdpSocket::bind(address);"),
        ("ike/v2/auth.rs", "fn derive(version: u8, key: &[u8]) {"),
        ("ike/v2/auth.rs", "fn is_version_two() -> bool {"),
        ("config/mod.rs", "let text = std::fs::read(path);"),
    ] {
        assert!(!faults(file, line).is_empty(), "{file} with {line}");
    }
    assert!(faults("ike/session.rs", "use crate::ike::v2::Machine; fn fork(version: u8) {").is_empty());
    assert!(faults("daemon/driver.rs", "use crate::{io::tun, tunnel::Tunnel};").is_empty());
    assert!(faults("ike/v2/tests/kit.rs", "use crate::ike::session::Session;").is_empty());
    assert!(faults("ike/v2/established/tests.rs", "use crate::ike::session::Session;").is_empty());
}

#[test]
fn the_map_names_every_folder_of_the_sources() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name `{name}`");
        }
    }
}
