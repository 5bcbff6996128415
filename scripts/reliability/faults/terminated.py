"""SIGTERM while attacks run that are longer than the grace they get."""

from subprocess import TimeoutExpired
from time import sleep

from ..scene import Scene
from . import Fault

_TIMES = 6
_GRACE_SECONDS = 2
_PATIENCE_SECONDS = _GRACE_SECONDS + 15


def inject(scene: Scene) -> int:
    scene.server.start()
    with scene.traffic(per_second=3):
        for _ in range(_TIMES):
            scene.begin_long_attacks()
            sleep(scene.random.uniform(0, 0.5))
            _terminate(scene)
            scene.server.start()
    return _TIMES


def _terminate(scene: Scene):
    try:
        code = scene.server.terminate(_PATIENCE_SECONDS)
    except TimeoutExpired:
        scene.ledger.wrong.append(f"the service was still there {_PATIENCE_SECONDS} s after SIGTERM")
        scene.server.kill()
        return
    if code != 0:
        scene.ledger.wrong.append(f"the service ended with {code} on SIGTERM")


FAULT = Fault("SIGTERM during work, then a restart", inject, {"SEGPROBE_SERVER__SHUTDOWN_GRACE_SECONDS": str(_GRACE_SECONDS)})
