"""Started by shm_python.ts. Only the standard library; for x86-64, see below.

Words that both sides use are read and written through memoryview.cast: one
access of 4 bytes each. Python has no memory fences, so this relies on a
processor that keeps the order of stores and of loads, as x86-64 does. Offsets
are those of docs/shm-layout.md.
"""

import mmap
import os
import struct
import sys
import time

with open("/dev/shm/" + sys.argv[1], "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)

magic, version, length, header = struct.unpack_from("<IIQI", memory, 0)
if (magic, version, length, header) != (0x4D534C53, 1, len(memory), 128):
    sys.exit("not a segment of Sluice")


def start_time(pid="self"):
    """Field 22 of stat tells a process from a later one; None for a dead one."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Ring:
    PRODUCER, CONSUMER, TAIL = 4, 8, 64  # words of the header

    def __init__(self, offset):
        base = 128 + offset
        magic, version, self.capacity, _ = struct.unpack_from("<IIII", memory, base)
        if (magic, version) != (0x47524C53, 1):
            sys.exit("not a ring")
        self.header = memoryview(memory)[base : base + 512].cast("I")
        self.data = memoryview(memory)[base + 512 : base + 512 + self.capacity]
        self.words = self.data.cast("i")
        self.position = self.tail = self.header[self.TAIL]

    def claim(self, side):
        pid, start = self.header[side], start_time()
        if pid != 0:
            sys.exit(f"process {pid} has this side")
        self.header[side] = os.getpid()
        self.header[side + 2] = start & 0xFFFFFFFF
        self.header[side + 3] = start >> 32
        self.header[side + 1] = 1  # open

    def is_held(self, side):
        """Whether the process that has this side still runs."""
        pid, low, high = self.header[side], *self.header[side + 2 : side + 4]
        start = start_time(pid) if pid != 0 else None
        return start is not None and (low == 0 or start == high << 32 | low)

    def release(self, side):
        self.header[side + 1] = 2  # ended in order
        self.header[side] = 0

    def read(self):
        """The next record, or None where there is none yet."""
        at = self.position % self.capacity
        word = self.words[at // 4]
        if word < 0:  # padding up to the ring's end
            self.position = (self.position - word) % 2**32
            at, word = 0, self.words[0]
        if word == 0:
            return None
        record = bytes(self.data[at + 8 : at + word])
        self.position = (self.position + (word + 7 & ~7)) % 2**32
        self.header[self.TAIL] = self.position
        return record

    def write(self, record):
        """Whether there was room."""
        size = len(record) + 15 & ~7
        at = self.position % self.capacity
        pad = self.capacity - at if self.capacity - at < size else 0
        used = (self.position - self.header[self.TAIL]) % 2**32
        if size + pad + 8 > self.capacity - used:
            return False
        start = 0 if pad else at
        self.data[start + 8 : start + 8 + len(record)] = record
        self.position = (self.position + pad + size) % 2**32
        self.words[self.position % self.capacity // 4] = 0  # the next one's word
        self.words[start // 4] = len(record) + 8
        if pad:
            self.words[at // 4] = -pad  # the commit is the last store
        return True


requests = Ring(0)
answers = Ring(512 + requests.capacity)
requests.claim(Ring.CONSUMER)
answers.claim(Ring.PRODUCER)


def wait():
    """A moment. No ring tells that a process was killed: so look for it."""
    time.sleep(0.001)
    ended = requests.header[Ring.PRODUCER + 1] == 2
    if not ended and not requests.is_held(Ring.PRODUCER):
        os.unlink("/dev/shm/" + sys.argv[1])  # its maker can't any more
        sys.exit("the other side died")


while True:
    ended = requests.header[Ring.PRODUCER + 1] == 2
    record = requests.read()
    if record is not None:
        while not answers.write(record[::-1].upper()):
            wait()
    elif ended:
        break
    else:
        wait()
requests.release(Ring.CONSUMER)
answers.release(Ring.PRODUCER)
