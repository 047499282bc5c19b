# Asks frames_server.ts for sums, with nothing but the standard library.
import json
import socket
import struct
import sys


def send(peer, message):
    payload = json.dumps(message).encode()
    peer.sendall(struct.pack(">I", len(payload)) + payload)


def read_exactly(peer, count):
    data = b""
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise EOFError(f"the stream ended after {len(data)} of {count} bytes")
        data += piece
    return data


def receive(peer):
    (length,) = struct.unpack(">I", read_exactly(peer, 4))
    return json.loads(read_exactly(peer, length))


path = sys.argv[1] if len(sys.argv) > 1 else "/tmp/sluice-frames.sock"
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(path)
    for numbers in ([1, 2, 3], list(range(1000))):
        send(peer, {"numbers": numbers})
        print(receive(peer)["sum"])
