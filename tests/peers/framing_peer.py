"""Echoes frames with a 4-byte big-endian length: socket and struct only.

usage: framing_peer.py PATH MODE
  echo      sends every frame back, reversed, in pieces of 1 to 7 bytes
  truncate  sends a length of 40 with 12 bytes, then kills itself
  lines     answers each line of JSON with its upper case
"""

import os
import signal
import socket
import struct
import sys


def read_exactly(conn, count):
    data = b""
    while len(data) < count:
        piece = conn.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def echo(conn):
    piece = 1
    while (header := read_exactly(conn, 4)) is not None:
        (length,) = struct.unpack(">I", header)
        payload = read_exactly(conn, length)
        frame = struct.pack(">I", length) + payload[::-1]
        if length > 1000:
            conn.sendall(frame)
            continue
        for at in range(0, len(frame), piece):
            conn.send(frame[at : at + piece])
        piece = piece % 7 + 1


def truncate(conn):
    conn.sendall(struct.pack(">I", 40) + b"x" * 12)
    read_exactly(conn, 5)  # unread bytes would turn the end into a reset
    os.kill(os.getpid(), signal.SIGKILL)


def lines(conn):
    with conn.makefile("rwb") as stream:
        for line in stream:
            stream.write(line.decode().upper().encode())
            stream.flush()


with socket.socket(socket.AF_UNIX) as conn:
    conn.connect(sys.argv[1])
    {"echo": echo, "truncate": truncate, "lines": lines}[sys.argv[2]](conn)
