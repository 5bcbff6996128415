"""Resident memory of the service while many jobs wait, and after they have ended."""

import time
from dataclasses import dataclass

from reliability.audit import wait_for_all

from .load import LONG_ATTACK
from .systems import Service

JOBS = 200


@dataclass(frozen=True)
class Memory:
    """In MiB."""

    idle: float
    queued: float
    ended: float


def measure(service: Service) -> Memory:
    """The service has one worker, which a long attack holds while the others are queued."""
    # The first attack takes what the engine keeps; that is not the queue's.
    service.submit(0, {"method": "fgsm"}, wait=True)
    idle = _settled(service)
    ahead = service.submit(0, LONG_ATTACK).json()["id"]
    for number in range(JOBS):
        service.submit(number, {"method": "fgsm"})
    queued = _settled(service)
    service.cancel(ahead)
    wait_for_all(service.client, 600)
    return Memory(idle, queued, _settled(service))


def _settled(service: Service) -> float:
    time.sleep(2)
    return service.resident_mib()
