"""Runs all comparisons and fills docs/bench-service.md."""

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from . import load, memory, page
from .systems import BareEngine, FastApi, Round, Service

CLIENTS = (1, 8)


def main():
    parser = argparse.ArgumentParser(prog="service", description=__doc__)
    parser.add_argument("--target", type=Path, required=True, help="folder of the built programs")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has requirements.txt")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--attacks", type=int, default=16, help="attacks of a round")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    threads = os.environ["THREADS"]
    data = asked.out / "data"
    shutil.rmtree(data, ignore_errors=True)
    # The interpreter is not resolved: a link of a virtual environment is what makes it one.
    peer = FastApi(asked.python, data / "fastapi", threads)
    service = Service(asked.target, data / "rounds", threads)
    bare = BareEngine(asked.target, threads)
    started = [peer, service, bare]
    try:
        rounds = side_by_side(bare, service, peer, asked.attacks, asked.rounds)
        resident = {"Segprobe's service": service.resident_mib(), "FastAPI and PyTorch": peer.resident_mib(),
                    "bare engine": bare.resident_mib()}
        bare.stop()
        service.stop()
        started.append(loaded := Service(asked.target, data / "load", threads, load.ONE_WORKER))
        loads = load.measure(loaded, peer, data)
        loaded.stop()
        peer.stop()
        started.append(waiting := Service(asked.target, data / "memory", threads, load.ONE_WORKER))
        memories = memory.measure(waiting)
    finally:
        for system in started:
            system.stop()
    raw = {"rounds": {f"{name} x {clients}": [asdict(r) for r in rs] for (name, clients), rs in rounds.items()},
           "resident_mib": resident, "loads": list(map(asdict, loads)), "memory": asdict(memories)}
    (asked.out / "figures.json").write_text(json.dumps(raw, indent=1) + "\n")
    page.write(page.Figures(rounds, resident, loads, memories, threads))


def side_by_side(bare: BareEngine, service: Service, peer: FastApi, attacks: int, repeats: int) -> page.Rounds:
    """Rounds of all systems in turn, so that a slow minute of the machine is nobody's alone."""
    rounds: page.Rounds = {}
    # One small round each takes what is built at the first use.
    for system in (bare, service, peer):
        system.round(1, 4)
    for repeat in range(repeats):
        for clients in CLIENTS:
            for name, system, fetch in ((page.BARE, bare, False), (page.SERVICE, service, False),
                                        (page.FETCHING, service, True), (page.PEER, peer, False)):
                service.fetch = fetch
                done: Round = system.round(clients, attacks)
                rounds.setdefault((name, clients), []).append(done)
                print(f"round {repeat + 1}, {clients} at once, {name}: {done.per_second():.2f} attacks/s, "
                      f"DSC {done.adversarial_dsc:.3f}, p50 {statistics.median(done.latencies or [0]):.2f} s", file=sys.stderr)
    return rounds


if __name__ == "__main__":
    main()
