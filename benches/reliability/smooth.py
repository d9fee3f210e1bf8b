"""What must cost no packet: new keys, a changed proposal, another process. A stream of numbered packets says what it did cost."""

import subprocess
import time

from lab import Failed, wait_until
from world import INSIDE, TRANSFER, Stream, Vpnd, World

RATE = 1000
# Each world of `rekeys`: the version of IKE, and who begins.
ROLES = [(2, "vpnd"), (2, "gateway"), (2, "both"), (1, "vpnd"), (1, "gateway")]
# At random: where its timers of child and IKE SA ring in the same millisecond, strongSwan forgets the child's ("not found for rekey"), lets that end
# and makes another.
HASTY = {"lifetime": "10s", "margintime": "3s", "rekeyfuzz": "100%"}
HASTY_IKE = {"ikelifetime": "11s"}


def rekeyings(world):
    """How many of each kind, by the gateway's log."""
    if world.version == 2:
        return {
            "child by vpnd": world.count("parsed CREATE_CHILD_SA request", "N(REKEY_SA)"),
            "child by the gateway": world.count("generating CREATE_CHILD_SA request", "N(REKEY_SA)"),
            "IKE by vpnd": world.count("parsed CREATE_CHILD_SA request", "[ SA No KE ]"),
            "IKE by the gateway": world.count("generating CREATE_CHILD_SA request", "[ SA No KE ]"),
        }
    # The first of each is not a renewal.
    return {
        "child by vpnd": world.count("parsed QUICK_MODE request", "[ HASH SA") - 1,
        "child by the gateway": world.count("generating QUICK_MODE request", "[ HASH SA"),
        "IKE by vpnd": world.count("IKE_SA workspaces[", "] established between") - 1,
        "IKE by the gateway": 0,
    }


def rekeys(version, who, wanted):
    """New keys again and again under a stream, until there were as many as wanted."""
    hasty = {} if who == "vpnd" else HASTY | (HASTY_IKE if version == 2 else {})
    short = {} if who == "gateway" else {"lifetime": "10s"}
    with World(version) as world:
        world.prove_the_watch()
        world.start_gateways(esp="aes256-sha256-ecp256!", **hasty)
        watch = world.watch()
        client = Vpnd(world, ike=short, esp={"proposals": ["aes256-sha256-ecp256"]} | short)
        client.start()
        client.wait_until_up()
        stream = Stream(world, RATE)
        stream.wait_for("STEADY", 30)
        before, begun = rekeyings(world), time.monotonic()
        while sum(rekeyings(world).values()) - sum(before.values()) < wanted:
            if time.monotonic() - begun > 30 + 9 * wanted:
                raise Failed(f"only {rekeyings(world)}, {before} of them before the stream: {client.said()}")
            time.sleep(0.5)
        counts = stream.end()
        done = rekeyings(world)
        ups = client.said().count("tunnel is up")
        client.stop()
        seen = watch.end()
    made = {kind: done[kind] - before[kind] for kind in done}
    return {"rekeyings": made, "ups": ups, "seconds": time.monotonic() - begun} | counts | seen


class Transfer:
    """TCP from behind the gateway, slow enough to last through what happens meanwhile; both ends compare hashes."""

    def __init__(self, world, seconds):
        self.server = subprocess.Popen(
            world.inside("gateway", "python3", TRANSFER, "serve", INSIDE), stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        world.tools.append(self.server)
        port = self.server.stdout.readline().strip()
        rate = 500_000
        self.get = subprocess.Popen(
            world.inside("client", "python3", TRANSFER, "get", INSIDE, port, seconds * rate, rate),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        world.tools.append(self.get)

    def goes_on(self):
        return self.get.poll() is None

    def end(self):
        """Whether all arrived as it was sent."""
        self.get.communicate(timeout=60)
        self.server.terminate()
        return self.get.returncode == 0


class Change:
    """Something that a running tunnel must survive without a loss."""

    title, key = "", ""

    def gateway(self, version):
        return {}

    def happen(self, world, client):
        """Returns when it is done."""
        raise NotImplementedError


class Reload(Change):
    title, key = "`vpnd reload` of another ESP proposal", "reload"

    def gateway(self, version):
        group = "-ecp256" if version == 1 else ""
        return {"esp": f"aes256-sha256{group},aes256gcm16{group}!"}

    def happen(self, world, client):
        word = "aes256gcm16" if "aes256-sha256" in client.tables["esp"]["proposals"][0] else "aes256-sha256"
        group = "-ecp256" if world.version == 1 else ""
        client.tables["esp"]["proposals"] = [word + group]
        client.configure()
        suite = {"aes256gcm16": "ESP:AES_GCM_16_256", "aes256-sha256": "ESP:AES_CBC_256"}[word]
        before = world.count("selected proposal", suite)
        client.reload()
        wait_until(15, lambda: world.count("selected proposal", suite) > before, f"the new proposal: {client.said()}")


class Handover(Change):
    title, key = "`vpnd up` of another process takes over", "handover"

    def happen(self, world, client):
        old, ikes = client.process, world.count("IKE_SA workspaces[", "] established between")
        said = client.said()
        client.start()
        wait_until(15, lambda: old.poll() is not None, f"the older process does not end: {said}\n{client.said()}")
        if old.returncode != 0:
            raise Failed(f"the older process ended with {old.returncode}: {said}")
        if world.count("IKE_SA workspaces[", "] established between") != ikes:
            raise Failed(f"the newer process connected anew: {client.said()}")


CHANGES = [Reload(), Handover()]


def changes(change, version, count):
    """So many times in one world, one after the other in the same tunnel."""
    found = []
    with World(version, uniqueids="never") as world:
        world.prove_the_watch()
        world.start_gateways(**change.gateway(version))
        watch = world.watch()
        client = Vpnd(world)
        client.start()
        client.wait_until_up()
        for _ in range(count):
            stream = Stream(world, RATE)
            stream.wait_for("STEADY", 30)
            transfer = Transfer(world, 5)
            time.sleep(0.5)
            stream.say("mark")
            change.happen(world, client)
            stream.say("settle 1500")
            silence = float(stream.wait_for("BACK", 60))
            went_on = transfer.goes_on()
            counts = stream.end()
            found.append(counts | {"silence": silence, "transfer": went_on and transfer.end()})
        client.stop()
        seen = watch.end()
    found[0] |= seen
    return found
