# Starts a program as systemd does: listeners from descriptor 3 on.
# activator.py NAMES PID KIND[:PATH]... -- COMMAND...
import os, socket, sys

end = sys.argv.index("--")
names, pid, *kinds = sys.argv[1:end]
opened = []
for kind in kinds:
    if kind == "tcp":
        s = socket.create_server(("127.0.0.1", 0))
        print(s.getsockname()[1], flush=True)
    elif kind.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(kind[5:])
        s.listen(16)
    elif kind == "udp":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elif kind == "file":
        s = open("/dev/null")
    opened.append(s)
high = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate(opened)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
    os.set_inheritable(fd, False)
os.environ["LISTEN_FDS"] = os.environ.get("TEST_COUNT", str(len(opened)))
os.environ["LISTEN_PID"] = str(os.getpid()) if pid == "own" else pid
os.environ["LISTEN_FDNAMES"] = names
os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
