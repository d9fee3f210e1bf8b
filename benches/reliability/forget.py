"""Empties the connection tracking table of its network namespace, as `conntrack -F` does: one message to nfnetlink."""

import socket
import struct

NETLINK_NETFILTER, CTNETLINK, DELETE = 12, 1, 2
REQUEST, ACK = 1, 4

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    kernel.send(struct.pack("=IHHII", 16 + len(body), CTNETLINK << 8 | DELETE, REQUEST | ACK, 1, 0) + body)
    [error] = struct.unpack_from("=i", kernel.recv(4096), 16)
    if error:
        raise SystemExit(f"nfnetlink: error {-error}")
