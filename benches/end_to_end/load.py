"""The loads that a pair is put under, and what they find."""

import json
import subprocess

from lab import Failed

TARGET = "10.9.2.1"
TICKS = 100  # USER_HZ, the unit of /proc/stat, is 100 on every Linux


def busy_seconds():
    """CPU time that the whole machine has used."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, interrupts, soft_interrupts = map(int, stat.readline().split()[1:8])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS


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
        """Gbit/s, and CPU-seconds of the machine per GB; with a ping beside it if wanted."""
        words = ["iperf3", "-c", TARGET, "-J", "-t", self.seconds, "-P", flows] + ["-R"] * backwards
        pinger = self.start_ping(pair) if with_ping else None
        before = busy_seconds()
        output, _ = finish(self.start(pair, *words), self.seconds)
        used = busy_seconds() - before
        try:
            received = json.loads(output)["end"]["sum_received"]
        except (TypeError, ValueError, KeyError):
            raise Failed(f"{pair.name}: iperf3 did not end well: {(output or '')[-300:]}") from None
        found = {"gbits": received["bits_per_second"] / 1e9, "cpu": used / (received["bytes"] / 1e9)}
        return found | {"ping": self.end_ping(pinger)} if pinger else found

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
        subprocess.run(["sleep", "0.2"])
        received = json.loads(finish(receiver, 0)[0])["received"]
        return {
            "offered": sent["sent"] / sent["seconds"],
            "delivered": received / sent["seconds"],
            "loss": 1 - received / max(sent["sent"], 1),
        }

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
