"""A worker of examples/exec_supervisor.ts: JSON-RPC 2.0, one message a line.

Stdout belongs to the messages: what a person should read goes to stderr.
"""

import json
import sys
import time


def square(n):
    time.sleep(0.02)
    return n * n


methods = {"square": square}

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue  # a notification
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    try:
        answer["result"] = methods[message["method"]](*message["params"])
    except KeyError as error:
        answer["error"] = {"code": -32601, "message": f"no method {error}"}
    except Exception as error:
        answer["error"] = {"code": -32000, "message": str(error)}
    print(json.dumps(answer), flush=True)
