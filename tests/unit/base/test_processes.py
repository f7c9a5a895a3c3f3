"""What a process asks of the kernel."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's schedulers")
def test_threads_begun_later_do_not_interrupt_either() -> None:
    program = (
        "import os, threading\n"
        "from apps.base.processes import finish_before_others\n"
        "finish_before_others()\n"
        "thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0)))\n"
        "thread.start(); thread.join()"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(said.stdout) == os.SCHED_BATCH
