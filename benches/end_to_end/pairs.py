"""What is compared: each class makes a tunnel of a pair of namespaces."""

import os
import subprocess

from lab import MTU, Failed, Pair


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
                raise Failed(f"{self.name}: end {number} did not start")
            self.planes.append(plane)
        self.address_ends("t0")

    def down(self):
        """Ends both and gives what they counted."""
        return [plane.communicate(timeout=10)[0].strip() for plane in self.planes]
