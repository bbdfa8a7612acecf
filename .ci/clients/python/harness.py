"""What the Python clients share: a state folder, data, and checks that end the run when one fails."""

import asyncio
import contextlib
import csv
import http.client
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

BIN = Path(os.environ["DURABLE_BIN"])
DATA = Path(os.environ["DURABLE_DATA"])
MCP = str(BIN / "durable-mcp")

# The files that run makes.
SMALL, SMALL_ROWS = DATA / "small.csv", 1_000
LARGE = DATA / "large.csv"
# What is waited for takes two seconds, on any machine: a few reports come on the way, and one call, which lasts 25 s at most,
# sees the end of it even where everything else takes ten times as long.
WAITED, PACED = 200_000, {"batch_size": 10_000, "rate_limit": 100_000}
CANCELLED = 1_000_000  # these are not through in batches of 10 before they are cancelled

TOOLS = [
    "cancel_task", "get_server_stats", "get_task_output", "get_task_status", "list_tasks", "pause_task", "resume_task",
    "retry_task", "send_task_input", "start_batch_processing", "start_command", "start_data_migration", "start_ml_training",
    "wait_for_task",
]
STATUSES = ["pending", "running", "completed", "failed", "cancelled"]
URI = re.compile(r"task://status/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
# The policy asks a person by default; this is for what is not about that.
ALLOW = '[policy]\ncommands = "allow"\n'
NOBODY = "019a0000-0000-7000-8000-00000000dead"


@contextlib.asynccontextmanager
async def session(client):
    """A session of FastMCP 2's client. When it leaves it closes its own streams first, and then fails if a notification is under way:
    that is no matter of the server's, which may send one at any time."""
    import anyio

    done = False
    try:
        async with client as c:
            yield c
            done = True
    except anyio.BrokenResourceError:
        if not done:
            raise


class Checks:
    """Counts what was checked. The first thing that is not as it should be ends the program."""

    def __init__(self, client):
        self.client, self.count = client, 0

    def expect(self, ok, text):
        if not ok:
            # Said here: a client that is torn down by the exception may well raise another one.
            print(f"FAIL {self.client}: {text}", flush=True)
            raise AssertionError(text)
        self.count += 1

    def equal(self, what, got, want):
        self.expect(got == want, f"{what}:\n got {got!r}\nwant {want!r}")

    def true(self, what, ok, detail=""):
        self.expect(ok, f"{what}: {detail!r}")

    def match(self, what, pattern, text):
        found = re.fullmatch(pattern, text)
        self.expect(found, f"{what}: {text!r} does not match {pattern!r}")
        return found

    async def until(self, what, ready, seconds=60):
        """Waits for what arrives by itself: a notification, the state of a foreign process."""
        deadline = time.monotonic() + seconds
        while not (got := ready()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self.expect(got, f"{what}: not after {seconds} s")
        return got

    def done(self, story):
        print(f"ok   {self.client}: {self.count} checks: {story}", flush=True)


def check_reports(checks, reports, total):
    """Progress as wait_for_task reports it: it counts records, and only ever grows."""
    numbers = [n for n, _, _ in reports]
    checks.true("reports", len(reports) >= 3, reports)
    checks.equal("reports grow", numbers, sorted(set(numbers)))
    checks.equal("the last report", numbers[-1], total)
    for n, of, text in reports:
        if of is None:
            # The job has said nothing yet, or it counts the records.
            checks.match("text before there is a total", rf"running|waits for a free slot|Counted [0-9]+ records in {LARGE.name}", text)
            continue
        checks.equal("total of a report", of, total)
        verified = rf"(, [0-9]+ verified)?" if n == total else ""
        checks.match("text of a report", rf"Migrated {int(n)}/{total} records{verified}", text)


class Home:
    """A state folder of its own, in which no daemon runs yet, with a configuration if it is to have one."""

    def __init__(self, name, config=None):
        self.dir = Path(os.environ["DURABLE_HOMES"]) / name
        self.dir.mkdir(mode=0o700)
        self.env = {"DURABLE_HOME": str(self.dir)}
        if config is not None:
            (self.dir / "config.toml").write_text(config)

    def path(self, name):
        return str(self.dir / name)

    def ctl(self, *args):
        """Runs durablectl and returns its exit status and output."""
        p = subprocess.run(
            [BIN / "durablectl", *args], env=os.environ | self.env,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        return p.returncode, p.stdout + p.stderr

    def api(self, method, path, body=None):
        """Asks the daemon itself, past any MCP, and returns what it answers."""
        c = http.client.HTTPConnection("durable", timeout=30)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(self.path("durable.sock"))
        c.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = c.getresponse()
        got = json.loads(answer.read())
        c.close()
        assert answer.status < 300, got
        return got

    def daemon(self):
        """Returns the daemon's process ID, or 0 if none runs."""
        status, out = self.ctl("status", "--json")
        return json.loads(out)["pid"] if status == 0 else 0

    def shut_down(self, checks):
        status, out = self.ctl("shutdown")
        checks.equal("durablectl shutdown: " + out, status, 0)
        checks.equal("daemon after shutdown", self.daemon(), 0)


def rows(path, limit=None):
    """Returns the records of a CSV file, the header first."""
    with open(path, newline="", encoding="utf-8") as f:
        all_rows = list(csv.reader(f))
    return all_rows if limit is None else all_rows[: limit + 1]


# The tutorial's keys, in its order.
TASK_KEYS = [
    "task_id", "status", "progress", "total", "message",
    "result_data", "error", "created_at", "updated_at", "completed_at",
]
ROW_KEYS = [
    "task_id", "status", "progress", "total", "message",
    "created_at", "updated_at", "completed_at", "has_result", "has_error",
]
RESULT_KEYS = [
    "migrated_records", "total_records", "source_path", "destination_path", "success", "completion_time",
]
STATS_KEYS = {
    "total_tasks", "running_tasks", "completed_tasks", "failed_tasks",
    "cancelled_tasks", "pending_tasks", "active_background_tasks",
}


class TutorialClient:
    """Asks and reads as the tutorial's client does, over a FastMCP client that is connected."""

    def __init__(self, client):
        self.client = client

    async def start(self, source, destination, record_count=None, **more):
        arguments = {"source_path": str(source), "destination_path": str(destination), **more}
        if record_count is not None:
            arguments["record_count"] = record_count
        return (await self.client.call_tool("start_data_migration", arguments)).content[0].text

    async def read(self, uri):
        contents = await self.client.read_resource(uri)
        assert isinstance(contents, list) and len(contents) == 1, contents
        return json.loads(contents[0].text)

    async def poll(self, uri, seconds=60):
        """Polls until the task has ended. Any error but null ends the watch at once, as it does there."""
        deadline = time.monotonic() + seconds
        seen = []
        while True:
            status = await self.read(uri)
            seen.append(status)
            assert isinstance(status["progress"], float | int), status
            assert isinstance(status["message"], str), status
            if status.get("error") is not None or status["status"] in ("completed", "failed", "cancelled"):
                return status, seen
            assert time.monotonic() < deadline, f"{uri} has not ended: {status}"
            await asyncio.sleep(0.05)

    async def running(self, uri, records=1, seconds=60):
        """Polls until the task has moved so many records."""
        deadline = time.monotonic() + seconds
        while True:
            status = await self.read(uri)
            if status["status"] == "running" and status["done"] >= records:
                return status
            assert status["status"] in ("pending", "running") and time.monotonic() < deadline, status
            await asyncio.sleep(0.02)

    async def cancel(self, task_id):
        return (await self.client.call_tool("cancel_task", {"task_id": task_id})).content[0].text

    async def stats(self):
        return json.loads((await self.client.call_tool("get_server_stats", {})).content[0].text)
