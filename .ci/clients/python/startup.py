"""How fast durable-mcp answers initialize from its exec on, and how much memory it holds then.

The figures are printed, not judged: machines differ. What is judged is that the answers are right and that
no handshake starts a daemon.
"""

import json
import subprocess
import time

from harness import MCP, SMALL, Checks, Home

RUNS = 50
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "startup", "version": "1"}}}).encode() + b"\n"
START = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "start_data_migration"}}

checks = Checks("startup")
home = Home("s")


class Proxy:
    """A durable-mcp that has just answered initialize."""

    def __init__(self):
        begun = time.perf_counter()
        self.process = subprocess.Popen([MCP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                        env=home.env, cwd=home.dir, close_fds=False)
        self.process.stdin.write(INITIALIZE)
        line = self.line()
        self.milliseconds = (time.perf_counter() - begun) * 1000
        checks.equal("answer", (line["id"], line["result"]["serverInfo"]["name"]), (1, "durable"))

    def line(self):
        return json.loads(self.process.stdout.readline())

    def memory(self):
        """Returns what it holds in memory, in MB: all, and without what it shares with the file."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            kb = {k: v for k, v in (line.split(":", 1) for line in f)}
        return [int(kb[k].split()[0]) / 1024 for k in ("VmRSS", "RssAnon")]

    def leave(self):
        self.process.stdin.close()
        checks.equal("exit status at the end of stdin", self.process.wait(timeout=60), 0)


def measure(daemon):
    times, memory = [], []
    for _ in range(RUNS):
        proxy = Proxy()
        times.append(proxy.milliseconds)
        memory.append(proxy.memory())
        proxy.leave()
    times.sort()
    rss, anonymous = (max(m[i] for m in memory) for i in (0, 1))
    print(f"     daemon {daemon}: exec to initialize answered, {RUNS} runs: p50 {times[RUNS // 2]:.1f} ms, "
          f"p90 {times[RUNS * 9 // 10]:.1f} ms, max {times[-1]:.1f} ms; RSS after it at most {rss:.1f} MB, {anonymous:.1f} MB of it anonymous")


measure("down")
checks.equal("daemon after handshakes", home.daemon(), 0)
proxy = Proxy()
START["params"]["arguments"] = {"source_path": str(SMALL), "destination_path": home.path("out.csv")}
proxy.process.stdin.write(json.dumps(START).encode() + b"\n")
while (line := proxy.line()).get("id") != 2:
    checks.equal("what comes before the answer", line["method"], "notifications/message")
checks.equal("a tool call", line["result"].get("isError", False), False)
proxy.leave()
checks.true("daemon after a tool call", home.daemon())
measure("up")
home.shut_down(checks)
checks.done("every handshake is answered, none starts a daemon (wanted: p50 under 20 ms, RSS under 15 MB)")
