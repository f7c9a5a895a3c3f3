"""Django's settings for tests: everything in a temporary folder, made before Config is read."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

OWN = os.getpid()
FOLDER = Path(tempfile.mkdtemp(prefix="tidegate-test-"))


def _remove() -> None:
    if os.getpid() == OWN:
        shutil.rmtree(FOLDER, ignore_errors=True)


atexit.register(_remove)
for name in [name for name in os.environ if name.startswith(("TIDEGATE_", "AWS_"))]:
    del os.environ[name]
os.environ["TIDEGATE_DATA_DIR"] = str(FOLDER)
os.environ["RECORD_LOG_URL"] = "memory:"
os.environ["TIDEGATE_CONTROL_RATES"] = "off"  # tests make many calls in no time; those about rates turn them on
os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"  # nothing listens: a hint to workers is logged and dropped

from console.settings import *  # noqa: E402, F403
from console.settings import DATABASES  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because threads share it as processes do. Power cuts do not happen to tests.
    DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA busy_timeout=120000;"
    )
DATABASES["default"]["CONN_MAX_AGE"] = 0

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
