"""Asks the resolver on 127.0.0.11 for TXT records over UDP and prints, for each name: code, answers, bytes, last bytes."""

import socket
import struct
import sys

for name in sys.argv[1:]:
    labels = b''.join(bytes([len(part)]) + part.encode() for part in name.split('.'))
    option = b'\0' + struct.pack('>HHIH', 41, 65535, 0, 0)
    query = struct.pack('>6H', 4660, 0x100, 1, 0, 0, 1) + labels + b'\0' + struct.pack('>HH', 16, 1) + option
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(30)
    client.sendto(query, ('127.0.0.11', 53))
    reply = client.recv(65535)
    _, flags, _, answers, _, _ = struct.unpack('>6H', reply[:12])
    print(name, flags & 15, answers, len(reply), reply[-6:])
