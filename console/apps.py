import importlib

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    label = "console"

    def ready(self) -> None:
        """Hints to workers (apps/leases/wake.py) go out through our Celery application, whoever sends them."""
        importlib.import_module("workers.app")
