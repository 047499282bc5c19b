"""The worker of examples/exec_worker.ts, with nothing but the standard library.

A frame is a 4-byte big-endian length and that many bytes, here of JSON. Stdout
belongs to the frames: what a person should read goes to stderr.
"""

import json
import statistics
import struct
import sys

source, target = sys.stdin.buffer, sys.stdout.buffer

while header := source.read(4):
    request = json.loads(source.read(struct.unpack(">I", header)[0]))
    print("worker: request", request["id"], file=sys.stderr)
    try:
        answer = {"id": request["id"], "mean": statistics.mean(request["values"])}
    except statistics.StatisticsError as error:
        answer = {"id": request["id"], "error": str(error)}
    payload = json.dumps(answer).encode()
    target.write(struct.pack(">I", len(payload)) + payload)
    target.flush()
