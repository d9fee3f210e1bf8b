#!/usr/bin/env python3
"""What was measured, as tables: on the terminal and in docs/performance.md.

    report.py target/bench-e2e.json     shows again what run.py has measured; UPDATE_DOCS=1 as there
"""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True

import draw

RATES = [60_000, 120_000, 200_000, 240_000, 0]
BEGIN, END = "<!-- figures: written by make bench-e2e UPDATE_DOCS=1 -->\n", "<!-- end of figures -->\n"


def output(*words):
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=20)
        return done.stdout.strip() if done.returncode == 0 else ""
    except OSError:
        return ""


def machine(root, peers):
    """What the figures depend on."""
    with open("/proc/cpuinfo") as file:
        facts = dict(re.split(r"\s*:\s*", line.strip(), maxsplit=1) for line in file if ":" in line)
    known = ["aes", "vaes", "pclmulqdq", "vpclmulqdq", "sha_ni", "avx2", "avx512f", "avx512bw", "avx512vl"]
    versions = {
        "vpnd": output("git", "-C", root, "log", "-1", "--format=%h", "--", "src", "Cargo.lock"),
        "strongSwan": output("dpkg-query", "-W", "-f", "${Version}", "strongswan-starter"),
        "wireguard-go": output("cat", peers / "wireguard-go.version"),
        "boringtun": output(peers / "bin/boringtun-cli", "--version").split(" ")[-1],
        "gotatun": output(peers / "bin/gotatun", "--version").split(" ")[-1],
        "iperf3": output("dpkg-query", "-W", "-f", "${Version}", "iperf3"),
    }
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": os.cpu_count(),
        "flags": [flag for flag in known if flag in facts.get("flags", "").split()],
        "kernel": platform.release(),
        "versions": {name: version for name, version in versions.items() if version},
    }


def medians(load):
    """{tunnel: {figure: median of the rounds}}."""
    return {
        name: {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
        for name, rounds in load.items()
        if rounds
    }


class Figures:
    """Medians of every load."""

    def __init__(self, results):
        self.loads = {load: medians(rounds) for load, rounds in results["figures"].items()}

    def get(self, load, tunnel, key):
        return self.loads.get(load, {}).get(tunnel, {}).get(key)

    def both_ways(self, load, tunnel, key):
        """One flow: the mean of the two directions."""
        ways = [self.get(load, tunnel, f"1 {way} {key}") for way in ("there", "back")]
        return None if None in ways else sum(ways) / 2

    def tunnels(self, load):
        return list(self.loads.get(load, {}))


def text(value, form):
    return "-" if value is None else form.format(value)


def ratio(first, second):
    return None if first is None or not second else first / second


def bulk_table(figures, load):
    heads = ["tunnel", "1 flow there", "back", "16 flows there", "back", "CPU-s/GB, 1 flow", "16 flows", "vpnd cbc is", "vpnd gcm is"]
    rows = []
    for tunnel in figures.tunnels(load):
        flows = [(count, way) for count in (1, 16) for way in ("there", "back")]
        row = [tunnel] + [text(figures.get(load, tunnel, f"{count} {way} gbits"), "{:.2f}") for count, way in flows]
        for count in (1, 16):
            ways = [figures.get(load, tunnel, f"{count} {way} cpu") for way in ("there", "back")]
            row.append(text(sum(ways) / 2, "{:.2f}"))
        own = figures.both_ways(load, tunnel, "gbits")
        row += [text(ratio(figures.both_ways(load, name, "gbits"), own), "{:.1f}x") for name in ("vpnd cbc", "vpnd gcm")]
        rows.append(row)
    return heads, rows


def packet_table(figures):
    heads = ["tunnel"] + [f"{rate // 1000},000/s" if rate else "all it can" for rate in RATES] + ["most delivered/s"]
    rows = []
    for tunnel in figures.tunnels("packets"):
        row = [tunnel]
        for rate in RATES:
            delivered, loss = (figures.get("packets", tunnel, f"{rate or 'most'} {key}") for key in ("delivered", "loss"))
            row.append(f"{delivered:,.0f} ({loss:.2%} lost)")
        rows.append([*row, text(figures.get("packets", tunnel, "best"), "{:,.0f}")])
    return heads, rows


def ping_table(figures):
    heads = ["tunnel", "idle, average", "idle, p99", "during bulk, average", "during bulk, p99"]
    rows = []
    for tunnel in figures.tunnels("ping") or figures.tunnels("tcp"):
        idle = [text(figures.get("ping", tunnel, key), "{:.3f}") for key in ("average", "p99")]
        loaded = [text(figures.get("tcp", tunnel, f"1 there ping {key}"), "{:.3f}") for key in ("average", "p99")]
        rows.append([tunnel, *idle, *loaded])
    return heads, rows


def client_table(figures):
    heads = ["client", "Gbit/s there", "back", "client's CPU-s/GB there", "back"]
    columns = ["there gbits", "back gbits", "there cpu", "back cpu"]
    return heads, [
        [name] + [text(figures.get("client", name, key), "{:.2f}") for key in columns] for name in figures.tunnels("client")
    ]


def goals(figures):
    """Each goal of the packet path: what is asked, what was found, and whether that is enough (None: not measured)."""

    def line(goal, values, form, is_met):
        known = [value for value in values if value is not None]
        whole = len(known) == len(values) and values
        found = " / ".join(form.format(value) for value in known)
        return [goal, found if whole else "-", ("met" if all(map(is_met, known)) else "MISSED") if whole else "not measured"]

    def tcp(tunnel, key="gbits"):
        return figures.both_ways("tcp", tunnel, key)

    def best(load, names, find):
        return max((value for value in map(find, names) if value is not None), default=None)

    vpnd = ("vpnd cbc", "vpnd gcm")
    wireguards = ("wireguard-go", "boringtun")
    peers = [name for name in figures.tunnels("packets") if name not in (*vpnd, "no tunnel")]
    fastest = best("tcp", wireguards, tcp)
    most = best("packets", peers, lambda name: figures.get("packets", name, "best"))
    pairs = [("vpnd cbc", "strongSwan cbc openssl"), ("vpnd gcm", "strongSwan gcm")]
    suites = "(cbc / gcm)"

    def beside(load, key):
        return [ratio(figures.get(load, ours, key), figures.get(load, theirs, key)) for ours, theirs in pairs]

    return [
        line(
            "TCP, cbc: at least 20 times strongSwan as Debian installs it",
            [ratio(tcp("vpnd cbc"), tcp("strongSwan cbc as installed"))], "{:.1f}x", lambda value: value >= 20,
        ),
        line(
            "TCP, cbc: at least 10 times strongSwan with openssl first",
            [ratio(tcp("vpnd cbc"), tcp("strongSwan cbc openssl"))], "{:.1f}x", lambda value: value >= 10,
        ),
        line(
            "TCP, gcm: at least 10 times strongSwan's aes256gcm16",
            [ratio(tcp("vpnd gcm"), tcp("strongSwan gcm"))], "{:.1f}x", lambda value: value >= 10,
        ),
        line(
            f"TCP: at least 3 times the faster of wireguard-go and boringtun {suites}",
            [ratio(tcp(name), fastest) for name in vpnd], "{:.1f}x", lambda value: value >= 3,
        ),
        line(
            f"CPU-seconds per GB: at most a tenth of strongSwan's {suites}",
            [ratio(tcp(ours, "cpu"), tcp(theirs, "cpu")) for ours, theirs in pairs], "{:.2f}", lambda value: value <= 0.1,
        ),
        ["seal, cbc, 64/576/1400 octets: at most 1.0 times ipsec-mb's time; gcm, 1400: at most 1.7 times", "-", "make ipsec-mb"],
        line(
            f"64-byte packets: none lost at 200,000 a second {suites}",
            [figures.get("packets", name, "200000 loss") for name in vpnd], "{:.3%}", lambda value: value <= 0,
        ),
        line(
            f"64-byte packets at most load: at least 2 times the best peer {suites}",
            [ratio(figures.get("packets", name, "best"), most) for name in vpnd], "{:.1f}x", lambda value: value >= 2,
        ),
        line(f"ping, idle: not slower than strongSwan {suites}", beside("ping", "average"), "{:.2f}", lambda value: value <= 1),
        line(
            f"ping during a bulk transfer: at most half of strongSwan's {suites}",
            beside("tcp", "1 there ping average"), "{:.2f}", lambda value: value <= 0.5,
        ),
    ]


def tables(results):
    """Title, heads, rows."""
    figures = Figures(results)
    found = [
        ("TCP, Gbit/s; CPU of the whole machine, both ends and iperf3", *bulk_table(figures, "tcp")),
        ("The same where the wire cuts UDP trains (tx-udp-segmentation off)", *bulk_table(figures, "wire")),
        ("Packets of 64 octets: delivered a second", *packet_table(figures)),
        ("Ping through the tunnel, ms", *ping_table(figures)),
        ("A client of a strongSwan gateway, aes256-sha256: CPU of the client's process alone", *client_table(figures)),
        ("Goals", ["goal", "found", ""], goals(figures)),
    ]
    return [table for table in found if table[2]]


def conditions(results):
    machine, options = results["machine"], results["options"]
    rounds = {len(found) for load in results["figures"].values() for found in load.values()}
    count = "-".join(str(number) for number in sorted({min(rounds), max(rounds)}))
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores ({' '.join(machine['flags'])}), Linux {machine['kernel']}",
        versions,
        f"medians of {count} rounds of {options['seconds']} s, tunnels in turn; "
        f"the host took {results['stolen']:.1%} of the CPU time meanwhile",
    ]
    return lines + [f"left out: {name}: {reason}" for name, reason in results["missing"].items()]


def tell(results):
    """Shows everything, and writes it down if that is wanted."""
    show(results)
    if os.environ.get("UPDATE_DOCS"):
        update_docs(results, pathlib.Path(__file__).resolve().parents[2] / "docs")


def show(results):
    """Prints everything for a terminal."""
    for title, heads, rows in tables(results):
        widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
        print(f"\n{title}")
        for row in [heads, *rows]:
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            print("  " + "  ".join(cells).rstrip())
    print()
    for line in conditions(results):
        print(f"  {line}")


def update_docs(results, folder):
    """Writes the tables between their markers in performance.md, and draws performance.svg."""
    parts = [f"{line}.  \n" for line in conditions(results)]
    for title, heads, rows in tables(results):
        parts.append(f"\n**{title}**\n\n")
        parts += [f"| {' | '.join(row)} |\n" for row in [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]]
    page = folder / "performance.md"
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + "\n" + "".join(parts) + "\n" + END + rest.split(END)[1])
    (folder / "performance.svg").write_text(draw.chart(Figures(results)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tell(json.loads(pathlib.Path(sys.argv[1]).read_text()))
