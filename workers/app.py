"""The Celery application: settings from Config, and one Runtime per pool process.

Messages are hints. They carry no truth, no result and no time: a row's due time says when work is wanted.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from typing import Any

import django
import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning
from django.apps import apps
from django.db import close_old_connections, connections
from kombu import Queue

from apps.base import logs
from apps.base.config import Config, name_django_settings
from apps.base.processes import die_with
from apps.metrics import flush
from apps.runtime import Runtime, build
from workers import heartbeat
from workers.schedule import beat_schedule

log = structlog.get_logger(__name__)

MODULES = (
    "workers.slices",
    "workers.lifecycle",
    "workers.queues",
    "workers.retention",
    "workers.metering",
    "workers.closing",
    "workers.throttling",
    "workers.ingestion",
    "workers.metrics",
    "workers.alarms",
    "workers.budgets",
    "workers.delivery",
    "workers.delivery_jobs",
)
"""Every file that writes a task."""

TASK_TIME_LIMIT_S = 60
VISIBILITY_TIMEOUT_S = 120

QUEUES = {
    "control": ("lifecycle", "queues", "throttling", "delivery-streams"),
    "jobs": ("ingestion", "alarm-actions", "budget-alerts"),
    "delivery": ("delivery", "delivery-jobs"),
    "upkeep": ("retention", "metering", "closing", "rollup", "alarms", "budgets"),
}
"""Which kinds of slices travel by which queue; ticks travel by `control`. `delivery` has a worker of its own
(delivery_worker.py)."""


def broker_url(redis: str) -> str:
    """kombu's spelling of a redis:// or unix:// URL."""
    return "redis+socket://" + redis.removeprefix("unix://") if redis.startswith("unix://") else redis


def settings(config: Config) -> dict[str, Any]:
    """Celery's settings. The two unacked_restore figures bring a killed worker's message back in seconds: by default
    kombu looks for such messages only every hundred seconds."""
    return {
        "broker_url": broker_url(config.redis),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
            "socket_timeout": 15,
            "max_retries": 0,  # of a hint's connection: a caller of the control plane waits six seconds for it otherwise
        },
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_time_limit": TASK_TIME_LIMIT_S,
        "task_default_queue": "control",
        "task_create_missing_queues": False,
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
        "task_routes": {f"tidegate.{kind}": {"queue": name} for name, kinds in QUEUES.items() for kind in kinds},
        "worker_prefetch_multiplier": 1,
        "worker_proc_alive_timeout": 60,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "result_backend": None,
        "timezone": "UTC",
        "beat_schedule": beat_schedule(),
        "beat_scheduler": "workers.schedule:Scheduler",
        "beat_max_loop_interval": 1,
        "include": MODULES,
    }


name_django_settings()
warnings.simplefilter("ignore", SecurityWarning)  # in a container root is an ordinary user
app = Celery("tidegate", fixups=[])
app.conf.update(settings(Config.from_environment()))
app.set_default()

_runtimes: list[Runtime] = []
_main_process: list[int] = []
_flushers: list[flush.FlushThread] = []


def runtime() -> Runtime:
    """This process's Runtime, built and opened at the first call: in a pool process, after the fork."""
    if not _runtimes:
        built = build(Config.from_environment())
        built.open_in_thread()
        use(built)
    return _runtimes[0]


def use(given: Runtime | None) -> None:
    """Set (None: take away) this process's Runtime: for tests."""
    _runtimes[:] = [given] if given is not None else []


def owner() -> str:
    """Who this process is in lease rows and heartbeats."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


@signals.setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    """Celery then leaves logging alone. It says a line per task, which is a line per tick."""
    logs.configure()
    for chatty in ("celery", "kombu", "amqp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@signals.import_modules.connect
def _set_up_django(**_: Any) -> None:
    """Before the tasks' files, which import models."""
    if not apps.ready and app.conf.include:
        django.setup()


@signals.worker_init.connect
def _remember_main_process(**_: Any) -> None:
    _main_process[:] = [os.getpid()]


@signals.worker_process_init.connect
def _open_pool_process(**_: Any) -> None:
    """Die with the worker that forked this process; then open what must not cross a fork."""
    if _main_process != [os.getpid()]:
        die_with(_main_process[0])
    connections.close_all()
    heartbeat.send(runtime().config.redis, owner())
    _flushers.append(flush.start(runtime()))


@signals.task_prerun.connect
def _drop_old_connections(**_: Any) -> None:
    """Database connections that broke or are too old for another task."""
    close_old_connections()


@signals.worker_process_shutdown.connect
def _close_runtime(**_: Any) -> None:
    while _flushers:
        _flushers.pop().stop()
    for opened in _runtimes:
        opened.close_in_thread()
    use(None)
