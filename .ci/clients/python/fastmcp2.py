"""FastMCP 2.11.3, the tutorial's own version, as its client uses it, but over stdio."""

import asyncio
import json
import logging
import time
from pathlib import Path

import fastmcp.client.logging
import mcp
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from harness import (
    ALLOW, CANCELLED, LARGE, MCP, NOBODY, PACED, RESULT_KEYS, ROW_KEYS, SMALL, SMALL_ROWS, STATS_KEYS, STATUSES,
    TASK_KEYS, TOOLS, URI, WAITED, Checks, Home, TutorialClient, check_reports, rows, session,
)

checks = Checks("FastMCP 2.11.3, mcp 1.13.1")
home = Home("f2", ALLOW)


def connect(**options):
    return session(Client(StdioTransport(MCP, [], env=home.env, cwd=str(home.dir), keep_alive=False), **options))


class Records(logging.Handler):
    """What FastMCP's default log handler made of the server's notifications."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append((record.levelname, record.getMessage()))


async def handshake(client):
    first = client.initialize_result
    checks.equal("protocol version", first.protocolVersion, mcp.types.LATEST_PROTOCOL_VERSION)
    checks.equal("server", (first.serverInfo.name, first.serverInfo.title), ("durable", "MCP Durability Server"))
    checks.true("ping", await client.ping())
    checks.equal("tools", sorted(t.name for t in await client.list_tools()), TOOLS)
    checks.equal("resources", [str(r.uri) for r in await client.list_resources()], ["task://list"])
    checks.equal("templates", sorted(t.uriTemplate for t in await client.list_resource_templates()),
                 ["task://list/{status}", "task://log/{task_id}", "task://status/{task_id}"])
    checks.equal("prompts", await client.list_prompts(), [])
    checks.equal("daemon before the first tool call", home.daemon(), 0)


async def migrate(client):
    """The tutorial's first menu choice, and what it reads afterwards. Returns the task's ID."""
    tutorial, out = TutorialClient(client), home.path("out.csv")
    result = await client.call_tool("start_data_migration", {
        "source_path": str(SMALL), "destination_path": out, "record_count": 500})
    uri = result.content[0].text
    task_id = checks.match("the first content", URI, uri)[1]
    checks.equal("the second content", (result.content[1].type, str(result.content[1].uri)), ("resource_link", uri))
    checks.equal("structured content", result.structured_content["task"]["task_id"], task_id)
    checks.true("daemon after the first tool call", home.daemon())

    end, seen = await tutorial.poll(uri)
    checks.equal("keys of a task", list(end)[: len(TASK_KEYS)], TASK_KEYS)
    checks.equal("a completed task", {k: end[k] for k in TASK_KEYS[:7] if k != "result_data"}, {
        "task_id": task_id, "status": "completed", "progress": 100.0, "total": 100,
        "message": "Migrated 500/500 records", "error": None})
    checks.true("times in Unix seconds", time.time() - 60 < end["created_at"] < end["completed_at"] < time.time() + 1, end)
    checks.true("updated_at of an ended task", abs(end["updated_at"] - end["completed_at"]) < 0.1, end)
    checks.true("no error on the way", all(s["error"] is None for s in seen), seen)

    got = end["result_data"]
    checks.equal("keys of a result", list(got)[: len(RESULT_KEYS)], RESULT_KEYS)
    checks.equal("a result", {k: got[k] for k in RESULT_KEYS[:5]}, {
        "migrated_records": 500, "total_records": 500, "source_path": str(SMALL), "destination_path": out, "success": True})
    checks.true("completion_time", end["created_at"] <= got["completion_time"] <= end["completed_at"] + 1, got)
    checks.equal("the destination", rows(out), rows(SMALL, 500))
    return task_id


async def lists(client, task_id):
    tutorial = TutorialClient(client)
    every = await tutorial.read("task://list")
    checks.equal("keys of task://list", sorted(every), ["tasks", "total"])
    checks.equal("task://list", (every["total"], [t["task_id"] for t in every["tasks"]]), (1, [task_id]))
    row = every["tasks"][0]
    checks.equal("keys of a row", list(row)[: len(ROW_KEYS)], ROW_KEYS)
    checks.equal("a row", {k: row[k] for k in ("status", "progress", "total", "message", "has_result", "has_error")}, {
        "status": "completed", "progress": 100.0, "total": 100, "message": "Migrated 500/500 records",
        "has_result": True, "has_error": False})
    for word in ("completed", "Completed"):
        some = await tutorial.read(f"task://list/{word}")
        checks.equal(f"keys of task://list/{word}", sorted(some), ["status_filter", "tasks", "total"])
        checks.equal(f"task://list/{word}", (some["status_filter"], some["total"], some["tasks"]), (word, 1, every["tasks"]))
    empty = await tutorial.read("task://list/failed")
    checks.equal("task://list/failed", empty, {"tasks": [], "total": 0, "status_filter": "failed"})
    checks.equal("task://list/nonsense", await tutorial.read("task://list/nonsense"),
                 {"error": "Invalid status: nonsense", "valid_statuses": STATUSES})
    checks.equal("an unknown task", await tutorial.read(f"task://status/{NOBODY}"),
                 {"error": "Task not found", "task_id": NOBODY})


async def refused(what, text, call):
    """Expects a tool error; FastMCP shows the first content."""
    try:
        got = await call
    except ToolError as e:
        checks.equal(what, str(e), text) if isinstance(text, str) else checks.true(what, text(str(e)), str(e))
    else:
        checks.true(what + ": no error", False, got)


async def cancel(client, ended):
    """Cancels a task that runs, one that has ended and one that there is not. Returns the first."""
    tutorial = TutorialClient(client)
    uri = await tutorial.start(LARGE, home.path("cancelled.db"), CANCELLED, batch_size=10)
    task_id = checks.match("the first content", URI, uri)[1]
    now = await tutorial.running(uri)
    checks.match("message of a running task", rf"Migrated {now['done']}/{CANCELLED} records", now["message"])
    checks.true("progress in percent", abs(now["progress"] - 100 * now["done"] / CANCELLED) < 0.01, now)
    stats = await tutorial.stats()
    checks.equal("statistics while it runs", stats, dict.fromkeys(STATS_KEYS, 0) | {
        "total_tasks": 2, "running_tasks": 1, "completed_tasks": 1, "active_background_tasks": 1})
    every = await tutorial.read("task://list")
    checks.equal("unfinished tasks first", [t["task_id"] for t in every["tasks"]], [task_id, ended])

    checks.equal("cancel", await tutorial.cancel(task_id), f"Task {task_id} cancelled. Status available at: {uri}")
    end = await tutorial.read(uri)
    checks.equal("a cancelled task", [end[k] for k in ("status", "result_data", "error")], ["cancelled", None, None])
    checks.true("its progress and time", 0 < end["progress"] < 100 and end["completed_at"] is not None, end)
    for other in (task_id, ended, NOBODY):
        await refused("cancel what cannot be", f"Task {other} not found or cannot be cancelled", tutorial.cancel(other))
    checks.equal("statistics", await tutorial.stats(), dict.fromkeys(STATS_KEYS, 0) | {
        "total_tasks": 2, "completed_tasks": 1, "cancelled_tasks": 1})
    return task_id


async def wait(client):
    """wait_for_task reports progress in records, with the tutorial's texts. Returns the task's ID."""
    tutorial, reports = TutorialClient(client), []

    async def report(progress, total, message):
        reports.append((progress, total, message))

    uri = await tutorial.start(LARGE, home.path("waited.db"), WAITED, **PACED)
    task_id = uri.rsplit("/", 1)[1]
    result = await client.call_tool("wait_for_task", {"task_id": task_id}, progress_handler=report)
    task = result.structured_content["task"]
    checks.equal("what was waited for", (task["task_id"], task["status"]), (task_id, "completed"))
    check_reports(checks, reports, WAITED)
    return task_id


async def bad_input(client):
    tutorial, out = TutorialClient(client), home.path("out.csv")
    before = Path(out).read_bytes()
    await refused("an existing destination",
                  lambda text: "exists" in text and "mode=replace" in text and out in text, tutorial.start(SMALL, out))
    await refused("a missing source", lambda text: "/nowhere/a.csv" in text, tutorial.start("/nowhere/a.csv", home.path("b.csv")))
    await refused("an unknown argument", lambda text: 'unknown argument "speed"' in text and "known arguments: " in text,
                  tutorial.start(SMALL, home.path("b.csv"), speed=9))
    checks.equal("the destination that exists", Path(out).read_bytes(), before)
    checks.true("what was refused was not made", not Path(home.path("b.csv")).exists())
    end, _ = await tutorial.poll(await tutorial.start(SMALL, out, mode="replace"))
    checks.equal("mode=replace", (end["status"], end["message"]), ("completed", f"Migrated {SMALL_ROWS}/{SMALL_ROWS} records"))
    checks.equal("the destination replaced", rows(out), rows(SMALL))


async def main():
    made = Records()
    fastmcp.client.logging.logger.addHandler(made)
    fastmcp.client.logging.logger.setLevel(logging.INFO)
    async with connect() as client:  # the default log handler
        await handshake(client)
        first = await migrate(client)
        await checks.until("log line at the end", lambda: len(made.lines) >= 3)
    uri, tag = f"task://status/{first}", "Server log: [durable] "
    checks.equal("the default log handler", made.lines, [
        ("INFO", tag + f"Starting migration of 500 records from {SMALL} to {home.path('out.csv')}"),
        ("INFO", tag + f"Data migration started. Track progress at: {uri}"),
        ("INFO", tag + "Data migration completed: 500 records")])

    logs = []

    async def log(message):
        logs.append((message.level, message.logger, message.data))

    def said(level, text):
        return level, "durable", {"msg": text, "extra": None}

    async with connect(log_handler=log) as client:  # another session: the task is still there
        await lists(client, first)
        second = await cancel(client, first)
        refusals = [said("warning", f"Task {i} not found or cannot be cancelled") for i in (second, first, NOBODY)]
        checks.equal("log notifications", logs, [
            said("info", f"Starting migration of {CANCELLED} records from {LARGE} to {home.path('cancelled.db')}"),
            said("info", f"Data migration started. Track progress at: task://status/{second}"),
            said("info", "Server statistics: 2 total tasks, 1 running"),
            said("info", f"Task {second} cancelled successfully"), *refusals,
            said("info", "Server statistics: 2 total tasks, 0 running")])
        logs.clear()
        third = await wait(client)
        ended = said("info", f"Data migration completed: {WAITED} records")
        await checks.until("log line at the end", lambda: ended in logs)
        logs.clear()
        await bad_input(client)
        checks.true("log line of a migration without a limit",
                    said("info", f"Starting migration of all records from {SMALL} to {home.path('out.csv')}") in logs, logs)
        read = json.loads((await client.read_resource(f"task://status/{third}"))[0].text)
        checks.equal("the task that was waited for", read["result_data"]["migrated_records"], WAITED)
    home.shut_down(checks)
    checks.done("the tutorial's calls and readings, its texts and keys, log notifications through FastMCP's own handler, "
                "progress, cancel, refusals, a second session")


asyncio.run(main())
