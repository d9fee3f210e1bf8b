#!/usr/bin/env python3
"""How well tunnels stay up, measured in network namespaces against strongSwan gateways. Needs root.

    RUNS=50           how often each outage happens and each connection is tried; REKEYS=200 new keys
    JOBS=32           worlds at once: they wait most of the time
    ONLY=rekeys,...   parts: rekeys, reload, handover, outage, connect; or one outage, such as "outage:nat rebound".
                      The figures of the others stay as they were measured last
    CLIENTS=vpnd      without strongSwan's client
    UPDATE_DOCS=1     writes the tables into docs/reliability.md
    TARGET=target     where the programs are and the figures go: reliability.json
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import connect
import figures
import outage
import smooth
from lab import Failed
from world import TARGET

CLIENTS = ["vpnd", "strongSwan"]
VERSIONS = [2, 1]
# Runs in one world, one after the other.
CHUNK = 5


def setting(name, default):
    return os.environ.get(name) or default


def is_wanted(part, name):
    words = [word for word in setting("ONLY", "").split(",") if word]
    return not words or part in words or f"{part}:{name}" in words


def chunks(count, most=CHUNK):
    return [min(most, count - begun) for begun in range(0, count, most)]


def tasks():
    """What is to be done, what takes longest first: (part, name, column, function, arguments, at once)."""
    runs, jobs = int(setting("RUNS", 50)), int(setting("JOBS", 32))
    clients = [client for client in CLIENTS if client in setting("CLIENTS", ",".join(CLIENTS)).split(",")]
    columns = [(client, version) for client in clients for version in VERSIONS]
    each = int(setting("REKEYS", 200)) // 8
    phases = []
    worlds = [role for role in smooth.ROLES + smooth.ROLES[:2] + smooth.ROLES[3:4] if is_wanted("rekeys", "")]
    phases.append([("rekeys", f"IKEv{version}, begun by {who}", "vpnd", smooth.rekeys, (version, who, each)) for version, who in worlds])
    phases.append(
        [
            ("changes", change.key, f"vpnd IKEv{version}", smooth.changes, (change, version, count))
            for change in smooth.CHANGES
            for version in VERSIONS
            for count in chunks(max(runs // 5, 1))
            if is_wanted(change.key, "")
        ]
    )
    # A killed client is back so soon that others at work would be measured with it.
    for quick in (False, True):
        phases.append(
            [
                ("outage", scenario.key, f"{client} IKEv{version}", outage.runs, (scenario, client, version, count))
                for scenario in reversed(outage.SCENARIOS)
                if (scenario.key == "client killed") == quick and is_wanted("outage", scenario.key)
                for client, version in columns
                if scenario.both or client == "vpnd"
                for count in chunks(runs)
            ]
        )
    phases.append(
        [
            ("connect", f"{loses} %", f"{client} IKEv{version}", connect.attempts, (loses, client, version, 1000 * loses + number, count))
            for loses in reversed(connect.LOSSES)
            if is_wanted("connect", f"{loses} %")
            for client, version in columns
            for number, count in enumerate(chunks(runs, 2))
        ]
    )
    return zip(phases, [8, 4, jobs, 4, jobs])


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure():
    """{part: {name: {column: [what each run found]}}}, and what failed."""
    found = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
    failed = []
    for phase, at_once in tasks():
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            futures = {pool.submit(work, *arguments): (part, name, column) for part, name, column, work, arguments in phase}
            try:
                for future in concurrent.futures.as_completed(futures):
                    part, name, column = futures[future]
                    try:
                        result = future.result()
                        found[part][name][column] += result if isinstance(result, list) else [result]
                    except (Failed, subprocess.TimeoutExpired) as failure:
                        failed.append(f"{part}, {name}, {column}: {failure}")
                        say(failed[-1])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if phase:
            say(f"{phase[0][0]}: {len(phase)} worlds, {at_once} at once, {time.monotonic() - begun:.0f} s")
    return json.loads(json.dumps(found)), failed


def main():
    # A supervisor's TERM ends the run as ^C does: everything is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Before the runs: the tree may have moved on when they end.
    machine = figures.machine()
    found, failed = measure()
    file = TARGET / "reliability.json"
    results = {"figures": {}, "failed": []}
    if os.environ.get("ONLY") and file.exists():
        results = json.loads(file.read_text())
    for part, names in found.items():
        results["figures"].setdefault(part, {}).update(names)
        results.setdefault("measured", {})[part] = machine["vpnd"]
    results |= {"failed": failed, "machine": machine, "options": {"runs": setting("RUNS", "50"), "jobs": setting("JOBS", "32")}}
    file.write_text(json.dumps(results, indent=1) + "\n")
    figures.tell(results)
    sys.exit(1 if failed or figures.broken(results) else 0)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"reliability: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
