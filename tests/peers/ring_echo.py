"""Reads records from the first ring of a segment and writes them to the second.

ring_echo.py <name> <count>

Shared words go through memoryview.cast("i"): one load or store of 4 bytes each,
where struct.pack_into may write byte by byte. Python has no fences, so this
relies on a processor that keeps the order of stores, as x86-64 does.
"""

import mmap
import os
import struct
import sys
import time

name, count = sys.argv[1], int(sys.argv[2])
with open("/dev/shm/" + name.lstrip("/"), "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
view = memoryview(memory)

magic, version, length, header_length = struct.unpack_from("<IIQI", memory, 0)
assert (magic, version, length, header_length) == (0x4D534C53, 1, len(memory), 128)


def start_time():
    with open("/proc/self/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def signed(number):
    return (number + 2**31) % 2**32 - 2**31


class Ring:
    def __init__(self, offset):
        base = 128 + offset
        magic, version, self.capacity, longest = struct.unpack_from("<IIII", memory, base)
        assert (magic, version) == (0x47524C53, 1)
        assert self.capacity & (self.capacity - 1) == 0 and longest == self.capacity // 2 - 16
        data = base + 512
        self.header = view[base:data].cast("i")
        self.bytes = view[data : data + self.capacity]
        self.words = self.bytes.cast("i")
        self.head = self.tail = self.published = self.header[64] % 2**32

    def claim(self, word):
        assert self.header[word] == 0
        self.header[word + 2] = signed(start_time())
        self.header[word] = os.getpid()
        self.header[word + 1] = 1

    def release(self, word):
        self.header[word + 1] = 2
        self.header[word] = 0

    def publish(self):
        self.published = self.tail
        self.header[64] = signed(self.tail)

    def read(self):
        while True:
            at = self.tail & (self.capacity - 1)
            word = self.words[at >> 2]
            if word == 0:
                if self.published != self.tail:
                    self.publish()
                return None
            if word > 0:
                break
            self.tail = (self.tail - word) % 2**32
        record = bytes(self.bytes[at + 8 : at + word])
        self.tail = (self.tail + (word + 7 & ~7)) % 2**32
        if (self.tail - self.published) % 2**32 >= self.capacity // 4:
            self.publish()
        return record

    def write(self, record):
        size = len(record) + 15 & ~7
        at = self.head & (self.capacity - 1)
        pad = self.capacity - at if self.capacity - at < size else 0
        if size + pad + 8 > self.capacity - (self.head - self.tail) % 2**32:
            self.tail = self.header[64] % 2**32
            if size + pad + 8 > self.capacity - (self.head - self.tail) % 2**32:
                return False
        start = at if pad == 0 else 0
        self.bytes[start + 8 : start + 8 + len(record)] = record
        self.head = (self.head + pad + size) % 2**32
        self.words[(self.head & (self.capacity - 1)) >> 2] = 0
        self.words[start >> 2] = len(record) + 8
        if pad:
            self.words[at >> 2] = -pad
        return True


source = Ring(0)
target = Ring(512 + source.capacity)
source.claim(8)
target.claim(4)
for _ in range(count):
    while (record := source.read()) is None:
        time.sleep(0)
    while not target.write(record):
        time.sleep(0)
source.publish()
source.release(8)
target.release(4)
