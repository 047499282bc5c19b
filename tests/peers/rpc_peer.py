"""A peer with nothing but socket and msgpack: calls, serves, then prints.

MessagePack-RPC in frames with a 4-byte big-endian length.
"""

import socket
import struct
import sys

import msgpack


def receive_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            sys.exit("the peer ended inside of a frame")
        data += part
    return data


def send(connection, message):
    payload = msgpack.packb(message)
    connection.sendall(struct.pack(">I", len(payload)) + payload)


def receive(connection):
    (length,) = struct.unpack(">I", receive_exactly(connection, 4))
    return msgpack.unpackb(receive_exactly(connection, length), timestamp=3)


connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])

send(connection, [0, 1, "add", [1, 2]])
send(connection, [0, 2, "echo", [b"\x00\xff"]])
send(connection, [0, 3, "fail", []])
send(connection, [2, "note", ["from Python"]])
send(connection, [0, 4, "ask", []])  # it calls us back before it answers

answers = {}
while len(answers) < 4:
    message = receive(connection)
    if message[0] == 0:
        _, call, method, params = message
        if method == "double":
            send(connection, [1, call, None, params[0] * 2])
        else:
            send(connection, [1, call, "no such method: " + method, None])
    elif message[0] == 1:
        answers[message[1]] = message[2:]

assert answers[1] == [None, 3], answers
assert answers[2] == [None, b"\x00\xff"], answers
error = answers[3][0]
assert error["code"] == "handler-error", error
assert error["name"] == "RangeError" and error["message"] == "Too far", error
assert answers[4] == [None, 42], answers
print("python is content")
