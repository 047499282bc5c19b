# Connects to a Unix socket as another user where asked to; says what it reads.
import os
import socket
import sys

path, uid = sys.argv[1], int(sys.argv[2])
if uid:
    os.setgid(uid)
    os.setuid(uid)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(path)
    print("read", len(client.recv(16)), flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
