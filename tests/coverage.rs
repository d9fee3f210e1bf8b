//! Documentation held against the sources: the table of RFC coverage, links, paths, make targets, and what is shown as a configuration.

#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every row of the table: prefix, digits, first and last number.
const ROWS: &[(&str, usize, u32, u32)] = &[
    ("K2", 3, 1, 22),
    ("K2", 3, 30, 43),
    ("K2", 3, 50, 70),
    ("K2", 3, 80, 89),
    ("K2", 3, 100, 108),
    ("K2", 3, 120, 144),
    ("F", 2, 1, 13),
    ("X", 2, 1, 16),
    ("C", 2, 1, 15),
    ("K1", 3, 1, 31),
    ("N", 2, 1, 10),
    ("E", 2, 1, 16),
    ("T", 2, 1, 15),
    ("L", 2, 1, 12),
    ("V", 2, 1, 40),
    ("V", 2, 50, 57),
    ("V", 2, 59, 60),
];

const STATES: &[&str] = &["proven", "built", "partly", "not yet", "refused"];

struct Row {
    id: String,
    state: String,
    reason: String,
    tests: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(relative: &str) -> String {
    fs::read_to_string(root().join(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn all_ids() -> Vec<String> {
    let mut ids = Vec::new();
    for (prefix, digits, first, last) in ROWS {
        ids.extend((*first..=*last).map(|number| format!("{prefix}-{number:0digits$}")));
    }
    ids
}

fn rows() -> Vec<Row> {
    let is_row =
        |line: &&str| line.strip_prefix("| ").is_some_and(|rest| looks_like_an_id(rest.split(' ').next().unwrap()));
    read("docs/rfc-coverage.md")
        .lines()
        .filter(is_row)
        .map(|line| {
            let cells: Vec<&str> =
                line.trim_matches('|').split(" | ").map(|cell| cell.trim_matches([' ', '|'])).collect();
            let [id, _, state, tests] = cells[..] else { panic!("not four cells: {line}") };
            let (state, reason) = state.split_once(": ").unwrap_or((state, ""));
            let tests = tests.split(", ").filter(|test| !test.is_empty());
            Row {
                id: id.to_owned(),
                state: state.to_owned(),
                reason: reason.to_owned(),
                tests: tests.map(|test| test.trim_matches('`').to_owned()).collect(),
            }
        })
        .collect()
}

fn looks_like_an_id(word: &str) -> bool {
    let digits = |number: &str| (2..=3).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_digit());
    word.split_once('-').is_some_and(|(prefix, number)| ROWS.iter().any(|row| row.0 == prefix) && digits(number))
}

/// Files below `folder`, in order, without what builds leave behind.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && !["target", "corpus"].contains(&name) {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found
}

/// The names of all functions in sources and tests.
fn functions() -> BTreeSet<String> {
    ["src", "tests", "fuzz"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let name =
                |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap().to_owned();
            text.lines().filter_map(|line| line.trim_start().strip_prefix("fn ").map(name)).collect::<Vec<_>>()
        })
        .collect()
}

/// The IDs that a test's name begins with: `k2_055_v_07_eap_is_never_started`, `k2_003_and_k2_004_flags`.
fn ids_of(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut words = name.split('_').peekable();
    while let Some(word) = words.next() {
        if word == "and" && !ids.is_empty() {
            continue;
        }
        let digits = |number: &&&str| looks_like_an_id(&format!("{}-{number}", word.to_uppercase()));
        let Some(number) = words.peek().filter(digits) else { break };
        ids.push(format!("{}-{number}", word.to_uppercase()));
        words.next();
    }
    ids
}

#[test]
fn every_row_stands_in_the_table_once() {
    let listed: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let (mut sorted, mut wanted) = (listed.clone(), all_ids());
    sorted.sort();
    wanted.sort();
    let missing: Vec<&String> = wanted.iter().filter(|id| !listed.contains(id)).collect();
    assert!(missing.is_empty(), "not in docs/rfc-coverage.md: {missing:?}");
    assert_eq!(sorted, wanted, "a row is there twice, or is none of the list");
}

#[test]
fn a_state_is_one_of_five_and_says_why_where_something_is_missing() {
    for Row { id, state, reason, tests } in rows() {
        assert!(STATES.contains(&state.as_str()), "{id}: {state}");
        assert!(state != "proven" || !tests.is_empty(), "{id} is proven by nothing");
        assert!(state != "built" || !reason.is_empty(), "{id}: where is it built?");
        assert!(state != "partly" || !reason.is_empty(), "{id}: what is missing?");
        let is_of_ikev1 = id.starts_with("K1-");
        assert!(state != "not yet" || is_of_ikev1 || !reason.is_empty(), "{id}: why not?");
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let functions = functions();
    let named = rows().into_iter().flat_map(|row| row.tests.into_iter().map(move |test| (row.id.clone(), test)));
    let gone: Vec<(String, String)> = named.filter(|(_, test)| !functions.contains(test)).collect();
    assert!(gone.is_empty(), "docs/rfc-coverage.md names tests that are not there: {gone:#?}");
}

#[test]
fn every_test_with_an_id_is_named_in_its_row() {
    let table: BTreeMap<String, Row> = rows().into_iter().map(|row| (row.id.clone(), row)).collect();
    let mut missing = String::new();
    for test in functions() {
        for id in ids_of(&test) {
            match table.get(&id) {
                None => missing.push_str(&format!("{test} carries {id}, which is no row\n")),
                Some(row) if !row.tests.contains(&test) => missing.push_str(&format!("{id} lacks `{test}`\n")),
                Some(row) if ["not yet", "built"].contains(&row.state.as_str()) => {
                    missing.push_str(&format!("{id} is \"{}\", and yet there is `{test}`\n", row.state));
                }
                Some(_) => {}
            }
        }
    }
    assert!(missing.is_empty(), "to be added to docs/rfc-coverage.md:\n{missing}");
}

#[test]
fn ids_are_read_from_names() {
    assert_eq!(ids_of("k2_055_v_07_eap_is_never_started"), ["K2-055", "V-07"]);
    assert_eq!(ids_of("k2_003_and_k2_004_the_flags"), ["K2-003", "K2-004"]);
    assert_eq!(ids_of("c_01_c_03_a_public_value"), ["C-01", "C-03"]);
    assert!(ids_of("a_tenth_of_e_06").is_empty());
    assert!(ids_of("hmac_sha_1").is_empty());
}

fn documents() -> Vec<(String, String)> {
    let found = files(root(), "md");
    assert!(found.len() >= 10, "only {} documents found", found.len());
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(named).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for (name, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let target = link.split('#').next().unwrap();
            let from = root().join(&name).parent().unwrap().to_owned();
            assert!(from.join(target).exists(), "{name} links to {link}");
        }
    }
}

/// What stands between single backticks, or alone in a code block's line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_path_that_a_document_names_is_there() {
    // What a run leaves behind.
    const MADE: &[&str] = &["fuzz/artifacts/", "fuzz/target/"];
    const FOLDERS: &[&str] = &["src/", "tests/", "docs/", "scripts/", "examples/", "benches/", "fuzz/"];
    for (name, text) in documents() {
        for path in quoted(&text).filter(|quoted| FOLDERS.iter().any(|folder| quoted.starts_with(folder))) {
            let path = path.split([' ', '*', ':']).next().unwrap();
            let is_made = MADE.iter().any(|made| path.starts_with(made));
            assert!(is_made || root().join(path).exists(), "{name} names {path}");
        }
    }
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = read("Makefile");
    for (name, text) in documents() {
        let in_blocks = text.lines().filter(|line| line.starts_with("make "));
        for command in quoted(&text).filter(|quoted| quoted.starts_with("make ")).chain(in_blocks) {
            let target = command.split_whitespace().nth(1).unwrap();
            assert!(makefile.contains(&format!("\n{target}: ")), "{name} names `make {target}`");
        }
    }
}

#[test]
fn contributing_names_every_make_target() {
    let contributing = read("CONTRIBUTING.md");
    for line in read("Makefile").lines().filter(|line| line.contains(": ") && line.contains(" ## ")) {
        let target = line.split(':').next().unwrap();
        let named =
            [format!("`make {target}`"), format!("\nmake {target} ")].iter().any(|name| contributing.contains(name));
        assert!(named, "CONTRIBUTING.md does not name `make {target}`");
    }
}

#[test]
fn the_readme_shows_a_configuration_of_nine_lines_that_is_valid() {
    let readme = read("README.md");
    let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block.lines().count(), 9);
    let (config, report) = vpnd::config::read(block, &|_| None);
    let messages: Vec<&str> = report.findings().iter().map(|finding| finding.message.as_str()).collect();
    assert!(config.is_some() && messages.is_empty(), "{messages:?}");
}

#[test]
fn the_readme_tells_the_exit_codes_as_the_program_does() {
    let readme = read("README.md").replace('`', "");
    let source = read("src/cli/exit.rs");
    let told = source.lines().filter_map(|line| line.strip_prefix("  ")?.trim_end_matches("\";").split_once("  "));
    let mut count = 0;
    for (code, meaning) in told.filter(|(code, _)| code.parse::<u8>().is_ok()) {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "README.md: {code} {meaning}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn every_dependency_has_its_reason() {
    let reasons = read("docs/decisions/0002-dependencies.md");
    let table: Vec<&str> = reasons.lines().filter(|line| line.starts_with("| `")).collect();
    let given: BTreeSet<&str> = table.iter().flat_map(|line| quoted(line.split('|').nth(1).unwrap())).collect();
    let manifest = read("Cargo.toml");
    let mut wanted = BTreeSet::new();
    let fuzz = read("fuzz/Cargo.toml");
    for (manifest, section) in
        [(&manifest, "[dependencies]\n"), (&manifest, "[dev-dependencies]\n"), (&fuzz, "[dependencies]\n")]
    {
        let lines = manifest.split(section).nth(1).unwrap().lines().take_while(|line| !line.starts_with('['));
        wanted.extend(
            lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).filter(|name| *name != "vpnd"),
        );
    }
    assert_eq!(given, wanted, "given in 0002 on the left, in the manifests on the right");
}
