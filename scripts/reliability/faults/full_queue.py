"""More orders than the queue holds: clients come again when they are told to."""

import threading

from ..scene import Scene, Uninjectable
from . import Fault

_CLIENTS, _ORDERS_EACH = 10, 8


def inject(scene: Scene) -> int:
    scene.server.start()
    buyers = [threading.Thread(target=_buy, args=(scene,)) for _ in range(_CLIENTS)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    if not scene.ledger.refusals[429]:
        raise Uninjectable("the queue was never full")
    return scene.ledger.refusals[429]


def _buy(scene: Scene):
    for _ in range(_ORDERS_EACH):
        scene.ledger.place(scene.client, scene.order())


FAULT = Fault(
    "queue full: orders refused, placed again after Retry-After",
    inject,
    {"SEGPROBE_QUEUE__MAX_QUEUED": "6", "SEGPROBE_QUEUE__WORKERS": "2"},
)
