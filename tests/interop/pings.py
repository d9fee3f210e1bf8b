"""Sends one ICMP echo request every few milliseconds, on time, and tells what became of each.

  pings.py ADDRESS MILLISECONDS SECONDS [SOURCE]    until then, or until SIGTERM

Prints "sent N, answered N, lost N" at the end, and before it how many answers came twice, when the lost ones were sent and how long it took from the last answered
one before the longest outage to the first one after it.
"""

import os
import select
import signal
import socket
import struct
import sys
import time

# An answer that comes later than this is lost.
PATIENCE = 2.0
ECHO_REQUEST, ECHO_REPLY = 8, 0


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def request(identifier, number):
    # The number is 32 bits wide in the data: the sequence field alone would wrap.
    rest = struct.pack("!HHI", identifier, number & 0xFFFF, number) + b"vpnd" * 12
    head = struct.pack("!BB", ECHO_REQUEST, 0)
    return head + struct.pack("!H", checksum(head + b"\0\0" + rest)) + rest


class Pings:
    def __init__(self, address, interval, source=""):
        self.address, self.interval = address, interval
        self.identifier = os.getpid() & 0xFFFF
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.setblocking(False)
        self.socket.bind((source, 0))
        self.sent_at, self.answered, self.errors = [], set(), {}
        self.duplicated = 0
        self.stopped = False

    def stop(self, *_):
        self.stopped = True

    def send(self):
        number = len(self.sent_at)
        self.sent_at.append(time.monotonic())
        try:
            self.socket.sendto(request(self.identifier, number), (self.address, 0))
        except OSError as error:
            self.errors[number] = error.strerror

    def receive(self, until):
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                continue
            message = packet[(packet[0] & 15) * 4 :]
            kind, _, _, identifier, _, number = struct.unpack_from("!BBHHHI", message)
            if (kind, identifier) == (ECHO_REPLY, self.identifier):
                self.duplicated += number in self.answered
                self.answered.add(number)

    def run(self, seconds):
        started = time.monotonic()
        while not self.stopped and (due := len(self.sent_at) * self.interval) < seconds:
            self.receive(started + due)
            self.send()
        until = time.monotonic() + PATIENCE
        while len(self.answered) < len(self.sent_at) - len(self.errors) and time.monotonic() < until:
            self.receive(min(until, time.monotonic() + 0.05))
        lost = [number for number in range(len(self.sent_at)) if number not in self.answered]
        for number in lost[:100]:
            reason = self.errors.get(number, "no answer")
            wall_clock = time.time() - (time.monotonic() - self.sent_at[number])
            moment = time.strftime("%H:%M:%S", time.localtime(wall_clock)) + f".{int(wall_clock % 1 * 1000):03}"
            print(f"number {number}, sent at {moment}: {reason}")
        outage, before = 0.0, None
        for number in [*sorted(self.answered), *lost[-1:]]:
            if before is not None and number > before + 1:
                outage = max(outage, self.sent_at[number] - self.sent_at[before])
            before = number
        print(f"longest outage {outage * 1000:.0f} ms")
        print(f"duplicated {self.duplicated}")
        print(f"sent {len(self.sent_at)}, answered {len(self.answered)}, lost {len(lost)}", flush=True)


match sys.argv[1:]:
    case [address, milliseconds, seconds, *source]:
        pings = Pings(address, float(milliseconds) / 1000, *source)
        signal.signal(signal.SIGTERM, pings.stop)
        pings.run(float(seconds))
    case _:
        raise SystemExit(__doc__)
