"""Orders the bench's departures of Celery, and says which are done."""

import sys
import threading

import redis

from departures import DONE, STORE, departure


def tell():
    # A connection of its own: it waits most of the time.
    store = redis.Redis.from_url(STORE)
    while True:
        if store.brpop(DONE, timeout=1):
            print("done 1", flush=True)


threading.Thread(target=tell, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    _, first, count = line.split()[:3]
    for number in range(int(first), int(first) + int(count)):
        departure(number).apply_async()
