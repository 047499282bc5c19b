"""A peer of examples/rpc_python.ts: calls it, and is called by it.

Frames have a 4-byte big-endian length; docs/wire.md describes the rest.
"""

import socket
import struct
import sys

import msgpack

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rb")


def send(message):
    payload = msgpack.packb(message)
    connection.sendall(struct.pack(">I", len(payload)) + payload)


def receive():
    (length,) = struct.unpack(">I", stream.read(4))
    return msgpack.unpackb(stream.read(length))


def call(number, method, *params):
    send([0, number, method, params])
    while True:
        message = receive()
        if message[0] == 1 and message[1] == number:
            return message[3]
        if message[0] == 0 and message[2] == "shout":
            send([1, message[1], None, message[3][0].upper()])


print("1 + 2 =", call(1, "add", 1, 2))
print(call(2, "greet", "Python"))
