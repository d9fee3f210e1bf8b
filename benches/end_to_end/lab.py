"""Pairs of network namespaces, and the processes in them.

    a --[outer]--(veth, MTU 1500)--[outer]-- b        192.0.2.1 and 192.0.2.2, inside 10.9.1.1 and 10.9.2.1

What is made here carries the script's process ID in its name and goes with `close`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time

PREFIX = "vpnd-bench"
MTU = 1400


class Failed(Exception):
    """Something did not come up; its text says what."""


def run(*words, **options):
    """Runs a program to its end and gives what it printed."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_until(seconds, is_so, what):
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Lab:
    """Holds everything that must be undone."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Failed("network namespaces need root")
        self.sweep()
        self.directory = tempfile.TemporaryDirectory(prefix=f"{PREFIX}-")
        self.namespaces = []
        self.processes = []

    def add_namespace(self, name):
        namespace = f"{PREFIX}-{os.getpid()}-{name}"
        run("ip", "netns", "add", namespace)
        self.namespaces.append(namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def start(self, namespace, *words, **options):
        """Starts a program in a namespace. It has a session of its own: a ^C comes to this script alone, which then ends it."""
        command = ["ip", "netns", "exec", namespace, *map(str, words)]
        process = subprocess.Popen(command, start_new_session=True, text=True, **options)
        self.processes.append(process)
        return process

    def log(self, name):
        return open(os.path.join(self.directory.name, name), "w+")

    def close(self):
        for process in self.processes:
            end(process)
        for namespace in self.namespaces:
            remove(namespace)
        self.directory.cleanup()

    @staticmethod
    def sweep():
        """Removes the namespaces of earlier runs that were killed."""
        for line in run("ip", "netns", "list").splitlines():
            name = line.split()[0]
            owner = name.removeprefix(f"{PREFIX}-").split("-")[0]
            if name.startswith(f"{PREFIX}-") and not os.path.exists(f"/proc/{owner}"):
                remove(name)


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def remove(namespace):
    for process in subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True).stdout.split():
        try:
            os.kill(int(process), signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "delete", namespace], stderr=sys.stderr)


class Pair:
    """Two namespaces with a link. What makes a tunnel of it is a subclass's `up`."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.ends = [lab.add_namespace(f"{name}-{end}") for end in "ab"]
        first, second = self.ends
        run("ip", "-n", first, "link", "add", "outer", "type", "veth", "peer", "name", "outer", "netns", second)
        for number, namespace in enumerate(self.ends, 1):
            run("ip", "-n", namespace, "address", "add", f"192.0.2.{number}/24", "dev", "outer")
            run("ip", "-n", namespace, "link", "set", "outer", "up")

    def up(self):
        """No tunnel: the inner networks on the link itself."""
        self.address_ends("outer")

    def address_ends(self, device, *settings):
        """Gives both ends' devices their inner addresses."""
        for number, namespace in enumerate(self.ends, 1):
            if settings:
                run("ip", "-n", namespace, "link", "set", device, *settings)
            if device != "outer":
                run("ip", "-n", namespace, "link", "set", device, "mtu", MTU, "up")
            run("ip", "-n", namespace, "address", "add", f"10.9.{number}.1/32", "dev", device)
            run("ip", "-n", namespace, "route", "add", f"10.9.{3 - number}.0/24", "dev", device, "src", f"10.9.{number}.1")

    def check(self):
        """Something passes, and through the tunnel."""
        wait_until(10, self.answers, f"{self.name}: a ping through the tunnel")

    def answers(self):
        ping = ["ip", "netns", "exec", self.ends[0], "ping", "-q", "-c", "1", "-W", "1", "10.9.2.1"]
        return subprocess.run(ping, capture_output=True).returncode == 0

    def set_segmentation(self, is_on):
        """Whether the link takes a UDP train whole (as veth does), or the kernel cuts it first, as for most real cards."""
        for namespace in self.ends:
            value = "on" if is_on else "off"
            run("ip", "netns", "exec", namespace, "ethtool", "-K", "outer", "tx-udp-segmentation", value)
