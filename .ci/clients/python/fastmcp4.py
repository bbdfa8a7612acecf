"""FastMCP 4.1.2: by itself it negotiates the era of 2026-07-28; in mode legacy it shakes hands."""

import asyncio

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from harness import (
    CANCELLED, LARGE, MCP, NOBODY, PACED, RESULT_KEYS, ROW_KEYS, SMALL, STATS_KEYS, STATUSES, TASK_KEYS, TOOLS, URI,
    WAITED, Checks, Home, TutorialClient, check_reports, rows,
)

checks = Checks("FastMCP 4.1.2, mcp 2.3.0")
home = Home("f4")


def said(level, text):
    return level, "durable", {"msg": text, "extra": None}


async def migrate(client, mode, logs):
    tutorial, out = TutorialClient(client), home.path(f"{mode}.csv")
    uri = await tutorial.start(SMALL, out, 500)
    task_id = checks.match("the first content", URI, uri)[1]
    end, _ = await tutorial.poll(uri)
    checks.equal("keys of a task", list(end)[: len(TASK_KEYS)], TASK_KEYS)
    checks.equal("a completed task", [end[k] for k in ("task_id", "status", "progress", "message", "error")],
                 [task_id, "completed", 100.0, "Migrated 500/500 records", None])
    checks.equal("keys of a result", list(end["result_data"])[: len(RESULT_KEYS)], RESULT_KEYS)
    checks.equal("the destination", rows(out), rows(SMALL, 500))
    want = [said("info", f"Starting migration of 500 records from {SMALL} to {out}"),
            said("info", f"Data migration started. Track progress at: {uri}")]
    if mode == "legacy":  # later there is no session that anything could be sent to after the answer
        want.append(said("info", "Data migration completed: 500 records"))
    await checks.until("log notifications", lambda: len(logs) >= len(want))
    checks.equal("log notifications", logs, want)


async def wait_and_cancel(client, mode):
    tutorial, reports = TutorialClient(client), []

    async def report(progress, total, message):
        reports.append((progress, total, message))

    uri = await tutorial.start(LARGE, home.path(f"{mode}.db"), WAITED, **PACED)
    result = await client.call_tool("wait_for_task", {"task_id": uri}, progress_handler=report)
    checks.equal("what was waited for", result.structured_content["task"]["status"], "completed")
    check_reports(checks, reports, WAITED)

    uri = await tutorial.start(LARGE, home.path(f"{mode}-cancelled.db"), CANCELLED, batch_size=10)
    task_id = uri.rsplit("/", 1)[1]
    await tutorial.running(uri)
    checks.equal("cancel", await tutorial.cancel(task_id), f"Task {task_id} cancelled. Status available at: {uri}")
    checks.equal("a cancelled task", [(await tutorial.read(uri))[k] for k in ("status", "error")], ["cancelled", None])
    try:
        checks.true("cancel an unknown task: no error", False, await tutorial.cancel(NOBODY))
    except ToolError as e:
        checks.equal("cancel an unknown task", str(e), f"Task {NOBODY} not found or cannot be cancelled")


async def read(client, tasks):
    tutorial = TutorialClient(client)
    every = await tutorial.read("task://list")
    checks.equal("task://list", (sorted(every), every["total"], len(every["tasks"])), (["tasks", "total"], tasks, tasks))
    checks.equal("keys of a row", list(every["tasks"][0])[: len(ROW_KEYS)], ROW_KEYS)
    checks.equal("task://list/nonsense", await tutorial.read("task://list/nonsense"),
                 {"error": "Invalid status: nonsense", "valid_statuses": STATUSES})
    checks.equal("an unknown task", await tutorial.read(f"task://status/{NOBODY}"),
                 {"error": "Task not found", "task_id": NOBODY})
    checks.equal("statistics", await tutorial.stats(), dict.fromkeys(STATS_KEYS, 0) | {
        "total_tasks": tasks, "completed_tasks": tasks * 2 // 3, "cancelled_tasks": tasks // 3})


async def main():
    # Each mode, the version that it agrees on, and the tasks there are at its end.
    for mode, version, tasks in (("auto", "2026-07-28", 3), ("legacy", "2025-11-25", 6)):
        logs = []

        async def log(message):
            logs.append((message.level, message.logger, message.data))

        transport = StdioTransport(MCP, [], env=home.env, cwd=str(home.dir), keep_alive=False)
        async with Client(transport, mode=mode, log_handler=log) as client:
            checks.equal("protocol version", client.protocol_version, version)
            checks.equal("server", (client.server_info.name, client.server_info.title), ("durable", "MCP Durability Server"))
            checks.equal("tools", sorted(t.name for t in await client.list_tools()), TOOLS)
            checks.equal("resources", [str(r.uri) for r in await client.list_resources()], ["task://list"])
            checks.equal("templates", len(await client.list_resource_templates()), 3)
            if mode == "auto":
                checks.equal("daemon before the first tool call", home.daemon(), 0)
            await migrate(client, mode, logs)
            await wait_and_cancel(client, mode)
            await read(client, tasks)
    home.shut_down(checks)
    checks.done("auto negotiates 2026-07-28, legacy 2025-11-25; in both: lists, start, resources, log notifications, "
                "progress, cancel, statistics")


asyncio.run(main())
