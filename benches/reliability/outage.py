"""Outages: something happens to a tunnel that carries a stream; how long is the longest silence?

Each scenario knows its world, what happens, and how to undo it. The client is a new process in each run.
"""

import os
import pathlib
import random
import time

from lab import Failed, run
from world import GATEWAY, SECOND, Stream, StrongSwan, Vpnd, World

RATE = 100
DPD = 5
# strongSwan gives up on a question after 4.9 s with these, as vpnd does after 5 s; as installed it would be 165 s.
PATIENCE = "retransmit_timeout = 0.6\nretransmit_base = 1.5\nretransmit_tries = 3\n"
HERE = pathlib.Path(__file__).parent


class Outage:
    """A scenario. `both` says whether strongSwan's client can do the same."""

    title, key, link, gateways, both, settle = "", "", "client", 1, True, 1500
    addresses = (GATEWAY,)

    def prepare(self, world):
        pass

    def happen(self, world, client):
        raise NotImplementedError

    def undo(self, world):
        pass


class GatewayRestarted(Outage):
    title, key = "gateway killed, and started again without memory", "gateway restarted"

    def happen(self, world, client):
        world.kill_gateway()
        world.start_gateway()


class NatRebound(Outage):
    title, key, link = "NAT forgets the mapping; the outer port changes", "nat rebound", "nat"

    def happen(self, world, client):
        run(*world.inside("client-nat", "python3", HERE / "forget.py"))


class ClientKilled(Outage):
    title, key = "client killed (`kill -9`), and started again", "client killed"

    def happen(self, world, client):
        client.kill()
        client.start()


class GatewayDead(Outage):
    """Its host swallows everything, and its process is gone."""

    def happen(self, world, client):
        world.verb("silence")
        world.kill_gateway()

    def undo(self, world):
        world.start_gateway()
        world.verb("heal")


class AddressInDns(GatewayDead):
    title, key, gateways = "gateway dies; its name in DNS leads to another", "address in DNS", 2
    addresses = ("gw.example.com",)

    def prepare(self, world):
        world.dns = world.write("second", "zone", f"gw.example.com {GATEWAY}\n")
        world.serve("second", "python3", HERE / "names.py", SECOND, world.dns)
        resolver = pathlib.Path("/etc/netns", world.namespace("client"), "resolv.conf")
        world.has_names = True
        resolver.write_text(f"nameserver {SECOND}\noptions timeout:1\n")

    def happen(self, world, client):
        super().happen(world, client)
        world.dns.write_text(f"gw.example.com {SECOND}\n")

    def undo(self, world):
        world.dns.write_text(f"gw.example.com {GATEWAY}\n")
        super().undo(world)


class OneOfTwo(GatewayDead):
    title, key, gateways, both = "one of two gateways dies", "one of two", 2, False
    addresses = (GATEWAY, SECOND)


SCENARIOS = [GatewayRestarted(), NatRebound(), ClientKilled(), AddressInDns(), OneOfTwo()]


def client_of(name, world, addresses):
    if name == "vpnd":
        return Vpnd(world, addresses, ike={"dpd": f"{DPD}s"})
    # With mobike=yes it sends its questions from the new port, and neither side moves the tunnel there: the outage has no end.
    more = {"dpdtimeout": f"{2 * DPD}s"} if world.version == 1 else {"mobike": "no"}
    return StrongSwan(world, addresses, charon=PATIENCE, dpddelay=f"{DPD}s", **more)


def runs(scenario, client_name, version, count):
    """So many runs in one world: each a dictionary of what was found; the watch's count is the world's."""
    found = []
    with World(version, scenario.link, scenario.gateways) as world:
        world.prove_the_watch()
        world.start_gateways()
        scenario.prepare(world)
        watch = world.watch()
        for _ in range(count):
            found.append(one(scenario, world, client_of(client_name, world, scenario.addresses)))
        seen = watch.end()
    if seen["overlooked"]:
        raise Failed(f"the watch overlooked {seen['overlooked']} frames")
    found[0] |= {"clear": seen["clear"], "frames": seen["frames"], "first": seen["first"]}
    return found


def one(scenario, world, client):
    client.start()
    client.wait_until_up()
    stream = Stream(world, RATE)
    stream.wait_for("STEADY", 30)
    # Timers run since the tunnel came up: not always the same moment between two of their ticks.
    time.sleep(random.uniform(0, 1))
    stream.say("mark")
    begun = time.monotonic()
    scenario.happen(world, client)
    took = time.monotonic() - begun
    stream.say(f"settle {scenario.settle}")
    try:
        outage = float(stream.wait_for("BACK", 150))
    except Failed as failure:
        keep(scenario, world, client, failure)
        outage = None
    counts = stream.end()
    if outage and os.environ.get("KEEP") and outage > float(os.environ["KEEP"]):
        keep(scenario, world, client, f"{outage} ms")
    client.stop()
    scenario.undo(world)
    return {"outage": outage, "event": 1000 * took, "lost": counts["lost"], "refused": counts["refused"]}


def keep(scenario, world, client, why):
    """Prints what both sides said, for whoever looks for the reason."""
    said = client.said() if client.name == "vpnd" else world.log("client")
    print(f"--- {scenario.key}, {client.name}, IKEv{world.version}: {why}\n{said[-6000:]}\n--- gateway\n{world.log('gateway')[-6000:]}")
