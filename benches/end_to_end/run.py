#!/usr/bin/env python3
"""Measures tunnels between pairs of network namespaces, in turn, in one run. Needs root.

    ROUNDS=3          how often each load is run; the tables show medians
    SECONDS_EACH=1    how long each time, in whole seconds
    ONLY=vpnd,...     the columns whose names begin so
    LOADS=tcp,...     of tcp, wire, packets, ping, client; the figures of the others stay as they were measured last
    UPDATE_DOCS=1     writes the tables into docs/performance.md, and draws docs/performance.svg
    TARGET=target     where the programs are and the figures go: bench-e2e.json
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import report
from lab import Failed, Lab, Pair
from load import Load, machine_seconds
from pairs import AS_INSTALLED, OPENSSL_FIRST, StrongSwan, Vpnd, VpndToStrongSwan, WireGuard

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("TARGET") or ROOT / "target").resolve()
PLANE = TARGET / "release/examples/plane"
PROGRAM = TARGET / "release/vpnd"
PEERS = TARGET / "peers/bin"

TUNNELS = {
    "vpnd cbc": lambda lab: Vpnd(lab, "vpnd-cbc", PLANE, "aes256-sha256"),
    "vpnd gcm": lambda lab: Vpnd(lab, "vpnd-gcm", PLANE, "aes256gcm16"),
    "strongSwan cbc as installed": lambda lab: StrongSwan(lab, "ss-debian", AS_INSTALLED, "aes256-sha256"),
    "strongSwan cbc openssl": lambda lab: StrongSwan(lab, "ss-cbc", OPENSSL_FIRST, "aes256-sha256"),
    "strongSwan gcm": lambda lab: StrongSwan(lab, "ss-gcm", OPENSSL_FIRST, "aes256gcm16"),
    "wireguard-go": lambda lab: WireGuard(lab, "wg-go", PEERS / "wireguard-go", "-f", "wg0"),
    "boringtun": lambda lab: WireGuard(lab, "boringtun", PEERS / "boringtun-cli", "-f", "--disable-drop-privileges", "wg0"),
    "gotatun": lambda lab: WireGuard(lab, "gotatun", PEERS / "gotatun", "-f", "--disable-drop-privileges", "wg0"),
}
BARE = {"no tunnel": lambda lab: Pair(lab, "none")}
CLIENTS = {
    "vpnd's client": lambda lab: VpndToStrongSwan(lab, "c-vpnd", PROGRAM, "aes256-sha256"),
    "strongSwan's client": lambda lab: StrongSwan(lab, "c-ss", OPENSSL_FIRST, "aes256-sha256"),
}


def tcp(load, pair):
    """Bulk in both directions, with one flow and with many; a ping beside the first."""
    figures = {}
    for flows in (1, 16):
        for way, backwards in (("there", False), ("back", True)):
            found = load.tcp(pair, flows, backwards, with_ping=flows == 1 and not backwards)
            figures |= {f"{flows} {way} {key}": value for key, value in found.items()}
    return figures


def wire(load, pair):
    """The same on a link for which the kernel must cut UDP trains, as for most real cards."""
    pair.set_segmentation(False)
    try:
        return tcp(load, pair)
    finally:
        pair.set_segmentation(True)


def packets(load, pair):
    """Packets of 64 octets, at fixed rates and as many as the machine makes."""
    figures = {}
    for rate in report.RATES:
        figures |= {f"{rate or 'most'} {key}": value for key, value in load.packets(pair, rate).items()}
    figures["best"] = max(value for key, value in figures.items() if key.endswith("delivered"))
    return figures


def ping(load, pair):
    """Latency of the idle tunnel."""
    return load.ping(pair)


def client(load, pair):
    """CPU of a whole client whose other end is a strongSwan gateway."""
    return load.client(pair)


LOADS = [(tcp, BARE | TUNNELS), (wire, TUNNELS), (packets, TUNNELS), (ping, TUNNELS), (client, CLIENTS)]


def chosen(variable, names):
    words = [word for word in (os.environ.get(variable) or "").split(",") if word]
    return [name for name in names if not words or any(name.startswith(word) for word in words)]


def say(text):
    print(text, file=sys.stderr, flush=True)


def bring_up(lab, load, recipes):
    """The pairs that come up, by name, and why the others did not."""
    pairs, missing = {}, {}
    for name in chosen("ONLY", recipes):
        try:
            pair = recipes[name](lab)
            pair.up()
            pair.check()
            load.serve(pair)
            pairs[name] = pair
        except Failed as error:
            if name.startswith("vpnd"):
                raise
            say(f"left out: {name}: {error}")
            missing[name] = str(error)
    return pairs, missing


def measure(lab, rounds, seconds):
    """Every load on every pair, pairs in turn: {load: {pair: [figures of a round]}}."""
    load = Load(lab, PLANE, seconds)
    wanted = chosen("LOADS", [work.__name__ for work, _ in LOADS])
    needed = {name: make for work, recipes in LOADS if work.__name__ in wanted for name, make in recipes.items()}
    pairs, missing = bring_up(lab, load, needed)
    figures = {}
    for work, recipes in LOADS:
        if work.__name__ not in wanted:
            continue
        found = figures[work.__name__] = {name: [] for name in pairs if name in recipes}
        for number in range(rounds):
            say(f"{work.__name__}: round {number + 1} of {rounds}")
            for name in list(found):
                try:
                    found[name].append(work(load, pairs[name]))
                except Failed as error:
                    if name.startswith("vpnd"):
                        raise
                    del found[name]
                    missing[f"{name}, {work.__name__}"] = str(error)
                    say(f"left out: {name}: {error}")
    for name, pair in pairs.items():
        for counts in pair.counts() if isinstance(pair, Vpnd) else []:
            say(f"{name}: {counts}")
    return figures, missing


def main():
    rounds = int(os.environ.get("ROUNDS") or 3)
    seconds = int(os.environ.get("SECONDS_EACH") or 1)
    # A supervisor's TERM ends the run as ^C does: everything is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = [time.monotonic(), *machine_seconds()]
    lab = Lab()
    try:
        figures, missing = measure(lab, rounds, seconds)
    finally:
        # A second ^C must not end the cleaning.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        lab.close()
    passed, _, stolen = (now - then for now, then in zip([time.monotonic(), *machine_seconds()], begun))
    file = TARGET / "bench-e2e.json"
    if os.environ.get("LOADS") and not os.environ.get("ONLY") and file.exists():
        # A load is always of one run; the other loads' figures stay.
        figures = json.loads(file.read_text())["figures"] | figures
    results = {
        "machine": report.machine(ROOT, TARGET / "peers"),
        "options": {"rounds": rounds, "seconds": seconds},
        "stolen": stolen / (passed * (os.cpu_count() or 1)),
        "missing": missing,
        "figures": figures,
    }
    file.write_text(json.dumps(results, indent=1) + "\n")
    report.tell(results)


if __name__ == "__main__":
    try:
        main()
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench-e2e: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
