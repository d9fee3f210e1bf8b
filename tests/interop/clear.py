"""Sends to every address given, all the time, whatever the host says to it; one line when it has begun.

clear.py MARKER DEVICE ADDRESS...

Each address gets datagrams by the routes, and past them by a socket that is bound to the device; "-" for no such socket.
"""

import ipaddress
import socket
import sys
import time

marker, device = sys.argv[1].encode(), sys.argv[2].encode()
sockets = []
for text in sys.argv[3:]:
    family = socket.AF_INET if ipaddress.ip_address(text).version == 4 else socket.AF_INET6
    for bound in [None] if device == b"-" else [None, device]:
        sender = socket.socket(family, socket.SOCK_DGRAM)
        if bound:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bound)
        sockets.append((sender, (text, 9)))
print("sending", flush=True)
while True:
    for sender, to in sockets:
        try:
            sender.sendto(marker, to)
        except OSError:
            pass
    time.sleep(0.005)
