"""Connecting over a road that loses datagrams, the same ones each time."""

import subprocess
import threading
import time

from lab import Failed, end
from world import StrongSwan, Vpnd, World

LOSSES = [1, 5, 10, 20, 30]
# An attempt that takes longer has failed.
PATIENCE = 60


def attempts(loses, client_name, version, seed, count):
    """How long each took in milliseconds, or None."""
    with World(version, "road", uniqueids="never") as world:
        bridge = world.bridge(seed, 0)
        world.prove_the_watch()
        bridge.end()
        world.start_gateways()
        bridge = world.bridge(seed, loses)
        watch = world.watch()
        attempt = {"vpnd": vpnd, "strongSwan": strongswan}[client_name](world)
        found = [{"connected": next(attempt)} for _ in range(count)]
        seen, road = watch.end(), bridge.end()
    found[0] |= seen | {"road": road}
    return found


def vpnd(world):
    while True:
        client = Vpnd(world)
        begun = time.monotonic()
        client.start()
        try:
            client.wait_until_up(PATIENCE)
            yield 1000 * (time.monotonic() - begun)
        except Failed:
            yield None
        client.stop()


def strongswan(world):
    """A word to a running charon: its start is not counted."""
    client = StrongSwan(world, auto="add", dpdaction="none", closeaction="none")
    client.start()
    starter = (world.directory / "processes/charon-client").read_text().split()[0]
    stroke = ["nsenter", "--target", starter, "--net", "--mount", "/usr/lib/ipsec/stroke"]
    while True:
        begun = time.monotonic()
        process = subprocess.Popen([*stroke, "up", "office"], stdout=subprocess.PIPE, text=True)
        world.tools.append(process)
        taken = None
        for line in lines_within(process, PATIENCE):
            if "established successfully" in line:
                taken = 1000 * (time.monotonic() - begun)
        end(process)
        yield taken
        subprocess.run([*stroke, "down-nb", "office[*]"], capture_output=True, timeout=10)
        time.sleep(0.3)


def lines_within(process, seconds):
    """Its lines; it is ended when the time is over."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    yield from process.stdout
    timer.cancel()
