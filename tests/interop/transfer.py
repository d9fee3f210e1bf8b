"""Moves bytes over TCP, checks them, and says how fast it was.

  transfer.py serve ADDRESS             prints its port, serves until it is ended
  transfer.py get ADDRESS PORT BYTES [RATE]    receives BYTES
  transfer.py put ADDRESS PORT BYTES [RATE]    sends BYTES

RATE is in bytes a second; without it, as fast as it goes.
What is moved repeats MARKER, which a capture can be searched for.
"""

import hashlib
import signal
import socket
import sys
import threading
import time

MARKER = b"this must never be seen in clear; "
BLOCK = (MARKER * (1 << 13))[: 1 << 18]
PATIENCE = 120
# socket(7); Python does not name it.
SO_MAX_PACING_RATE = 47


def send(connection, length, rate):
    if rate:
        connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
    digest = hashlib.sha256()
    while length > 0:
        part = BLOCK[:length]
        digest.update(part)
        connection.sendall(part)
        length -= len(part)
    return digest.hexdigest()


def receive(connection, length, _):
    digest = hashlib.sha256()
    while length > 0:
        part = connection.recv(min(length, 1 << 18))
        if not part:
            raise SystemExit(f"transfer: the connection ended {length} bytes early")
        digest.update(part)
        length -= len(part)
    return digest.hexdigest()


def receive_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise SystemExit("transfer: the connection ended early")
        line += byte
    return line.decode().split()


def answer(connection):
    with connection:
        verb, length, rate = receive_line(connection)
        digest = (send if verb == "get" else receive)(connection, int(length), int(rate))
        connection.sendall(f"{digest}\n".encode())


def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=[connection], daemon=True).start()


def move(verb, address, port, length, rate):
    with socket.create_connection((address, port), timeout=PATIENCE) as connection:
        connection.sendall(f"{verb} {length} {rate}\n".encode())
        started = time.monotonic()
        digest = (receive if verb == "get" else send)(connection, length, rate)
        [theirs] = receive_line(connection)
        seconds = time.monotonic() - started
    if theirs != digest:
        raise SystemExit("transfer: what arrived is not what was sent")
    print(
        f"{verb} {length / 1e6:.0f} MB in {seconds:.2f} s, "
        f"{length * 8 / 1e6 / seconds:.0f} Mbit/s, SHA-256 {digest[:16]}"
    )


signal.alarm(PATIENCE)
match sys.argv[1:]:
    case ["serve", address]:
        serve(address)
    case ["get" | "put" as verb, address, port, length, *rate] if len(rate) <= 1:
        move(verb, address, int(port), int(length), int(rate[0]) if rate else 0)
    case _:
        raise SystemExit(__doc__)
