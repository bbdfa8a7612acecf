"""Commands as a host's model starts, reads, feeds and ends them, with FastMCP 2 and 4.

A host shows its model one half of a result, the content or the structured content: what matters is looked for in
both.
"""

import asyncio
import importlib.metadata
import itertools
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from harness import ALLOW, MCP, NOBODY, URI, Checks, Home, session

VERSION = importlib.metadata.version("fastmcp")
MAJOR = int(VERSION.split(".")[0])

checks = Checks(f"FastMCP {VERSION}: commands")
home = Home(f"c{MAJOR}", ALLOW)
# Files that a program waits for (gated).
gates = (home.dir / f"gate-{n}" for n in itertools.count())


def connect(mode=None, at=home, cwd=None, **options):
    if MAJOR > 2:
        options["mode"] = mode
    return session(Client(StdioTransport(MCP, [], env=at.env, cwd=str(cwd or at.dir), keep_alive=False), **options))


def either(value, *names):
    """Returns what a field holds whose name differs between the versions."""
    return next(getattr(value, n) for n in names if hasattr(value, n))


def leaves(value, name=""):
    """Yields each fact of structured content as "name: value"."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from leaves(v, k)
    elif isinstance(value, list):
        for v in value:
            yield from leaves(v, name)
    else:
        yield f"{name}: {value}"


class Result:
    """What a tool answered, and its two halves as text."""

    def __init__(self, raw):
        self.error = either(raw, "is_error", "isError") or False
        self.data = either(raw, "structured_content", "structuredContent")
        self.contents = raw.content
        self.text = "\n".join(getattr(c, "text", "") for c in raw.content)
        self.halves = self.text, "\n".join(leaves(self.data))
        self.task = self.data.get("task", {})
        self.id = self.task.get("task_id")

    def says(self, what, *facts):
        for half in self.halves:
            for fact in facts:
                checks.true(f"{what}: {fact!r} in each half", fact in half, half)
        return self


async def call(client, name, **arguments):
    progress = arguments.pop("progress", None)
    more = {} if progress is None else {"progress_handler": progress}
    return Result(await client.call_tool_mcp(name, arguments, **more))


async def refused(client, what, facts, name, **arguments):
    got = (await call(client, name, **arguments)).says(what, *facts)
    checks.true(f"{what}: a tool error", got.error, got.text)
    for half in got.halves:
        checks.true(f"{what}: no word of a terminal", "durablectl" not in half, half)


async def start(client, *command, **more):
    """Starts a command and checks what every start tool promises."""
    begun = time.monotonic()
    got = await call(client, "start_command", command=list(command), **more)
    took = time.monotonic() - begun
    checks.true("a start is answered at once", took < 30, took)  # the first one starts the daemon; another_session has no bound
    checks.true("a start", not got.error, got.text)
    uri = got.contents[0].text
    task_id = checks.match("the first content", URI, uri)[1]
    checks.equal("the second content", (got.contents[1].type, str(got.contents[1].uri)), ("resource_link", uri))
    checks.equal("structured content", (got.id, got.data["uri"]), (task_id, uri))
    return got.says("a start", task_id, got.task["title"], got.data["next"], got.task["status"])


async def wait(client, task_id, **more):
    return await call(client, "wait_for_task", task_id=task_id, **more)


async def progress(client):
    """A program that prints percentages is waited for with its progress."""
    reports = []

    async def report(done, total, message):
        reports.append((done, total, message))
        if len([n for n, _, _ in reports if 0 < n < 100]) == 2:
            gate.touch()

    gate = next(gates)
    got = await start(
        client, f'for i in 10 20 40 60; do echo "$i%"; sleep 0.4; done; {gated(gate)} for i in 80 100; do echo "$i%"; sleep 0.4; done', shell=True)
    end = await wait(client, got.id, progress=report)
    checks.equal("what was waited for", (end.task["status"], end.task["result_data"]["exit_code"]), ("completed", 0))
    end.says("a command that ended", "exit code 0", "get_task_output")
    numbers = [n for n, _, _ in reports]
    checks.equal("reports grow", numbers, sorted(set(numbers)))
    checks.true("reports on the way", len([n for n in numbers if 0 < n < 100]) >= 2, reports)
    checks.equal("the last report", reports[-1][:2], (100, 100))
    resource = json.loads((await client.read_resource(f"task://status/{got.id}"))[0].text)
    checks.equal("the resource", (resource["status"], resource["progress"], resource["error"]), ("completed", 100.0, None))


async def output(client):
    first, second = next(gates), next(gates)
    got = await start(client, "sh", "-c", f"echo one; {gated(first)} echo two >&2; {gated(second)} echo three; seq 1000 5999")
    # The order of two streams is known of what was seen apart.
    await until(client, got.id, "get_task_output", lambda now: now.data["output"] == "one\n")
    first.touch()
    await until(client, got.id, "get_task_output", lambda now: now.data["output"] == "one\ntwo\n")
    second.touch()
    await wait(client, got.id)
    both = await call(client, "get_task_output", task_id=got.id, lines=1000, grep="^[a-z]")
    both.says("merged output", "stdout", "stderr", "has ended")
    checks.equal("both streams, in their order", both.data["output"], "one\ntwo\nthree\n")
    checks.true("the same as text", both.text.endswith("one\ntwo\nthree\n"), both.text)
    none = (await call(client, "get_task_output", task_id=got.id, grep="nowhere")).says("no match", "No line matches")
    checks.equal("no match", none.data["output"], "")
    tail = await call(client, "get_task_output", task_id=got.id, lines=2)
    checks.equal("the last lines", tail.data["output"], "5998\n5999\n")

    page = await call(client, "get_task_output", task_id=got.id, stream="stdout", offset=0)
    text = page.data["output"]
    checks.true("more than one page", "More follows" in page.data["next"], page.data["next"])
    while "More follows" in page.data["next"]:
        page.says("a page", f'offset {page.data["next_offset"]}', "More follows")
        page = await call(client, "get_task_output", task_id=got.id, stream="stdout", offset=page.data["next_offset"])
        text += page.data["output"]
    checks.equal("all pages", text, "one\nthree\n" + "".join(f"{i}\n" for i in range(1000, 6000)))
    error = await call(client, "get_task_output", task_id=got.id, stream="stderr", offset=0)
    checks.equal("the other stream", error.data["output"], "two\n")

    long = await start(client, "yes 0123456789 | head -c 3000000", shell=True)
    await wait(client, long.id)
    for arguments in {}, {"lines": 1000}, {"offset": 0, "stream": "stdout"}, {"grep": "9"}:
        answer = await call(client, "get_task_output", task_id=long.id, **arguments)
        checks.true("a large output is bounded", max(len(h) for h in answer.halves) < 24_000, [arguments, [len(h) for h in answer.halves]])


async def talk(client):
    """A program that reads what it is sent."""
    got = await start(client, "sh", "-c", 'while read -r x; do echo "got $x"; done; echo bye', interactive=True)
    await until_running(client, got.id)
    first = (await call(client, "send_task_input", task_id=got.id, text="one")).says("input", "get_task_output")
    again = await call(client, "send_task_input", task_id=got.id, text="one", offset=0)
    checks.equal("a repetition", again.data["next_offset"], first.data["next_offset"])
    (await call(client, "send_task_input", task_id=got.id, text="two", close=True)).says("the end of the input", "input has ended")
    end = await wait(client, got.id)
    checks.equal("an interactive program", end.task["status"], "completed")
    checks.equal("what it read", (await call(client, "get_task_output", task_id=got.id)).data["output"], "got one\ngot two\nbye\n")
    await refused(client, "input after the end", ["takes no input any more", "get_task_output"], "send_task_input", task_id=got.id, text="x")
    deaf = await start(client, "sleep", "30")
    await refused(client, "input of a program without one", ["interactive=true"], "send_task_input", task_id=deaf.id, text="x")
    await call(client, "cancel_task", task_id=deaf.id)


async def until(client, task_id, tool, ready):
    """Asks a tool until its answer is ready. The task must not have ended."""
    deadline = time.monotonic() + 60
    while not ready(now := await call(client, tool, task_id=task_id)):
        checks.true("it will come", now.task.get("status", "running") in ("pending", "running") and time.monotonic() < deadline, now.text)
        await asyncio.sleep(0.02)


async def until_running(client, task_id):
    await until(client, task_id, "get_task_status", lambda now: (now.task["status"], now.task.get("phase")) == ("running", "running"))


def gated(gate):
    """A line of the shell that waits for a file."""
    return f"until test -e {gate}; do sleep 0.05; done;"


def processes(mark):
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False)
    return found.stdout.split()


async def cancel(client):
    """A tree with a grandchild in a session of its own ends as a whole."""
    mark = f"3{os.getpid()}1{MAJOR}"  # seconds to sleep, which nobody else does
    got = await start(client, "sh", "-c", f"setsid sleep {mark} & sleep {mark} & wait")
    await checks.until("the tree", lambda: len(processes(f"^sleep {mark}")) == 2)
    ended = await call(client, "cancel_task", task_id=got.task["number"])
    lead = f"Task {got.id} cancelled. Status available at: task://status/{got.id}"
    checks.equal("cancel", (ended.error, ended.contents[0].text), (False, lead))
    ended.says("cancel", lead, "retry_task starts it again", f"Task {got.id} cancelled successfully")
    checks.equal("what is left of the tree", processes(f"^sleep {mark}"), [])
    for other in got.id, NOBODY:
        no = await call(client, "cancel_task", task_id=other)
        text = f"Task {other} not found or cannot be cancelled"
        checks.equal("cancel what cannot be", (no.error, no.contents[0].text), (True, text))
        no.says("cancel what cannot be", text)


async def fail(client):
    """The exit code and the last line of what failed; then again with what was missing."""
    got = await start(client, "sh", "-c", 'echo "begin"; test "$TOKEN" = right || { echo "no such token" >&2; exit 7; }; echo fine',
                      env={"TOKEN": "wrong-s3cret"})
    end = await wait(client, got.id)
    checks.equal("a command that failed", (end.task["status"], end.task["exit_code"], end.task["last_line"]), ("failed", 7, "no such token"))
    end.says("a command that failed", "exit status 7", "no such token", "get_task_output", "retry_task")
    checks.true("the code as text", "exit code: 7" in end.text, end.text)
    for half in end.halves + got.halves:
        checks.true("no secret", "s3cret" not in half, half)
    await refused(client, "retry without the secret", ["TOKEN", "env"], "retry_task", task_id=got.id)
    again = await call(client, "retry_task", task_id=got.id, env={"TOKEN": "right"})
    again.says("a retry", "task://status/", got.id)
    end = await wait(client, again.id)
    checks.equal("the retry", (end.task["status"], end.task["retry_of"]), ("completed", got.id))
    killed = await start(client, "sh", "-c", "kill -SEGV $$")
    (await wait(client, killed.id)).says("a signal", "SIGSEGV")
    slow = await start(client, "sleep", "60", timeout="1s")
    end = (await wait(client, slow.id)).says("a timeout", "timed out", "more time")
    checks.true("no flag of a terminal", "durablectl" not in end.text, end.text)


async def bad_input(client):
    async def no(what, facts, **arguments):
        await refused(client, what, facts, "start_command", **arguments)

    await no("a program that there is not", ["nosuchprogram: no such program on the PATH", "absolute path"], command=["nosuchprogram"])
    await no("a line for a list", ["command: want an array of strings", "shell=true"], command="make -j8")
    await no("a line in a list", ["make -j8: no such program", "shell=true"], command=["make -j8"])
    await no("a folder that there is not", ["/nowhere: no such folder"], command=["ls"], cwd="/nowhere")
    await no("a time without a unit", ["timeout", "2h"], command=["ls"], timeout=60)
    await no("an unknown argument", ['unknown argument "dir"', "cwd"], command=["ls"], dir="/")
    await no("the name of a variable", ['"A=B"'], command=["ls"], env={"A=B": "c"})
    await refused(client, "an unknown task", ["no task 4711", "list_tasks"], "get_task_output", task_id=4711)


async def nowhere(mode):
    """A host that starts us in the root: nothing is taken from there."""
    async with connect(mode, cwd="/") as client:
        await refused(client, "no folder", ["cwd: missing", "absolute path"], "start_command", command=["ls"])
        await refused(client, "a relative folder", ['"src" is relative', "absolute path"], "start_command", command=["ls"], cwd="src")
        got = await start(client, "pwd", cwd=str(home.dir))
        await wait(client, got.id)
        checks.equal("its folder", (await call(client, "get_task_output", task_id=got.id)).data["output"], f"{home.dir}\n")


async def another_session(mode):
    """The host's side is killed; another session finds the command, and it has gone on."""
    transport = StdioTransport("/bin/sh", ["-c", f'echo $$ > pid; exec "{MCP}"'], env=home.env, cwd=str(home.dir), keep_alive=False)
    client = Client(transport, **({"mode": mode} if MAJOR > 2 else {}))
    gate = next(gates)
    try:
        async with client:
            got = await start(client, f"echo begun; {gated(gate)} echo gone on; exit 3", shell=True, title="long build")
            await until_running(client, got.id)
            os.kill(int(Path(home.path("pid")).read_text()), signal.SIGKILL)
            await asyncio.sleep(0.2)
    except Exception as e:  # the client's own trouble with a server that was killed
        if isinstance(e, AssertionError):
            raise
    gate.touch()
    async with connect(mode) as client:
        (await call(client, "list_tasks")).says("the list", "long build", got.id)
        end = await wait(client, got.id)
        checks.equal("its true end", (end.task["status"], end.task["exit_code"], end.task["attempt"]), ("failed", 3, 1))
        checks.equal("its output", (await call(client, "get_task_output", task_id="@last")).data["output"], "begun\ngone on\n")


class Person:
    """Who answers the forms: what is said to each, and what was asked."""

    def __init__(self):
        self.answers, self.asked = [], []

    async def __call__(self, message, response_type, params, context):
        self.asked.append((message, either(params, "requested_schema", "requestedSchema")))
        answer = self.answers.pop(0)
        if answer in ("decline", "cancel"):
            from fastmcp.client.elicitation import ElicitResult

            return ElicitResult(action=answer, content=None)
        return {"answer": answer}


ALWAYS = "always this program in this folder"


async def approval(mode):
    """The default policy: what a program that speaks MCP starts waits for a person."""
    office = Home(f"a{MAJOR}{mode or ''}")
    async with connect(mode, office) as client:
        got = await start(client, "sh", "-c", "echo allowed")
        n = got.task["number"]
        sentence = f"Waiting for your approval. In a terminal: durablectl approve {n} (once), durablectl approve {n} --always, or durablectl policy allow"
        got.says("waiting", sentence, "awaiting_approval", "in " + str(office.dir))
        checks.true("nothing to poll for", "check_again_seconds" not in got.data, got.data)
        waited = (await wait(client, got.id, timeout_seconds=1)).says("waiting on", sentence, "Still pending")
        checks.true("it does not go on by itself", "goes on by itself" not in waited.text, waited.text)
        office.api("POST", f"/v1/tasks/{n}/approve", {})
        end = await wait(client, got.id)
        checks.equal("once it is approved", (end.task["status"], (await call(client, "get_task_output", task_id=n)).data["output"]),
                     ("completed", "allowed\n"))

    person = Person()
    async with connect(mode, office, elicitation_handler=person) as client:
        async def ask(answer, command=("true",)):
            person.answers, person.asked = [answer], []
            return await start(client, *command)

        got = (await ask("once")).says("once", "The user allowed it: once.")
        message, form = person.asked[0]
        checks.true("the question", "true" in message and f"in {office.dir}" in message, message)
        checks.equal("the form", form["properties"]["answer"]["enum"], ["once", ALWAYS, "no"])
        checks.equal("allowed once", (await wait(client, got.id)).task["status"], "completed")
        for answer in "no", "decline":
            got = (await ask(answer)).says("a no", "The user said no", "Do not start it again unless the user asks for it")
            checks.equal("a no", (len(person.asked), got.task["status"]), (1, "cancelled"))
        got = (await ask("cancel")).says("a form that was closed", "Waiting for your approval")
        checks.equal("a form that was closed", got.task["phase"], "awaiting_approval")
        (await ask(ALWAYS)).says("always", f"The user allowed it: {ALWAYS}.")
        person.answers, person.asked = [], []
        got = await start(client, "true")
        checks.equal("always: nobody is asked any more", (person.asked, (await wait(client, got.id)).task["status"]), ([], "completed"))
        got = (await ask("once", ("sh", "-c", "exit 0"))).says("another program", "The user allowed it: once.")
        checks.equal("another program: asked", len(person.asked), 1)
    office.shut_down(checks)


async def policies(mode):
    """What the policy does not allow is refused, with who can change that."""
    for word, fact in ("deny", 'commands = "deny"'), ("list", "only what is under programs and folders"):
        office = Home(f"p{MAJOR}{word}{mode or ''}", f'[policy]\ncommands = "{word}"\n')
        async with connect(mode, office) as client:
            got = (await call(client, "start_command", command=["ls"])).says(word, "the policy does not allow it to run", fact, "a person can")
            checks.true("a tool error", got.error, got.text)
        office.shut_down(checks)


async def main():
    modes = ["auto", "legacy"] if MAJOR > 2 else [None]
    for mode in modes:
        async with connect(mode) as client:
            tools = {t.name: t for t in await client.list_tools()}
            schema = either(tools["start_command"], "input_schema", "inputSchema")
            checks.equal("a closed schema", (schema["additionalProperties"], schema["required"]), (False, ["command"]))
            for part in progress, output, talk, cancel, fail, bad_input:
                await part(client)
        await nowhere(mode)
        await another_session(mode)
        await approval(mode)
        await policies(mode)
    home.shut_down(checks)
    checks.done(f"start_command at once, progress, merged output, grep and pages, input, a tree cancelled, exit code and last line, retry "
                f"with env, refusals, a killed session; approval by the API and by form: once, always, no{'; in both eras' if len(modes) > 1 else ''}")


asyncio.run(main())
