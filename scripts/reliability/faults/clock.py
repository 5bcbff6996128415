"""The machine's clock jumps by an hour while attacks run, there and back, forwards and backwards.

libfaketime shifts the wall clock only; the monotonic clock stays true, as it does on a real machine.
"""

import os
import time
from datetime import datetime, timezone
from pathlib import Path

from ..scene import Scene, Uninjectable
from . import Fault

_HOUR = 3600
_OFFSETS = (_HOUR, 0, -_HOUR, 0)


def inject(scene: Scene) -> int:
    offset_file = scene.data.parent / "clock"
    scene.server.settings |= {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset_file.resolve()),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    _set(offset_file, 0)
    scene.server.start()
    with scene.traffic(per_second=3):
        for offset in _OFFSETS:
            time.sleep(3)
            scene.begin_long_attacks()
            _set(offset_file, offset)
            _check_the_jump(scene, offset)
        time.sleep(4)
    return len(_OFFSETS)


def _library() -> Path:
    for path in Path("/usr").glob("lib*/**/libfaketimeMT.so.1"):
        return path
    raise Uninjectable("needs libfaketime (Debian: apt-get install faketime)")


def _set(offset_file: Path, seconds: int):
    new = offset_file.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    os.replace(new, offset_file)


def _check_the_jump(scene: Scene, offset: int):
    """A job that is submitted now must be stamped with the shifted time, or nothing was injected."""
    order = scene.order({"method": "fgsm"})
    if not scene.ledger.place(scene.client, order):
        raise Uninjectable("no order was accepted after the clock had jumped")
    stamp = datetime.fromisoformat(scene.client.get(f"/attacks/{order.id}").json()["created_at"])
    shift = (stamp - datetime.now(timezone.utc)).total_seconds()
    if abs(shift - offset) > 120:
        raise Uninjectable(f"the service's clock is {shift:+.0f} s off instead of {offset:+d} s")


FAULT = Fault("clock jumps by an hour, forwards and backwards", inject)
