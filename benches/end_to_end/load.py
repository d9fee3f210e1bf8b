"""The loads that a pair is put under, and what they find."""

import json
import subprocess
import time

from lab import Failed

TARGET = "10.9.2.1"
TICKS = 100  # USER_HZ, the unit of /proc/stat, is 100 on every Linux


def machine_seconds():
    """CPU time that the whole machine has used, and what its host has taken from it."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, interrupts, soft_interrupts, stolen = map(int, stat.readline().split()[1:9])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS, stolen / TICKS


def process_seconds(process):
    """CPU time that a process has used."""
    with open(f"/proc/{process}/stat") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / TICKS


def finish(process, seconds):
    try:
        output, errors = process.communicate(timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, "it did not end"
    return output, errors


class Load:
    """Runs loads on pairs; `plane` is the path of the bench program."""

    def __init__(self, lab, plane, seconds):
        self.lab, self.plane, self.seconds = lab, plane, seconds

    def serve(self, pair):
        """Starts what answers; it stays there."""
        silent = subprocess.DEVNULL
        self.lab.start(pair.ends[1], "iperf3", "-s", stdin=silent, stdout=silent, stderr=silent)

    def start(self, pair, *words, end=0):
        return self.lab.start(
            pair.ends[end], *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def tcp(self, pair, flows, backwards, with_ping=False):
        """Gbit/s, and CPU-seconds of the whole machine per GB; milliseconds of a ping beside it if wanted."""
        pinger = self.start_ping(pair) if with_ping else None
        gbits, used, octets = self.transfer(pair, flows, backwards)
        found = {"gbits": gbits, "cpu": used / (octets / 1e9)}
        if pinger:
            found |= {f"ping {key}": value for key, value in self.end_ping(pinger).items()}
        return found

    def transfer(self, pair, flows, backwards):
        """Gbit/s, CPU-seconds of the whole machine, octets."""
        words = ["iperf3", "-c", TARGET, "-J", "-t", self.seconds, "-P", flows] + ["-R"] * backwards
        for _ in range(3):
            before, _ = machine_seconds()
            output, _ = finish(self.start(pair, *words), self.seconds)
            used = machine_seconds()[0] - before
            try:
                received = json.loads(output)["end"]["sum_received"]
                return received["bits_per_second"] / 1e9, used, received["bytes"]
            except (TypeError, ValueError, KeyError):
                # Now and then an iperf3 server is still busy with the end of the transfer before.
                time.sleep(0.5)
        raise Failed(f"{pair.name}: iperf3 did not end well: {' '.join((output or '').split())[-200:]}")

    def packets(self, pair, rate):
        """Packets of 64 octets a second: offered, delivered, and the share lost."""
        receiver = self.start(pair, self.plane, "receive", f"{TARGET}:9000", end=1)
        if receiver.stdout.readline() != "READY\n":
            raise Failed(f"{pair.name}: {finish(receiver, 0)[1]}")
        output, errors = finish(self.start(pair, self.plane, "send", f"{TARGET}:9000", rate, self.seconds), self.seconds)
        if not output:
            raise Failed(f"{pair.name}: {errors}")
        sent = json.loads(output)
        # What is still under way arrives long before the receiver is told to end.
        time.sleep(0.2)
        received = json.loads(finish(receiver, 0)[0])["received"]
        return {
            "offered": sent["sent"] / sent["seconds"],
            "delivered": received / sent["seconds"],
            "loss": 1 - received / max(sent["sent"], 1),
        }

    def client(self, pair):
        """CPU-seconds per GB of the first end's program alone, TCP in both directions."""
        found = {}
        for way, backwards in (("there", False), ("back", True)):
            process = pair.client_process()
            before = process_seconds(process)
            gbits, _, octets = self.transfer(pair, 1, backwards)
            used = process_seconds(process) - before
            found |= {f"{way} gbits": gbits, f"{way} cpu": used / (octets / 1e9)}
        return found

    def start_ping(self, pair):
        count = max(int(self.seconds / 0.01), 10)
        return self.start(pair, "ping", "-n", "-i", "0.01", "-c", count, "-W", "1", TARGET)

    def end_ping(self, pinger):
        output, errors = finish(pinger, self.seconds)
        times = sorted(float(line.split("time=")[1].split()[0]) for line in (output or "").splitlines() if "time=" in line)
        if not times:
            raise Failed(f"no ping was answered: {errors}")
        return {"average": sum(times) / len(times), "p99": times[min(len(times) * 99 // 100, len(times) - 1)]}

    def ping(self, pair):
        """Milliseconds through an idle tunnel."""
        return self.end_ping(self.start_ping(pair))
