"""What is compared: each class makes a tunnel of a pair of namespaces."""

import base64
import os
import shutil
import subprocess

from lab import MTU, Failed, Pair, run, wait_until

CHARON = "/usr/lib/ipsec/charon"
# Each charon and each WireGuard has a /run of its own, where its process ID and socket stand.
OWN_RUN = 'mount -t tmpfs tmpfs /run && mkdir -p /run/wireguard && exec "$@"'
OWN_CONFIG = 'mount --bind "$0/ipsec.conf" /etc/ipsec.conf && mount --bind "$0/ipsec.secrets" /etc/ipsec.secrets && ' + OWN_RUN


class Vpnd(Pair):
    """vpnd's data plane at both ends, with keys that no IKE negotiated."""

    def __init__(self, lab, name, plane, suite):
        super().__init__(lab, name)
        self.plane, self.suite = plane, suite

    def up(self):
        keys = os.urandom(192).hex() + "\n"
        self.planes = []
        for number, namespace in enumerate(self.ends, 1):
            plane = self.lab.start(
                namespace, self.plane, "end", number, self.suite, MTU, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            plane.stdin.write(keys)
            plane.stdin.flush()
            if plane.stdout.readline() != "READY\n":
                raise Failed(f"end {number} did not start")
            self.planes.append(plane)
        # As vpnd sets it: src/os/netlink.rs.
        self.address_ends("t0", "txqueuelen", 2000)
        for namespace in self.ends:
            # As vpnd makes its device.
            run("tc", "-n", namespace, "qdisc", "replace", "dev", "t0", "root", "noqueue")

    def counts(self):
        """Ends both and gives what they counted."""
        return [plane.communicate(timeout=10)[0].strip() for plane in self.planes]


# Order matters: the first plugin that has an algorithm does the work.
OPENSSL_FIRST = (
    "load_modular = no\n"
    "load = openssl random nonce kdf hmac gcm pem pubkey x509 kernel-libipsec kernel-netlink socket-default stroke updown counters"
)
AS_INSTALLED = "load_modular = yes"


class StrongSwan(Pair):
    """strongSwan with kernel-libipsec, its ESP in userspace, at both ends."""

    def __init__(self, lab, name, plugins, suite):
        super().__init__(lab, name)
        self.plugins, self.suite = plugins, suite

    def up(self):
        self.psk = base64.b64encode(os.urandom(24)).decode()
        self.address_inside(1)
        self.address_inside(2)
        self.client = self.charon(2, "add") and self.charon(1, "start")

    def address_inside(self, number):
        run("ip", "-n", self.ends[number - 1], "address", "add", f"10.9.{number}.1/32", "dev", "lo")

    def charon(self, number, auto):
        """Starts strongSwan at one end."""
        if not os.path.exists(CHARON):
            raise Failed("strongSwan is not installed")
        folder = os.path.join(self.lab.directory.name, f"{self.name}-{number}")
        os.mkdir(folder)

        def write(name, text):
            with open(os.path.join(folder, name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)

        write("ipsec.secrets", f': PSK "{self.psk}"\n')
        write("ipsec.conf", self.connection(number, auto))
        write(
            "strongswan.conf",
            f"""
charon {{
    {self.plugins}
    filelog {{
        log {{
            path = {folder}/log
            default = 1
            flush_line = yes
        }}
    }}
    syslog {{ daemon {{ default = -1 }} auth {{ default = -1 }} }}
    plugins {{
        include /etc/strongswan.d/charon/*.conf
        kernel-libipsec {{ load = yes }}
    }}
}}
starter {{ load_warning = no }}
""",
        )
        shell = ["unshare", "--mount", "sh", "-c", OWN_CONFIG, folder, "ipsec", "start", "--nofork"]
        environment = os.environ | {"STRONGSWAN_CONF": f"{folder}/strongswan.conf"}
        silent = subprocess.DEVNULL
        starter = self.lab.start(self.ends[number - 1], *shell, env=environment, stdin=silent, stdout=silent, stderr=silent)
        wait_until(15, lambda: self.is_loaded(starter, folder), f"strongSwan at end {number}")
        return starter

    def is_loaded(self, starter, folder):
        if starter.poll() is not None:
            raise Failed(f"strongSwan ended at once; {folder}")
        try:
            with open(f"{folder}/log") as log:
                return "added configuration 'pair'" in log.read()
        except FileNotFoundError:
            return False

    def connection(self, number, auto):
        peer = 3 - number
        return f"""
config setup
conn pair
    keyexchange=ikev2
    authby=psk
    forceencaps=yes
    ike=aes256-sha256-ecp256!
    esp={self.suite}!
    left=192.0.2.{number}
    leftsubnet=10.9.{number}.0/24
    right=192.0.2.{peer}
    rightsubnet=10.9.{peer}.0/24
    ikelifetime=8h
    lifetime=8h
    auto={auto}
"""

    def client_process(self):
        """The process at the first end that carries packets."""
        for process in run("ip", "netns", "pids", self.ends[0]).split():
            with open(f"/proc/{process}/comm") as comm:
                if comm.read().strip() in ("charon", "vpnd"):
                    return process
        raise Failed("the client has ended")


class VpndToStrongSwan(StrongSwan):
    """vpnd, the whole program, at the first end; strongSwan as the gateway at the second."""

    def __init__(self, lab, name, vpnd, suite):
        super().__init__(lab, name, OPENSSL_FIRST, suite)
        self.vpnd = vpnd

    def up(self):
        self.psk = base64.b64encode(os.urandom(24)).decode()
        self.address_inside(1)
        self.address_inside(2)
        self.charon(2, "add")
        config = os.path.join(self.lab.directory.name, f"{self.name}.toml")
        with open(config, "w") as file:
            file.write(
                f"""
[gateway]
address = "192.0.2.2"
subnets = ["10.9.2.0/24"]
psk_env = "VPND_PSK"

[local]
id = "192.0.2.1"
address = "10.9.1.1"
subnets = ["10.9.1.0/24"]

[ike]
version = 2
proposals = ["aes256-sha256-ecp256"]

[esp]
proposals = ["{self.suite}"]
"""
            )
        self.log = self.lab.log(f"{self.name}.log")
        self.lab.start(
            self.ends[0], self.vpnd, "up", "--config", config, "--wait", 10,
            env=os.environ | {"VPND_PSK": self.psk}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )


class WireGuard(Pair):
    """A userspace WireGuard at both ends: a program that makes the device `wg0` and is configured through its socket."""

    def __init__(self, lab, name, *program):
        super().__init__(lab, name)
        self.program = program

    def up(self):
        for tool in (self.program[0], "wg"):
            if not shutil.which(tool):
                raise Failed(f"{tool} is not installed")
        keys = [run("wg", "genkey") for _ in self.ends]
        public = [run("wg", "pubkey", input=key).strip() for key in keys]
        for number, namespace in enumerate(self.ends, 1):
            shell = ["unshare", "--mount", "sh", "-c", OWN_RUN, "sh", *self.program]
            log = self.lab.log(f"{self.name}-{number}.log")
            process = self.lab.start(namespace, *shell, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            inside = ["nsenter", "--target", str(process.pid), "--net", "--mount"]
            wait_until(10, lambda: self.answers_wg(process, inside, log), f"end {number}")
            config = (
                f"[Interface]\nPrivateKey = {keys[number - 1]}ListenPort = 51820\n[Peer]\nPublicKey = {public[2 - number]}\n"
                f"Endpoint = 192.0.2.{3 - number}:51820\nAllowedIPs = 10.9.{3 - number}.0/24\n"
            )
            run(*inside, "wg", "setconf", "wg0", "/dev/stdin", input=config)
        self.address_ends("wg0")

    def answers_wg(self, process, inside, log):
        if process.poll() is not None:
            log.seek(0)
            raise Failed(f"{self.program[0]} ended: {log.read().strip()[-200:]}")
        return subprocess.run([*inside, "wg", "show", "wg0"], capture_output=True).returncode == 0
