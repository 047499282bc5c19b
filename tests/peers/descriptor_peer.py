# The other side of tests/descriptor_test.ts, with Python's own socket module.
import os, socket, sys

role, path, *rest = sys.argv[1:]
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)
if role == "receive":
    data, fds, _, _ = socket.recv_fds(peer, 1024, 10)
    print(data.decode(), len(fds), flush=True)
    print(*(os.pread(fd, 100, 0).decode() for fd in fds), flush=True)
elif role == "send":
    # The descriptors of the files that are named, with a message.
    fds = [os.open(name, os.O_RDWR) for name in rest]
    socket.send_fds(peer, [b"from python"], fds)
    print("sent", flush=True)
    peer.recv(1)
elif role == "many":
    fds = [os.open("/dev/null", os.O_RDWR)] * int(rest[0])
    socket.send_fds(peer, [b"many"], fds)
    peer.sendall(b"after")
    peer.recv(1)
