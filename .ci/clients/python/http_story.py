"""The tutorial's story, told by its own client library over HTTP at the tutorial's address: start a long migration, leave,
come back, watch it, cancel it. FastMCP 2.11.3 and 4.x run the same; which one it is, the installed package says."""

import asyncio
import importlib.metadata
import urllib.error
import urllib.request

from harness import LARGE, ROW_KEYS, STATS_KEYS, TASK_KEYS, URI, Checks, TutorialClient
from over_http import Server, connect, info, poll

RECORDS = 100_000
# Records a second: 50 s for all of them, on any machine. So it is caught on the way, and far from its end when it is
# cancelled.
SLOWLY = {"rate_limit": 2_000}
WATCHED = 10  # seconds, as long as the tutorial's client watches

version = importlib.metadata.version("fastmcp")
checks = Checks(f"FastMCP {version} over HTTP")


async def story(server):
    logs = []
    async with connect(server, logs) as client:
        tutorial = TutorialClient(client)
        checks.equal("the list at first", await tutorial.read("task://list"), {"tasks": [], "total": 0})
        source, out = str(LARGE), server.home.path("out.csv")
        uri = await tutorial.start(source, out, RECORDS, **SLOWLY)
        task_id = checks.match("the first content", URI, uri)[1]
        await checks.until("log notifications", lambda: len(logs) >= 2)
        checks.equal("log notifications", logs, [
            info(f"Starting migration of {RECORDS} records from {source} to {out}"),
            info(f"Data migration started. Track progress at: {uri}")])
        early = await tutorial.running(uri)
        checks.equal("keys of a task", list(early)[: len(TASK_KEYS)], TASK_KEYS)
        row = (await tutorial.read("task://list"))["tasks"][0]
        checks.equal("keys of a row", list(row)[: len(ROW_KEYS)], ROW_KEYS)
        checks.equal("the list", (row["task_id"], row["status"]), (task_id, "running"))

    # The client has left. It is another one that comes back.
    logs = []
    async with connect(server, logs) as client:
        tutorial = TutorialClient(client)
        shown = round(row["progress"] * RECORDS / 100)  # the list was read after early
        later = await tutorial.running(uri, shown + 1)
        checks.true("further on", row["progress"] < later["progress"] < 100, (row, later))
        checks.match("its message", rf"Migrated {later['done']}/{RECORDS} records", later["message"])
        lines, end = await poll(checks, client, uri, WATCHED)
        checks.equal("it still runs", end, None)
        checks.true("the poll saw it move", len(lines) >= 2, lines)
        for line in lines:
            checks.match("a line", rf"\[█*░+\]  *\d+\.\d% \| RUNNING \| Migrated \d+/{RECORDS} records", line)
        checks.equal("cancel", await tutorial.cancel(task_id), f"Task {task_id} cancelled. Status available at: {uri}")
        rows = (await tutorial.read("task://list"))["tasks"]
        checks.equal("the list at the end", [(r["task_id"], r["status"], r["has_error"]) for r in rows], [(task_id, "cancelled", False)])
        checks.true("it stands where it was", later["progress"] < rows[0]["progress"] < 100, rows)
        checks.equal("statistics", await tutorial.stats(), dict.fromkeys(STATS_KEYS, 0) | {"total_tasks": 1, "cancelled_tasks": 1})
        await checks.until("log notifications", lambda: len(logs) >= 2)
        checks.equal("log notifications", logs, [
            info(f"Task {task_id} cancelled successfully"), info("Server statistics: 1 total tasks, 0 running")])

        # The one at the end of a task comes on the session's own stream, after every answer.
        logs.clear()
        short = await tutorial.start(source, server.home.path("short.csv"), 1000)
        ended = info("Data migration completed: 1000 records")
        await checks.until("the log line at the end", lambda: ended in logs, 60)
        checks.equal("it is there", (await tutorial.read(short))["status"], "completed")


async def token():
    """By default nobody comes in without the token."""
    server = Server(checks, "h" + version[0])
    await server.ready()
    try:
        async with connect(server, []) as client:
            await client.ping()
    except Exception:  # each version has one of its own for it
        pass
    else:
        checks.true("without a token nobody comes in", False)
    try:
        urllib.request.urlopen(f"http://{server.address}/mcp", b"{}", 30)
    except urllib.error.HTTPError as e:
        checks.equal("the answer without a token", (e.code, "durablectl token" in e.read().decode()), (401, True))
    status, word = server.home.ctl("token")
    checks.equal("durablectl token", status, 0)
    async with connect(server, [], auth=word.strip()) as client:
        checks.equal("with the token", await TutorialClient(client).read("task://list"), {"tasks": [], "total": 0})
    server.stop()


async def main():
    server = Server(checks, "w" + version[0], "--http-auth", "none")
    await server.ready()
    await story(server)
    server.stop()
    await token()
    where = "the tutorial's address" if server.address.endswith(":8080") else server.address
    checks.done(f"the tutorial's story at {where}: list, start, leave, come back, watch, cancel, its log notifications; a token")


asyncio.run(main())
