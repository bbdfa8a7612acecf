"""Kill the daemon at random moments of a training, and hold the end against that of an unbroken one.

kill.py BIN CORPUS.jsonl KILLS
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

bin_, corpus, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
home = tempfile.mkdtemp(prefix="durable-training-")
env = {**os.environ, "DURABLE_HOME": home}
EPOCHS = int(os.environ.get("TRAINING_EPOCHS", "8"))
args = ["training", "spam", "--dataset", corpus, "--epochs", str(EPOCHS), "--test-split", "0.2"]


def ctl(*words):
    done = subprocess.run([f"{bin_}/durablectl", *words], env=env, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"durablectl {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout


def restart():
    return json.loads(ctl("restart", "--json"))["pid"]


def start():
    return ctl("start", *args).decode().strip()


def status(task):
    return json.loads(ctl("status", task, "--json"))


def ended(task):
    for _ in range(3000):
        t = status(task)
        if t["status"] in ("completed", "failed", "cancelled"):
            return t
        if t["phase"] == "paused":  # three kills in a row before the next epoch: a crash loop, by the rules
            ctl("resume", task)
        time.sleep(0.2)
    sys.exit("the training does not end")


def reached(task, epoch):
    for _ in range(6000):
        t = status(task)
        if t["status"] == "running" and t["phase"] == "running" and (t["progress"] or {}).get("done", 0) >= epoch:
            return t
        if t["status"] in ("completed", "failed", "cancelled"):
            sys.exit(f"the training is {t['status']} before epoch {epoch} was seen: {t['error']}")
        time.sleep(0.05)
    sys.exit(f"the training does not come to epoch {epoch}")


def outcome(task):
    series = ctl("artifacts", task, "metrics.csv").decode().splitlines()
    return [line.rsplit(",", 1)[0] for line in series], ctl("artifacts", task, "model.safetensors")


seed = int(os.environ.get("TRAINING_SEED", time.time()))
print(f"seed {seed}")
moments = random.Random(seed)
try:
    pid = restart()
    whole = start()
    unbroken = ended(whole)
    assert unbroken["status"] == "completed", unbroken["error"]
    seconds = unbroken["result"]["training_time_seconds"]
    task, done = start(), []
    # Each within another epoch, and none so late that a stalled script finds the training at its end.
    for epoch in sorted(moments.sample(range(EPOCHS - 2), kills)):
        t = reached(task, epoch)
        time.sleep(moments.uniform(0, seconds / EPOCHS))
        os.kill(pid, signal.SIGKILL)
        done.append(t["progress"]["done"])
        pid = restart()
    broken = ended(task)
    assert broken["status"] == "completed", broken["error"]
    print(f"killed {len(done)} times, after epochs {done}; {broken['attempt']} attempts")
    assert broken["attempt"] > 1, "the kills hit nothing"
    keys = ("epochs_completed", "final_loss", "final_accuracy", "test_loss", "test_accuracy", "test_f1")
    assert all(broken["result"][k] == unbroken["result"][k] for k in keys), (broken["result"], unbroken["result"])
    assert outcome(task) == outcome(whole), "the series or the model differ"
    print("the same metrics and, byte for byte, the same model")
finally:
    subprocess.run([f"{bin_}/durablectl", "shutdown"], env=env)
    subprocess.run(["rm", "-rf", home])
