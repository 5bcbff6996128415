"""What a step should reach beside PyTorch, and whether it did."""

from collections.abc import Iterable
from dataclasses import dataclass

from .figures import Case, Figures, Ratio

_F32 = ("naive", "trunc", "trunc-malloc", "trunc-compile")
# Ours, theirs (the fastest counts), how many times faster, sizes, batches.
_SPEED = [
    ("f32", ("torchattacks-naive",), 1.5, "full"),
    ("f32", _F32, 1.25, "full"),
    ("bf16", ("torchattacks-naive",), 2.2, "full"),
    ("bf16", ("bf16",), 1.2, "full"),
    ("f32", ("trunc-compile",), 1.5, "small"),
]
_MEMORY, _CONCURRENCY = 0.6, 1.5
# The cost of an image may grow by so much from the shortest queue to the longest.
_FLAT = 1.1


@dataclass(frozen=True)
class Target:
    text: str
    wanted: str
    measured: str
    met: bool | None  # None: not measured


def all_of(figures: Figures, batches: Iterable[int]) -> list[Target]:
    batches = list(batches)
    return [*(_speed(figures, batch, *row) for row in _SPEED for batch in batches), *_memory(figures), _concurrency(figures),
            _queue(figures)]


def _speed(figures: Figures, batch: int, dtype: str, names: tuple[str, ...], wanted: float, size: str) -> Target:
    found = figures.speed_up(Case(size, batch, f"segprobe {dtype}"), names)
    theirs = names[0] if len(names) == 1 else "the fastest f32 of PyTorch"
    if found and len(names) > 1:
        theirs += f" ({found.name})"
    text = f"{dtype} step, {size}, batch {batch}: times faster than {theirs}"
    return Target(text, f">= {wanted:g}", spread(found), found and found.middle >= wanted)


def _memory(figures: Figures) -> list[Target]:
    targets = []
    for loading, what in ((False, "while stepping"), (True, "of the process, loading included")):
        ours, theirs = (figures.rss_mib(Case("full", 1, name), loading) for name in ("segprobe f32", "naive"))
        share = ours / theirs if ours and theirs else None
        text = f"peak memory {what}, f32, full, batch 1: share of naive's"
        targets.append(Target(text, f"<= {_MEMORY}", f"{share:.2f}" if share else "-", share and share <= _MEMORY))
    return targets


def _concurrency(figures: Figures) -> Target:
    text = "8 attacks at once on the demo model: times the throughput of one at a time"
    wanted = f">= {_CONCURRENCY}"
    if not figures.concurrency:
        return Target(text, wanted, "-", None)
    found = figures.concurrency["throughput"][0]
    ratios = sorted(a["seconds"] / b["seconds"] for a, b in zip(found["alone"], found["together"]))
    middle = (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2
    return Target(text, wanted, spread(Ratio(middle, ratios[0], ratios[-1], "")), middle >= _CONCURRENCY)


def _queue(figures: Figures) -> Target:
    queues = figures.queue["queues"] if figures.queue else []
    lengths = f"from {queues[0]['jobs']} to {queues[-1]['jobs']} queued" if queues else "with the length of the queue"
    growth = queues[-1]["seconds_per_image"] / queues[0]["seconds_per_image"] if queues else None
    text = f"time per image {lengths} attacks: growth"
    return Target(text, f"<= {_FLAT}", f"{growth:.2f}" if growth else "-", growth and growth <= _FLAT)


def spread(ratio: Ratio | None) -> str:
    return f"{ratio.middle:.2f} [{ratio.least:.2f}, {ratio.most:.2f}]" if ratio else "-"
