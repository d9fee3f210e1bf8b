#!/usr/bin/env python3
"""Mutation testing of `crypto`, `esp` and the window, protection and collision files of `ike`, with cargo-mutants.

    scripts/mutants.py list                 what there is to change, counted by file
    scripts/mutants.py run [--parts n]      changes it, one thing at a time, and sees whether a test notices
    scripts/mutants.py again                the same with what no test noticed so far, for whoever wrote tests since
    scripts/mutants.py report [--update]    the score, and what no test noticed, held against docs/mutants.md

The whole program takes too long to build once for each change. So the layers are copied into a workspace of their own, in three packages: `crypto` and `sa`
with the published vectors, `esp`, `ike`. A change is held against the tests of its own package only.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE = WORK / "tree"
DOCUMENT = ROOT / "docs/mutants.md"

# Package: what of src/ it holds, what it has from the packages before it.
PACKAGES = {
    "vpnd": (["time.rs", "crypto", "sa"], {}),
    "packets": (["esp"], {"vpnd": ["crypto", "sa", "time"]}),
    "ike": (["ike"], {"vpnd": ["crypto", "sa", "time"]}),
}

# What is changed.
FILES = [
    "vpnd/src/crypto/**/*.rs",
    "packets/src/esp/**/*.rs",
    "ike/src/ike/v2/window.rs",
    "ike/src/ike/v2/protect.rs",
    "ike/src/ike/v2/collision.rs",
    "ike/src/ike/v1/protect.rs",
    "ike/src/ike/v1/iv.rs",
]

# Where a change cannot matter to anybody: how a key is shown to a person who looks for a fault (that no secret is shown has tests of its own).
NOT_CHANGED = [r"<impl (std::)?(fmt::)?Debug for "]


def inline(value):
    """A TOML value on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def table(name, entries):
    return [f"[{name}]", *(f"{json.dumps(key)} = {inline(value)}" for key, value in entries.items()), ""]


def assemble():
    """Copies the layers into the workspace. What was built of their dependencies stays."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    needed = {
        name: value
        for name, value in manifest["dependencies"].items()
        if not (isinstance(value, dict) and value.get("optional"))
    }
    for package, (parts, below) in PACKAGES.items():
        home = TREE / package
        shutil.rmtree(home, ignore_errors=True)
        (home / "src").mkdir(parents=True)
        for part in parts:
            source, destination = ROOT / "src" / part, home / "src" / part
            shutil.copytree(source, destination) if source.is_dir() else shutil.copy2(source, destination)
        for source in (home / "src").rglob("*.rs"):
            # What one layer shows the others of the program crosses from package to package here.
            source.write_text(source.read_text().replace("pub(crate)", "pub"))
        lines = [f"pub use {other}::{{{', '.join(names)}}};" for other, names in below.items()]
        lines += [f"pub mod {part.removesuffix('.rs')};" for part in parts]
        (home / "src/lib.rs").write_text("\n".join(lines) + "\n")
        others = {other: {"path": f"../{other}"} for other in below}
        toml = table("package", {"name": package, "version": "0.0.0", "edition": "2024"})
        # The seeded generator of the tests below is used by those above; what the daemon carries from process to process is tested in JSON.
        toml += table("features", {"default": ["sim", "daemon"], "sim": [], "daemon": []})
        json_version = {"serde_json": manifest["dependencies"]["serde_json"]["version"]}
        toml += table("dependencies", needed | others) + table("dev-dependencies", manifest["dev-dependencies"] | json_version)
        (home / "Cargo.toml").write_text("\n".join(toml))
    shutil.copytree(ROOT / "tests/vectors", TREE / "vpnd/tests/vectors")
    toml = ["[workspace]", 'resolver = "3"', f"members = {json.dumps(list(PACKAGES))}", ""]
    toml += table("profile.dev", {"debug": False, "incremental": True})
    toml += table("profile.dev.package.vpnd", {"opt-level": 1})
    toml += table("profile.dev.package.\"*\"", {"opt-level": 3})
    (TREE / "Cargo.toml").write_text("\n".join(toml))
    shutil.copy2(ROOT / "Cargo.lock", TREE / "Cargo.lock")


def mutants(*arguments, **options):
    files = [f"--file={pattern}" for pattern in FILES]
    names = [f"--exclude-re={pattern}" for pattern in NOT_CHANGED]
    command = ["cargo", "mutants", "--dir", TREE, *files, *names, *arguments]
    return subprocess.run(command, check=False, **options)


def plainly(name):
    """A change as people find it: without the package, and without line and column, which move."""
    return re.sub(r"^(?:vpnd|packets|ike)/(src/[^:]+)(?::\d+:\d+)?: ", r"\1: ", name)


def show_list():
    listed = mutants("--list", "--json", capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(listed.stderr)
    counted = Counter(plainly(f"{mutant['file']}: ").split(":")[0] for mutant in json.loads(listed.stdout))
    for file, count in sorted(counted.items()):
        print(f"{count:5} {file}")
    print(f"{sum(counted.values()):5} in all")


def how_to_run():
    """The options of a run, when the tests pass without any change."""
    how = ["--in-place", "--baseline=skip", "--timeout=30", "--build-timeout=1200", "--no-shuffle", "--caught", "--unviable"]
    unchanged = ["cargo", "test"]
    if shutil.which("cargo-nextest"):
        # It stops at the first test that notices, and has no examples in comments to build.
        how.append("--test-tool=nextest")
        unchanged = ["cargo", "nextest", "run", "--status-level=fail"]
    if subprocess.run(unchanged, cwd=TREE, check=False).returncode != 0:
        sys.exit("mutants: the tests fail without any change")
    return how


def ended(done):
    # 2: some were not noticed; 3: some did not end in time.
    if done.returncode not in (0, 2, 3):
        sys.exit(f"mutants: cargo-mutants ended with {done.returncode}")


def run(parts):
    """In parts, each of them every n-th change: whatever is done when it is stopped is a fair sample of the whole. The next run goes on there."""
    how = how_to_run()
    outputs = [WORK / "parts" / f"{part}-of-{parts}" for part in range(parts)]
    if all((output / "done").exists() for output in outputs):
        shutil.rmtree(WORK / "parts")
    for part, output in enumerate(outputs):
        if (output / "done").exists():
            continue
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        ended(mutants(*how, "--sharding=round-robin", f"--shard={part}/{parts}", f"--output={output}"))
        (output / "done").touch()


def again():
    """A change may stand in another line by now."""
    names = {plainly(name) for name, summary in outcomes().items() if summary == "MissedMutant"}
    if not names:
        return
    how = how_to_run()
    patterns = [f"--re={re.escape(file)}.*: {re.escape(change)}$" for file, _, change in (name.partition(": ") for name in names)]
    output = WORK / "parts" / f"again-{len(list((WORK / 'parts').glob('again-*'))):03}"
    output.mkdir(parents=True)
    (output / "names.json").write_text(json.dumps(sorted(names)))
    ended(mutants(*how, *patterns, f"--output={output}"))


def outcomes():
    """What became of each change that was tried; what was tried again counts as the last time."""
    became = {}
    files = [*(WORK / "parts").glob("*-of-*/mutants.out/outcomes.json"), *sorted((WORK / "parts").glob("again-*/mutants.out/outcomes.json"))]
    for file in files:
        tried = [outcome for outcome in json.loads(file.read_text())["outcomes"] if outcome["scenario"] != "Baseline"]
        tried = {outcome["scenario"]["Mutant"]["name"]: outcome["summary"] for outcome in tried}
        if "again" in str(file.relative_to(WORK)):
            # What is not there any more is nobody's gap.
            anew = json.loads((file.parents[1] / "names.json").read_text())
            became = {name: summary for name, summary in became.items() if plainly(name) not in anew}
        became |= tried
    return became


def report(update):
    tried = Counter()
    survivors = []
    for name, summary in sorted(outcomes().items()):
        name = plainly(name)
        file = name.split(":")[0]
        tried[("/".join(file.split("/")[:3]) if file.startswith("src/ike") else "/".join(file.split("/")[:2]), summary)] += 1
        if summary == "MissedMutant":
            survivors.append(name)
    if not tried:
        sys.exit("mutants: nothing was tried yet: make mutants")
    lines = ["| Part | Changes that build | Noticed | Not noticed | Score |", "|---|---|---|---|---|"]
    groups = sorted({group for group, _ in tried})
    total = Counter()
    for group in [*groups, "all"]:
        if group == "all":
            counts = total
        else:
            counts = Counter({summary: tried[(group, summary)] for summary in ("CaughtMutant", "Timeout", "MissedMutant")})
            total.update(counts)
        noticed, missed = counts["CaughtMutant"] + counts["Timeout"], counts["MissedMutant"]
        score = f"{100 * noticed / max(1, noticed + missed):.1f} %"
        lines.append(f"| {f'`{group}`' if group != 'all' else 'all'} | {noticed + missed} | {noticed} | {missed} | {score} |")
    print("\n".join(lines))
    text = DOCUMENT.read_text()
    explained = set(re.findall(r"^- `([^`]+)`", text, re.M))
    unexplained = [name for name in survivors if name.replace("`", "'") not in explained]
    for name in unexplained:
        print(f"not noticed, and not explained in docs/mutants.md: {name}")
    if update:
        block = "<!-- score -->\n" + "\n".join(lines) + "\n<!-- /score -->"
        DOCUMENT.write_text(re.sub(r"<!-- score -->.*<!-- /score -->", block, text, flags=re.S))
    if unexplained:
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["list", "run", "again", "report"])
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--update", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("CARGO_BUILD_JOBS", "1")
    if given.what == "report":
        return report(given.update)
    if not shutil.which("cargo-mutants"):
        sys.exit("mutants: cargo-mutants is needed: cargo install cargo-mutants --locked")
    assemble()
    {"list": show_list, "run": lambda: run(given.parts), "again": again}[given.what]()


if __name__ == "__main__":
    main()
