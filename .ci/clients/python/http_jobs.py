"""The tutorial's two other jobs, asked for as its client does, over HTTP, to their ends: start_batch_processing(50, 500, 0.3)
and start_ml_training("clasificador-texto", 5000, 50). FastMCP 2.11.3 and 4.x run the same."""

import asyncio
import importlib.metadata

from harness import TASK_KEYS, URI, Checks, TutorialClient
from over_http import Server, connect, info, poll

BATCH_KEYS = ["processed", "total", "batch_size", "processing_delay", "success"]
TRAINING_KEYS = ["model_name", "dataset_size", "epochs_completed", "final_loss", "final_accuracy", "success", "training_time_seconds"]
SECONDS = 300  # a bound: the machine may be loaded

version = importlib.metadata.version("fastmcp")
checks = Checks(f"FastMCP {version} over HTTP")


async def job(server, tool, arguments, said, line):
    """Starts a job, watches it to its end, and returns its result. said are the log notifications, with a place for the URI."""
    logs = []
    async with connect(server, logs) as client:
        uri = (await client.call_tool(tool, arguments)).content[0].text
        checks.match("the first content", URI, uri)
        lines, end = await poll(checks, client, uri, SECONDS)
        checks.true(f"{tool} has ended", end, lines)
        checks.equal("keys of a task", list(end)[: len(TASK_KEYS)], TASK_KEYS)
        checks.equal("how it ended", (end["status"], end["progress"]), ("completed", 100))
        checks.match("its last message", line, end["message"])
        for shown in lines:
            before, message = shown.rsplit(" | ", 1)
            if before.endswith("RUNNING") and not before.startswith("[" + "░" * 20):
                checks.match("a line", line, message)
        want = [info(text.format(uri=uri)) for text in said]
        await checks.until("log notifications", lambda: all(w in logs for w in want), 60)
        checks.equal("log notifications", [entry for entry in logs if entry in want], want)
    return end["result_data"]


async def main():
    server = Server(checks, "j" + version[0], "--http-auth", "none", anywhere=True)
    await server.ready()
    batch = await job(
        server, "start_batch_processing", {"batch_size": 50, "total_items": 500, "processing_delay": 0.3}, [
            "Starting batch processing: 500 items in batches of 50",
            "Batch processing started. Track progress at: {uri}",
            "Batch processing completed: 500 items"], r"Processed \d+/500 items")
    checks.equal("keys of a batch's result", list(batch)[: len(BATCH_KEYS)], BATCH_KEYS)
    checks.equal("a batch's result", [batch[k] for k in BATCH_KEYS], [500, 500, 50, 0.3, True])

    training = await job(
        server, "start_ml_training", {"model_name": "clasificador-texto", "dataset_size": 5000, "epochs": 50}, [
            "Starting training of model 'clasificador-texto' with 5000 samples by 50 epochs",
            "Training started. Track progress at: {uri}",
            "Model 'clasificador-texto' training completed"], r"Epoch \d+/50 - Loss: \d+\.\d{4}, Accuracy: [01]\.\d{4}")
    checks.equal("keys of a training's result", list(training)[: len(TRAINING_KEYS)], TRAINING_KEYS)
    checks.equal("a training's result", [training[k] for k in ("model_name", "dataset_size", "success")], ["clasificador-texto", 5000, True])
    checks.true("its epochs", 1 <= training["epochs_completed"] <= 50, training)
    checks.true("its figures", 0 <= training["final_accuracy"] <= 1 and training["final_loss"] >= 0, training)
    checks.true("its time was measured", training["training_time_seconds"] > 0, training)

    async with connect(server, []) as client:
        stats = await TutorialClient(client).stats()
        checks.equal("statistics", (stats["total_tasks"], stats["completed_tasks"], stats["active_background_tasks"]), (2, 2, 0))
    server.stop()
    checks.done("the tutorial's batch and training to their ends, their progress, results and log notifications")


asyncio.run(main())
