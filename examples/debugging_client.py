# The client of debugging.ts, with a bug in one line.
import json
import socket
import struct
import sys

sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
payload = json.dumps({"id": 1}).encode()
sock.sendall(struct.pack(">I", len(payload) + 4) + payload)
try:
    print("the client:", sock.recv(100))
except OSError as error:
    print("the client:", error)
