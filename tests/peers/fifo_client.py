# A client of a `fifo:` address that knows only docs/fifo.md: it sends a line and
# prints what comes back.  python3 fifo_client.py <path> [killed]

import os
import select
import signal
import sys

path = sys.argv[1]
listener = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
token = os.urandom(8).hex()
up, down = f"{path}.{token}.up", f"{path}.{token}.down"
os.mkfifo(up, 0o600)
os.mkfifo(down, 0o600)
reader = os.open(down, os.O_RDONLY | os.O_NONBLOCK)
keeper = os.open(up, os.O_RDONLY | os.O_NONBLOCK)
writer = os.open(up, os.O_WRONLY)
if sys.argv[2:] == ["killed"]:
    os.kill(os.getpid(), signal.SIGKILL)
os.write(listener, f"\n{token}\n".encode())
if sys.argv[2:] == ["killed later"]:
    os.kill(os.getpid(), signal.SIGKILL)

wait = select.poll()
wait.register(reader, select.POLLIN)
wait.register(listener, 0)  # tells of an error alone: the listener is gone
if reader not in dict(wait.poll(10_000)):
    sys.exit("The listener does not answer")
os.set_blocking(reader, True)
assert os.read(reader, 1) == b"\x01"
os.close(keeper)
os.write(writer, b"hello from Python\n")
os.close(writer)
with os.fdopen(reader) as replies:
    sys.stdout.write(replies.read())
