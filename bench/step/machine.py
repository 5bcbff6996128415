"""Runs one process at a time on a quiet machine, and what else the machine did meanwhile."""

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CALM_CORES = 0.15
CALM_SECONDS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Done:
    """The end of a process. `others` is what other processes took of the machine, in cores."""

    output: str
    error: str
    failed: bool
    others: float


def busy_seconds() -> float:
    """CPU time of all processes since the machine was started."""
    user, nice, system, _, _, interrupts, soft, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / _TICKS


def wait_until_quiet(most: float):
    """Waits, but not for ever, until the machine has been idle for a moment."""
    end, calm = time.monotonic() + most, 0
    while calm < CALM_SECONDS and time.monotonic() < end:
        before = busy_seconds()
        time.sleep(1)
        calm = calm + 1 if busy_seconds() - before < CALM_CORES else 0


def run(command: list, environment: dict[str, str]) -> Done:
    before, own, began = busy_seconds(), _children_seconds(), time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, **environment})
    others = (busy_seconds() - before) - (_children_seconds() - own)
    return Done(done.stdout, done.stderr, done.returncode != 0, max(others, 0.) / (time.monotonic() - began))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
