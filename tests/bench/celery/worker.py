"""A worker process of the bench's Celery: says when it is ready, and ends when
its input does."""

import os
import signal
import sys
import threading

from celery.signals import worker_ready

from departures import app

# What the worker prints goes to its log; only its word goes to the bench.
words = os.fdopen(os.dup(sys.stdout.fileno()), "w")
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


@worker_ready.connect
def ready(**_):
    print("ready", file=words, flush=True)


def end_with_the_bench():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_the_bench, daemon=True).start()
app.worker_main(
    [
        "worker",
        "--pool=solo",
        "--loglevel=WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        f"--hostname={sys.argv[1]}@bench",
    ]
)
