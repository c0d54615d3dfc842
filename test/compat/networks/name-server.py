"""A name server for tests, UDP only. Its answers are a TXT record with its own name, or what the query's first label says."""

import socket
import struct
import sys

OWN_NAME = sys.argv[1].encode()
FAILURES = {b'servfail': 2, b'nx': 3, b'refused': 5}


def answer(query):
    """The reply to a query of one question, or None to keep silent."""
    ident, _, _, _, _, additional = struct.unpack('>6H', query[:12])
    end = query.index(b'\0', 12) + 5
    label = query[13:13 + query[12]]
    fails_here = OWN_NAME == b'first'
    if fails_here and label == b'silent':
        return None
    if fails_here and label in FAILURES:
        return struct.pack('>6H', ident, 0x8180 | FAILURES[label], 1, 0, 0, 0) + query[12:end]
    text = b'x' * 250 if label == b'large' else OWN_NAME
    count = 20 if label == b'large' and additional else 1
    record = struct.pack('>HHHIHB', 0xC00C, 16, 1, 60, len(text) + 1, len(text)) + text
    return struct.pack('>6H', ident, 0x8180, 1, count, 0, 0) + query[12:end] + record * count


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('0.0.0.0', 53))
print('ready', flush=True)
while True:
    query, client = server.recvfrom(65535)
    reply = answer(query)
    if reply is not None:
        server.sendto(reply, client)
