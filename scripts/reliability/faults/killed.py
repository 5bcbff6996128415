"""kill -9 at random moments, some of them while the service is still starting."""

from time import sleep

from ..scene import Scene
from . import Fault

_TIMES = 20


def inject(scene: Scene) -> int:
    scene.server.start()
    with scene.traffic(per_second=4):
        for _ in range(_TIMES):
            sleep(scene.random.uniform(0.05, 3))
            if not scene.server.alive():
                scene.ledger.wrong.append("the service ended before it was killed")
            scene.server.kill()
            scene.server.start(wait=False)
        scene.server.wait_until_ready()
    return _TIMES


# A job may be begun as often as the service is killed: this fault is not the job's.
FAULT = Fault("kill -9 at a random moment, then a restart", inject, {"SEGPROBE_QUEUE__MAX_ATTEMPTS": str(_TIMES + 2)})
