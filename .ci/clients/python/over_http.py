"""What the Python clients over HTTP share: a server at the tutorial's address, and the tutorial's way to watch a task."""

import asyncio
import os
import socket
import subprocess
import time

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from harness import ALLOW, BIN, Home, TutorialClient


def free_address(*ports):
    """The first of these that is free."""
    for port in ports:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{s.getsockname()[1]}"
    raise AssertionError("no free port")


class Server:
    """durabled run --http in a state folder of its own, at the tutorial's address where that is free; or anywhere."""

    def __init__(self, checks, name, *flags, anywhere=False):
        self.checks = checks
        self.home, self.address = Home(name, ALLOW), free_address(*([0] if anywhere else [8080, 0]))
        self.log = open(self.home.path("run.log"), "w+")
        self.process = subprocess.Popen(
            [BIN / "durabled", "run", "--http", self.address, *flags],
            env=os.environ | self.home.env, stdin=subprocess.DEVNULL, stderr=self.log, stdout=self.log)

    async def ready(self):
        def serves():
            assert self.process.poll() is None, self.said()
            return f"address={self.address}" in self.said()
        await self.checks.until("the server", serves, 60)

    def said(self):
        with open(self.home.path("run.log")) as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        self.checks.equal("the server's exit status: " + self.said(), self.process.wait(60), 0)


def connect(server, logs, auth=None):
    async def log(message):
        logs.append((message.level, message.data))

    transport = StreamableHttpTransport(url=f"http://{server.address}/mcp")
    return Client(transport, log_handler=log, **({"auth": auth} if auth else {}))


def info(text):
    return "info", {"msg": text, "extra": None}


async def poll(checks, client, uri, seconds):
    """The tutorial's way to watch: once a second, a line when the progress has changed. Returns the
    lines, and how the task ended, if it did."""
    tutorial, lines, last = TutorialClient(client), [], -1
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = await tutorial.read(uri)
        checks.equal("no error", status["error"], None)
        if status["progress"] != last:
            last = status["progress"]
            filled = int(20 * last / 100)
            lines.append(f"[{'█' * filled}{'░' * (20 - filled)}] {last:5.1f}% | {status['status'].upper()} | {status['message']}")
        if status["status"] in ("completed", "failed", "cancelled"):
            return lines, status
        await asyncio.sleep(1)
    return lines, None
