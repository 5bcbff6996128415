"""One file per fault. Each has a `FAULT` that says how the service is set up and how the fault is injected."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..scene import Scene


@dataclass(frozen=True)
class Fault:
    """`inject` runs on a service that is not started yet, leaves it ready, and answers how often the fault happened."""

    title: str
    inject: Callable[[Scene], int]
    settings: dict[str, str] = field(default_factory=dict)
    # Undoes what `inject` did to the machine, once the service has ended.
    clean_up: Callable[[Scene], None] = lambda scene: None
