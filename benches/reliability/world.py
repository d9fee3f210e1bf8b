"""One world: a lab of tests/interop/lab.sh with gateways, a client on a link of some kind, and what measures it."""

import atexit
import contextlib
import json
import os
import pathlib
import queue
import subprocess
import threading
import time

from lab import Failed, end, run, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("TARGET") or ROOT / "target").resolve()
PROGRAM = TARGET / "release/vpnd"
TOOL = TARGET / "release/examples/reliability"
SCRIPT = ROOT / "tests/interop/lab.sh"
TRANSFER = ROOT / "tests/interop/transfer.py"

INSIDE = "10.250.0.5"
GATEWAY, SECOND = "192.0.2.1", "192.0.2.11"
ECHO_PORT = 7007
PSK = "a key for a laboratory only"
MARKER = "this must never be seen in clear; "


class Tool:
    """A program of the lab that talks by lines; READY is its first."""

    def __init__(self, world, where, *words):
        self.name = " ".join(map(str, words))
        self.process = subprocess.Popen(
            world.inside(where, TOOL, *words), text=True, bufsize=1, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        world.tools.append(self.process)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.wait_for("READY", 10)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def wait_for(self, word, seconds):
        """What stands behind the word in the next line that begins with it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise Failed(f"{self.name}: no {word} within {seconds} s") from None
            if line is None:
                raise Failed(f"{self.name} ended: {self.process.stderr.read().strip()}")
            if line.startswith(word):
                return line.removeprefix(word).strip()

    def say(self, words):
        print(words, file=self.process.stdin, flush=True)

    def end(self):
        """What it found."""
        self.process.stdin.close()
        found = "{" + self.wait_for("{", 15)
        self.process.wait()
        return json.loads(found)


class Stream(Tool):
    """Numbered packets to the inside and back."""

    def __init__(self, world, rate):
        super().__init__(world, "client", "stream", f"{INSIDE}:{ECHO_PORT}", rate)

    def end(self):
        self.say("end")
        return super().end()


class World:
    """`link` is `client` (directly), `nat` or `road`. Use it with `with`."""

    def __init__(self, version, link="client", gateways=1, uniqueids="yes"):
        self.version, self.link, self.gateways, self.uniqueids = version, link, gateways, uniqueids
        self.tools = []
        self.has_names = False

    def __enter__(self):
        self.directory = pathlib.Path(run(SCRIPT, "open", os.getpid()).strip())
        atexit.register(self.close)
        try:
            self.verb(self.link, "client", 0)
            if self.gateways > 1:
                self.verb("client", "second", 1)
                run(*self.inside("second", "ip", "address", "add", f"{INSIDE}/32", "dev", "lo"))
            if self.link != "nat":
                # There is a way for what should not leave in clear: into the gateway's own network.
                run(*self.inside("client", "ip", "route", "add", "default", "via", GATEWAY))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        atexit.unregister(self.close)
        for process in self.tools:
            end(process)
        run(SCRIPT, "close", self.directory)

    def verb(self, verb, *words):
        return run(SCRIPT, verb, self.directory, *words)

    def namespace(self, where):
        return f"vpnd-lab-{self.directory.suffix[1:]}-{where}"

    def inside(self, where, *words):
        """A command line that becomes the program in a namespace, under the same process ID."""
        if where == "client" and self.has_names:
            # With the resolver's file of its own; that takes a copy of all mounts of the host, and many worlds make many.
            return ["ip", "netns", "exec", self.namespace(where), *map(str, words)]
        return ["nsenter", f"--net=/run/netns/{self.namespace(where)}", *map(str, words)]

    def serve(self, where, *words):
        """Starts a program that goes with the world."""
        silent = subprocess.DEVNULL
        self.tools.append(subprocess.Popen(self.inside(where, *words), stdin=silent, stdout=silent, start_new_session=True))

    def write(self, where, name, text):
        path = self.directory / where / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def watch(self):
        return Tool(self, "client", "watch", "outer")

    def prove_the_watch(self):
        """The watch sees what is in clear: one packet is, before there is a tunnel."""
        watch = self.watch()
        run(*self.inside("client", "bash", "-c", f"echo '{MARKER}' >/dev/udp/{GATEWAY}/9"))
        time.sleep(0.1)
        if not (found := watch.end())["clear"]:
            raise Failed(f"the watch did not see the packet in clear: {found}")

    def start_gateways(self, esp=None, **keywords):
        """charon, and what answers behind it."""
        forward_secrecy = "-ecp256" if self.version == 1 else ""
        settings = {
            "keyexchange": f"ikev{self.version}", "type": "tunnel", "authby": "psk", "forceencaps": "yes",
            "ike": "aes256-sha256-ecp256!", "esp": esp or f"aes256-sha256{forward_secrecy}!",
            "left": "%any", "leftid": "gw.example.com", "leftsubnet": "10.250.0.0/24",
            "right": "%any", "rightsourceip": "10.200.0.0/24",
            "ikelifetime": "4h", "lifetime": "8h", "reauth": "no", "dpdaction": "clear", "dpddelay": "30s", "auto": "add",
        } | keywords
        lines = "".join(f"    {key}={value}\n" for key, value in settings.items())
        for where in ["gateway", "second"][: self.gateways]:
            self.write(where, "ipsec.conf", f"config setup\n    uniqueids={self.uniqueids}\nconn workspaces\n{lines}")
            self.write(where, "ipsec.secrets", f': PSK "{PSK}"\n')
            self.start_gateway(where)
            Tool(self, where, "echo", f"{INSIDE}:{ECHO_PORT}")

    def start_gateway(self, where="gateway"):
        self.verb("initiator", where)

    def kill_gateway(self):
        self.verb("initiator-kill", "gateway")

    def bridge(self, seed, loses, doubles=0, holds=0, held=0, delay=0):
        return Tool(self, "client-road", "bridge", seed, loses, doubles, holds, held, delay, "near", "far")

    def log(self, where):
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / where / "charon.log").read_text()
        return ""

    def count(self, *words, where="gateway"):
        """Lines of a gateway's log that hold all the words."""
        return sum(all(word in line for word in words) for line in self.log(where).splitlines())


class Vpnd:
    """The client under test."""

    name = "vpnd"

    def __init__(self, world, addresses=(GATEWAY,), **tables):
        self.world = world
        self.tables = {
            "gateway": {"address": list(addresses), "id": "gw.example.com", "subnets": ["10.250.0.0/24"], "psk_file": "psk"},
            "local": {"id": "client@example.com"},
            "ike": {"version": world.version, "proposals": ["aes256-sha256-ecp256"]},
            "esp": {"proposals": ["aes256-sha256-ecp256" if world.version == 1 else "aes256-sha256"]},
        }
        # Each world has one of its own: they share the host's /run.
        self.tables["control"] = {"socket": str(world.directory / "client/vpnd.sock")}
        for table, keys in tables.items():
            self.tables.setdefault(table, {}).update(keys)
        self.lines, self.starts = [], 0
        world.write("client", "psk", PSK)

    def configure(self):
        """TOML's basic values are JSON's."""
        text = ""
        for table, keys in self.tables.items():
            text += f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        return self.world.write("client", "vpnd.toml", text)

    def start(self, *options):
        self.starts += 1
        log = open(self.world.directory / "client" / f"vpnd{self.starts}.log", "w+")
        self.process = subprocess.Popen(
            self.world.inside("client", PROGRAM, "up", "--config", self.configure(), *options),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )
        self.log = log
        self.world.tools.append(self.process)

    def said(self):
        with open(self.log.name) as log:
            return log.read()

    def is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"vpnd ended: {self.said()[-1000:]}")
        return "tunnel is up" in self.said()

    def wait_until_up(self, seconds=30):
        wait_until(seconds, self.is_up, f"vpnd: {self.said()}")

    def reload(self):
        run(*self.world.inside("client", PROGRAM, "reload", "--config", self.configure()))

    def stop(self):
        end(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()


class StrongSwan:
    """strongSwan's client in the same place."""

    name = "strongSwan"

    def __init__(self, world, addresses=(GATEWAY,), auto="start", charon="", **keywords):
        self.world = world
        forward_secrecy = "-ecp256" if world.version == 1 else ""
        settings = {
            "keyexchange": f"ikev{world.version}", "authby": "psk", "forceencaps": "yes",
            "ike": "aes256-sha256-ecp256!", "esp": f"aes256-sha256{forward_secrecy}!",
            "left": "%defaultroute", "leftid": "client@example.com", "leftsourceip": "%config",
            "right": addresses[0], "rightid": "gw.example.com", "rightsubnet": "10.250.0.0/24",
            "ikelifetime": "4h", "lifetime": "8h", "reauth": "no", "keyingtries": "%forever",
            "closeaction": "restart", "dpdaction": "restart", "auto": auto,
        } | keywords
        lines = "".join(f"    {key}={value}\n" for key, value in settings.items())
        world.write("client", "ipsec.conf", f"config setup\nconn office\n{lines}")
        world.write("client", "ipsec.secrets", f': PSK "{PSK}"\n')
        world.write("client", "charon.extra", charon)

    def start(self):
        self.world.verb("initiator", "client")

    def wait_until_up(self, seconds=30):
        wait_until(seconds, lambda: self.world.count("CHILD_SA office", "established", where="client"), "strongSwan's client")

    def stop(self):
        self.world.verb("initiator-stop", "client")

    def kill(self):
        self.world.verb("initiator-kill", "client")
