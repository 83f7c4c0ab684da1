"""The bench's departure in Celery: 14 tasks that do nothing, in the stages 1,
4, 4, 4, 1, each stage after all of the last, as Celery does it with chains,
groups and chords.

As durable as Celery is: quorum queues, publisher confirms, acknowledged late,
results in Redis. It is set up as it is fastest here under these conditions:
worker processes of one thread each ("solo"), no gossip, no events.

The last task tells the bench through a list in Redis, which is what a result
that is waited for would cost too.
"""

import os

import redis
from celery import Celery, chain, group
from kombu import Queue

STORE = os.environ["BENCH_STORE"]
DONE = "bench:done"

app = Celery("departures", broker=os.environ["BENCH_BROKER"], backend=STORE)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="departures",
    task_default_queue_type="quorum",
    task_queues=[Queue("departures", queue_arguments={"x-queue-type": "quorum"})],
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=32,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=600,
)
store = redis.Redis.from_url(STORE)


@app.task(ignore_result=False)
def step(departure, stage, task):
    return None


@app.task(ignore_result=False)
def last(departure):
    store.lpush(DONE, departure)


def departure(number):
    def stage(n):
        return group(step.si(number, n, task) for task in range(4))

    return chain(step.si(number, 0, 0), stage(1), stage(2), stage(3), last.si(number))
