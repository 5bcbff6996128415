"""The tables of docs/bench-service.md."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pages import fill
from reliability.report import machine

from .load import CONNECTIONS, Load
from .memory import JOBS, Memory
from .systems import Round

BARE, SERVICE, FETCHING = "bare engine", "service", "service, archive fetched"
PEER = "FastAPI and PyTorch"
_PAGE = Path("docs/bench-service.md")

# By the name of the system and the number of clients; the n-th rounds of all systems ran one after the other.
Rounds = dict[tuple[str, int], list[Round]]


@dataclass(frozen=True)
class Figures:
    """Everything that was measured in one run."""

    rounds: Rounds
    # MiB after the rounds, by system.
    resident: dict[str, float]
    loads: list[Load]
    memory: Memory
    threads: str


def write(figures: Figures):
    """Fills the page."""
    parts = {"machine": _machine, "overhead": _overhead, "peer": _peer, "requests": _requests, "memory": _memory}
    fill(_PAGE, {marker: part(figures) for marker, part in parts.items()})


def _machine(figures: Figures) -> str:
    rounds = next(iter(figures.rounds.values()))
    return (f"{machine()}; {figures.threads} threads for tensors on both sides; {len(rounds)} rounds of {rounds[0].attacks} attacks "
            "for every system and number of clients, in turn.\n")


def _overhead(figures: Figures) -> str:
    rows = ["| at once | time of the service / bare engine | with the archive fetched / bare engine |", "| ---: | ---: | ---: |"]
    for clients in _numbers_of_clients(figures.rounds):
        bare = figures.rounds[BARE, clients]
        ratios = [_ratio(figures.rounds[name, clients], bare, _seconds) for name in (SERVICE, FETCHING)]
        rows.append(f"| {clients} | {ratios[0]} | {ratios[1]} |")
    return "\n".join(rows) + "\n"


def _peer(figures: Figures) -> str:
    rows = ["| | at once | attacks per second / FastAPI's | median latency / FastAPI's | adversarial DSC | FastAPI's |",
            "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for clients in _numbers_of_clients(figures.rounds):
        peer = figures.rounds[PEER, clients]
        for name in (SERVICE, FETCHING):
            ours = figures.rounds[name, clients]
            speed, latency = _ratio(ours, peer, Round.per_second), _ratio(ours, peer, _latency)
            rows.append(f"| {name} | {clients} | {speed} | {latency} | {_dsc(ours):.3f} | {_dsc(peer):.3f} |")
    resident = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in figures.resident.items())
    return "\n".join([*rows, "", f"Resident memory after these rounds: {resident}."]) + "\n"


def _requests(figures: Figures) -> str:
    base = figures.loads[0]
    rows = ["| | requests per second | / FastAPI's idle GET | p50 (ms) | p99 (ms) | failed |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for load in figures.loads:
        rows.append(f"| {load.title} | {load.per_second:.0f} | {load.per_second / base.per_second:.2f} | {load.p50_ms:.1f} | "
                    f"{load.p99_ms:.1f} | {load.failed} |")
    return "\n".join([*rows, "", f"wrk with {CONNECTIONS} connections for 5 s, on the machine that serves."]) + "\n"


def _memory(figures: Figures) -> str:
    memory = figures.memory
    return "\n".join([f"| idle | with {JOBS} jobs queued | after they ended |", "| ---: | ---: | ---: |",
                      f"| {memory.idle:.0f} MiB | {memory.queued:.0f} MiB | {memory.ended:.0f} MiB |"]) + "\n"


def _numbers_of_clients(rounds: Rounds) -> list[int]:
    return sorted({clients for _, clients in rounds})


def _ratio(ours: list[Round], theirs: list[Round], measure: Callable[[Round], float]) -> str:
    """Median of the ratios of rounds that ran next to each other, with the extremes."""
    ratios = [measure(a) / measure(b) for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def _seconds(done: Round) -> float:
    return done.seconds


def _latency(done: Round) -> float:
    return statistics.median(done.latencies)


def _dsc(rounds: list[Round]) -> float:
    return statistics.mean(done.adversarial_dsc for done in rounds)
