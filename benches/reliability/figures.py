#!/usr/bin/env python3
"""What was measured, as tables: on the terminal and in docs/reliability.md.

    figures.py target/reliability.json     shows again what run.py has measured; UPDATE_DOCS=1 as there
    figures.py block NAME < TEXT           puts a command's own text between its markers in docs/reliability.md
"""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reliability.md"
COLUMNS = ["vpnd IKEv2", "vpnd IKEv1", "strongSwan IKEv2", "strongSwan IKEv1"]


def output(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=20)
    return done.stdout.strip() if done.returncode == 0 else ""


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "vpnd": output("git", "-C", ROOT, "log", "-1", "--format=%h", "--", "src", "Cargo.lock"),
        "strongSwan": output("dpkg-query", "-W", "-f", "${Version}", "strongswan-starter"),
    }


def percentile(values, share):
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(-(-len(ordered) * share // 100), len(ordered)) - 1]


def seconds(milliseconds):
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def spread(values):
    """p50 and p99 of those that came to an end, and how many did not."""
    ended = [value for value in values if value is not None]
    missing = f", {len(values) - len(ended)} never" if len(ended) < len(values) else ""
    return f"{seconds(percentile(ended, 50))} / {seconds(percentile(ended, 99))}{missing}" if ended else "never"


def total(runs, key):
    return sum(run.get(key, 0) or 0 for run in runs)


def rekey_table(names):
    heads = ["who begins", "child SA, by vpnd", "by the gateway", "IKE SA, by vpnd", "by the gateway", "packets", "lost", "doubled", "reordered"]
    kinds = ["child by vpnd", "child by the gateway", "IKE by vpnd", "IKE by the gateway"]
    rows = []
    everything = []
    for name, columns in sorted(names.items(), reverse=True):
        runs = columns["vpnd"]
        everything += runs
        rows.append([name, *rekey_cells(runs, kinds)])
    all_kinds = sum(total([run["rekeyings"] for run in everything], kind) for kind in kinds)
    rows.append([f"**all: {all_kinds} rekeyings**", *rekey_cells(everything, kinds)])
    return heads, rows


def rekey_cells(runs, kinds):
    made = [str(total([run["rekeyings"] for run in runs], kind)) for kind in kinds]
    return made + [f"{2 * total(runs, 'sent'):,}"] + [str(total(runs, key)) for key in ("lost", "doubled", "reordered")]


def change_table(names):
    heads = ["what happens", "tunnel", "times", "packets", "lost", "doubled", "reordered", "TCP transfers that went on", "longest silence, p50 / p99"]
    rows = []
    for name, columns in names.items():
        for column, runs in sorted(columns.items(), reverse=True):
            counts = [str(total(runs, key)) for key in ("lost", "doubled", "reordered")]
            went_on = f"{total(runs, 'transfer')} of {len(runs)}"
            silence = spread([run["silence"] for run in runs])
            rows.append([name, column, str(len(runs)), f"{2 * total(runs, 'sent'):,}", *counts, went_on, silence])
    return heads, rows


def beside_table(first, names, titles, key):
    """One row a name, one column a client."""
    present = [column for column in COLUMNS if any(column in columns for columns in names.values())]
    rows = []
    for name in titles:
        if name in names:
            cells = [spread([run[key] for run in names[name][column]]) if column in names[name] else "-" for column in present]
            counts = sorted({len(runs) for runs in names[name].values()})
            rows.append([titles[name], "-".join(map(str, counts)), *cells])
    return [first, "times", *present], rows


def connect_table(names):
    present = [column for column in COLUMNS if any(column in columns for columns in names.values())]
    rows = []
    for name in sorted(names, key=lambda name: int(name.split()[0])):
        cells = []
        for column in present:
            values = [run["connected"] for run in names[name].get(column, [])]
            up = sum(value is not None for value in values)
            cells.append(f"{up} of {len(values)}; {spread([value for value in values if value is not None])}" if values else "-")
        rows.append([name, *cells])
    return ["lost each way", *present], rows


def clear_table(figures):
    """Packets in clear on the outer link in all runs, by client."""
    counts = {}
    for names in figures.values():
        for columns in names.values():
            for column, runs in columns.items():
                client = column.split()[0]
                known = counts.setdefault(client, {"frames": 0, "clear": 0})
                for key in known:
                    known[key] += total(runs, key)
    return ["client", "frames on the outer link", "in clear"], [
        [client, f"{counts[client]['frames']:,}", str(counts[client]["clear"])] for client in sorted(counts, reverse=True)
    ]


def titles():
    import outage

    return {scenario.key: scenario.title for scenario in outage.SCENARIOS}


def tables(results):
    """Name of the block, title, heads, rows."""
    figures = results["figures"]
    found = []
    if "rekeys" in figures:
        found.append(("rekeys", "New keys under load", *rekey_table(figures["rekeys"])))
    if "changes" in figures:
        found.append(("changes", "Changes under load", *change_table(figures["changes"])))
    if "outage" in figures:
        found.append(("outage", "Outages, p50 / p99", *beside_table("what happens", figures["outage"], titles(), "outage")))
    if "connect" in figures:
        found.append(("connect", "Connecting over a bad road: how many, p50 / p99", *connect_table(figures["connect"])))
    found.append(("clear", "Packets in clear, over all of these", *clear_table(figures)))
    return found


def conditions(results):
    facts = results["machine"]
    commits = ", ".join(sorted(set(results.get("measured", {}).values())) or [facts["vpnd"]])
    return (
        f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}; vpnd {commits}, strongSwan {facts['strongSwan']}; "
        f"{results['options']['jobs']} worlds at once"
    )


def broken(results):
    """What must never be, whatever the machine: a sentence each."""
    figures, found = results["figures"], []
    for part in ("rekeys", "changes"):
        for name, columns in figures.get(part, {}).items():
            for column, runs in columns.items():
                for key in ("lost", "doubled", "reordered"):
                    if total(runs, key):
                        found.append(f"{name}, {column}: {total(runs, key)} packets {key}")
                if any(run.get("transfer") is False for run in runs):
                    found.append(f"{name}, {column}: a TCP transfer did not go on")
                if any(run.get("ups", 1) != 1 for run in runs):
                    found.append(f"{name}, {column}: the tunnel was made anew")
    for part, names in figures.items():
        for name, columns in names.items():
            for column, runs in columns.items():
                if column.startswith("vpnd") and total(runs, "clear"):
                    found.append(f"{name}, {column}: {total(runs, 'clear')} packets in clear, such as {runs[0]['first']}")
                if total(runs, "overlooked"):
                    found.append(f"{name}, {column}: the watch overlooked frames")
    return found


def tell(results):
    for _, title, heads, rows in tables(results):
        widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
        print(f"\n{title}")
        for row in [heads, *rows]:
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            print("  " + "  ".join(cells).rstrip())
    print(f"\n  {conditions(results)}")
    for sentence in results["failed"] + broken(results):
        print(f"  FAILED: {sentence}")
    if os.environ.get("UPDATE_DOCS"):
        for name, _, heads, rows in tables(results):
            lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
            write(name, "".join(f"| {' | '.join(row)} |\n" for row in lines))
        write("conditions", conditions(results) + ".\n" + "".join(f"\nFailed: {line}\n" for line in results["failed"]))


def write(name, text):
    """Puts a text between the markers of its block."""
    begin, end = f"<!-- {name}: ", f"<!-- end of {name} -->\n"
    page = PAGE.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"{PAGE}: there is not one block '{name}'")
    before, rest = page.split(begin)
    marker, rest = rest.split("-->\n", 1)
    PAGE.write_text(before + begin + marker + "-->\n\n" + text.strip() + "\n\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
    match sys.argv[1:]:
        case ["block", name]:
            write(name, sys.stdin.read())
        case [file]:
            tell(json.loads(pathlib.Path(file).read_text()))
        case _:
            sys.exit(__doc__)
