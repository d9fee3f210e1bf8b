"""Asks a running vpnd for everything, and ends without taking it over: dying.py SOCKET MOMENT"""
import array
import json
import os
import socket
import sys

path, moment = sys.argv[1:]
vpnd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
vpnd.connect(path)
namespace = os.stat("/proc/self/ns/net").st_ino
request = {"version": 1, "handover": {"process": os.getpid(), "format": 1, "namespace": namespace}}
vpnd.sendall(json.dumps(request).encode() + b"\n")
if moment == "asked":
    # It may be answered into a connection that is gone, or later.
    print(moment)
    sys.exit()
octets, ancillary, _, _ = vpnd.recvmsg(1, socket.CMSG_SPACE(8 * 4))
numbers = array.array("i")
for _, _, data in ancillary:
    numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])


def line(begun=b""):
    while not begun.endswith(b"\n"):
        begun += vpnd.recv(1)
    return json.loads(begun)


header = line(octets)
assert len(numbers) == len(header["descriptors"]), header
if moment != "header":
    left = header["octets"]
    text = b""
    while len(text) < left:
        text += vpnd.recv(min(left - len(text), 65536))
    assert "tunnel" in json.loads(text)
if moment == "declined":
    vpnd.sendall(b'{"declined": "no"}\n')
if moment in ("ready", "yours"):
    vpnd.sendall(b'{"ready": true}\n')
if moment == "yours":
    assert line() == {"yours": True}
print(moment)
