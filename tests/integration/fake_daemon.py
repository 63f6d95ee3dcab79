#!/usr/bin/env python3
"""Stands in for a daemon where the stack's own machinery is under test: listens on its ports, writes its ready file."""
import os
import re
import signal
import socket
import sys

path = sys.argv[sys.argv.index("--config") + 1]
with open(path, encoding="utf-8") as f:
    text = f.read()
name = os.path.basename(path)[:-5]
broken = os.environ.get("FAKE_BROKEN", "")
if "--check" in sys.argv:
    if broken == f"{name}:config":
        print(f"{path}:1: x: expected a fake", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
if broken == f"{name}:start":
    print('{"level":"error","msg":"cannot start","error":"no fake today"}', file=sys.stderr)
    sys.exit(1)
listeners = [socket.create_server(("127.0.0.1", int(p)), backlog=64) for p in re.findall(r"[pP]ort: (\d+)$", text, re.M)
             if not re.search(rf"host: 127.0.0.1\n +port: {p}\n +username", text)]
ready = re.search(r"readyFile: (.*)", text).group(1)
signal.signal(signal.SIGTERM, lambda *_: (os.unlink(ready), sys.exit(0)))
print(f"fake {name} serves", file=sys.stderr, flush=True)
with open(ready, "w", encoding="utf-8") as f:
    f.write("{}\n")
while True:
    signal.pause()
