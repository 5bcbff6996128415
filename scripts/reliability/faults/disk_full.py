"""The disk of the data folder is full for some seconds, then has room again."""

import os
import subprocess
from pathlib import Path
from time import monotonic, sleep

from ..scene import Scene, Uninjectable
from . import Fault

_TIMES = 3
_DISK_MIB = 192
_FULL_SECONDS = 6


def inject(scene: Scene) -> int:
    _mount(scene.data)
    scene.server.start()
    ballast = scene.data / "ballast"
    with scene.traffic(per_second=3):
        for _ in range(_TIMES):
            sleep(3)
            _keep_full(ballast)
            if not scene.server.alive():
                scene.ledger.wrong.append("the service ended on a full disk")
                scene.server.start()
            ballast.unlink()
        sleep(3)
    if not scene.ledger.refusals[507] and not scene.ledger.refusals[503]:
        raise Uninjectable("no request was refused while the disk was full")
    return _TIMES


def _mount(folder: Path):
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(folder)]
    done = subprocess.run(options, capture_output=True, text=True)
    if done.returncode != 0:
        raise Uninjectable(f"needs root or user namespaces to mount a small disk: {done.stderr.strip()}")


def _keep_full(ballast: Path):
    """Takes the last byte, and whatever comes free, for some seconds."""
    until = monotonic() + _FULL_SECONDS
    file = os.open(ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        while monotonic() < until:
            for block in (1 << 20, 1 << 12, 1):
                _fill(file, bytes(block))
            sleep(0.05)
    finally:
        os.close(file)


def _fill(file: int, block: bytes):
    try:
        while os.write(file, block):
            pass
    except OSError:
        # Full: that is the aim.
        return


def _unmount(scene: Scene):
    subprocess.run(["umount", str(scene.data)], check=False, capture_output=True)


FAULT = Fault("disk full, then room again", inject, clean_up=_unmount)
