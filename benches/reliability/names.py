"""A name server for a lab: answers questions for A from a file of lines "NAME ADDRESS", which it reads each time.

names.py ADDRESS FILE
"""

import socket
import struct
import sys

A, IN, RESPONSE, NO_SUCH_NAME = 1, 1, 0x8580, 3
[address, file] = sys.argv[1:]


def question(message):
    """The name, its type, and where the question ends."""
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), struct.unpack_from("!H", message, at + 1)[0], at + 5


def answer(message):
    name, kind, end = question(message)
    with open(file) as zone:
        addresses = [words[1] for words in map(str.split, zone) if words and words[0] == name]
    records = [struct.pack("!HHHIH", 0xC00C, A, IN, 0, 4) + socket.inet_aton(address) for address in addresses]
    records = records if kind == A else []
    flags = RESPONSE | (0 if addresses else NO_SUCH_NAME)
    return message[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + message[12:end] + b"".join(records)


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((address, 53))
    while True:
        message, client = server.recvfrom(512)
        try:
            server.sendto(answer(message), client)
        except (IndexError, UnicodeDecodeError, struct.error):
            continue
