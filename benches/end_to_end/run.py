#!/usr/bin/env python3
"""Measures tunnels between pairs of network namespaces, in turn, in one run. Needs root.

    ROUNDS=3          how often each load is run; the table shows medians
    SECONDS_EACH=1    how long (whole seconds)
    ONLY=vpnd,...     the columns whose names begin so
    PLANE=...         the bench program (cargo build --release --example plane)
"""

import os
import pathlib
import signal
import statistics
import sys

sys.dont_write_bytecode = True

from lab import Failed, Lab, Pair
from load import Load
from pairs import Vpnd

ROOT = pathlib.Path(__file__).resolve().parents[2]
RATES = [60_000, 120_000, 200_000, 240_000, 0]


def all_pairs(lab, plane):
    """What can be compared, by the name of its column."""
    return {
        "no tunnel": lambda: Pair(lab, "none"),
        "vpnd cbc": lambda: Vpnd(lab, "vpnd-cbc", plane, "aes256-sha256"),
        "vpnd gcm": lambda: Vpnd(lab, "vpnd-gcm", plane, "aes256gcm16"),
    }


def measure(load, pair):
    """One round of one pair: figures by name."""
    figures = {}
    for flows in (1, 16):
        for way, backwards in (("there", False), ("back", True)):
            found = load.tcp(pair, flows, backwards, with_ping=flows == 1 and not backwards)
            ping = found.pop("ping", None)
            figures |= {f"tcp {flows} {way} {key}": value for key, value in found.items()}
            if ping:
                figures |= {f"ping loaded {key}": value for key, value in ping.items()}
    figures |= {f"ping idle {key}": value for key, value in load.ping(pair).items()}
    for rate in RATES:
        figures |= {f"packets {rate or 'most'} {key}": value for key, value in load.packets(pair, rate).items()}
    figures["packets best"] = max(value for key, value in figures.items() if key.endswith("delivered"))
    return figures


def medians(rounds):
    return {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}


def rows():
    """The table's lines: what it says, the figure, and how it is written."""
    for flows in (1, 16):
        for way in ("there", "back"):
            yield f"TCP, {flows} flow{'s' * (flows > 1)} {way}, Gbit/s", f"tcp {flows} {way} gbits", "{:.2f}"
    for flows in (1, 16):
        for way in ("there", "back"):
            yield f"CPU-s per GB, {flows} flow{'s' * (flows > 1)} {way}", f"tcp {flows} {way} cpu", "{:.2f}"
    for rate in RATES:
        name = f"at {rate // 1000},000/s" if rate else "at most load"
        yield f"64 octets {name}, delivered/s", f"packets {rate or 'most'} delivered", "{:.0f}"
        yield f"64 octets {name}, lost", f"packets {rate or 'most'} loss", "{:.2%}"
    yield "64 octets, most delivered/s", "packets best", "{:.0f}"
    for state in ("idle", "loaded"):
        for kind in ("average", "p99"):
            yield f"ping {state}, {kind}, ms", f"ping {state} {kind}", "{:.3f}"


def print_table(results):
    print(f"\n{'':34}" + "".join(f"{name:>20}" for name in results))
    for title, key, form in rows():
        cells = [form.format(figures[key]) if key in figures else "-" for figures in results.values()]
        print(f"{title:34}" + "".join(f"{cell:>20}" for cell in cells))


def main():
    rounds = int(os.environ.get("ROUNDS") or 3)
    seconds = int(os.environ.get("SECONDS_EACH") or 1)
    only = [word for word in (os.environ.get("ONLY") or "").split(",") if word]
    plane = os.environ.get("PLANE") or ROOT / "target/release/examples/plane"

    # ^C and a supervisor's TERM end the run like an error: everything is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = Lab()
    try:
        pairs = {}
        load = Load(lab, plane, seconds)
        for name, make in all_pairs(lab, plane).items():
            if not only or any(name.startswith(word) for word in only):
                pairs[name] = make()
                pairs[name].up()
                pairs[name].check()
                load.serve(pairs[name])
        found = {name: [] for name in pairs}
        for number in range(rounds):
            for name, pair in pairs.items():
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                found[name].append(measure(load, pair))
        print_table({name: medians(rounds) for name, rounds in found.items()})
        for name, pair in pairs.items():
            for counts in pair.down() if isinstance(pair, Vpnd) else []:
                print(f"{name}: {counts}")
    finally:
        # A second ^C must not end the cleaning.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        lab.close()


if __name__ == "__main__":
    try:
        main()
    except (Failed, KeyboardInterrupt) as error:
        sys.exit(f"bench-e2e: {error or 'ended'}")
