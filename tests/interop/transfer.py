"""Moves bytes over TCP, checks them, and says how fast it was.

  transfer.py serve ADDRESS             prints its port, serves until it is ended
  transfer.py get ADDRESS PORT BYTES    receives BYTES
  transfer.py put ADDRESS PORT BYTES    sends BYTES

What is moved repeats MARKER, which a capture can be searched for.
"""

import hashlib
import signal
import socket
import sys
import time

MARKER = b"this must never be seen in clear; "
BLOCK = (MARKER * (1 << 13))[: 1 << 18]
PATIENCE = 120


def send(connection, length):
    digest = hashlib.sha256()
    while length > 0:
        part = BLOCK[:length]
        digest.update(part)
        connection.sendall(part)
        length -= len(part)
    return digest.hexdigest()


def receive(connection, length):
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


def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            verb, length = receive_line(connection)
            digest = (send if verb == "get" else receive)(connection, int(length))
            connection.sendall(f"{digest}\n".encode())


def move(verb, address, port, length):
    with socket.create_connection((address, port), timeout=PATIENCE) as connection:
        connection.sendall(f"{verb} {length}\n".encode())
        started = time.monotonic()
        digest = (receive if verb == "get" else send)(connection, length)
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
    case ["get" | "put" as verb, address, port, length]:
        move(verb, address, int(port), int(length))
    case _:
        raise SystemExit(__doc__)
