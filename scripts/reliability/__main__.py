"""Plays every fault on a fresh service, audits its jobs, and fills the table of docs/reliability.md."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from . import report
from .audit import audit
from .faults import Fault, clients_gone, clock, corrupt, disk_full, full_queue, killed, locked, terminated
from .scene import Scene, Uninjectable

_FAULTS: dict[str, Fault] = {
    module.__name__.rsplit(".")[-1]: module.FAULT
    for module in (killed, disk_full, corrupt, clients_gone, clock, locked, terminated, full_queue)
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(_FAULTS)}; all of them by default")
    asked = parser.parse_args()
    if unknown := set(asked.faults) - set(_FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")

    began, rows = time.monotonic(), []
    for name in asked.faults or _FAULTS:
        shutil.rmtree(asked.out / name, ignore_errors=True)
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        row = play(_FAULTS[name], Scene(asked.binary, asked.out / name, f"{asked.seed} {name}", _FAULTS[name].settings))
        (asked.out / name / "report.json").write_text(report.details(row) + "\n")
        print(f"{'ok' if row.good() else 'BROKEN'} after {time.monotonic() - began:.0f} s", file=sys.stderr)
        if not row.good():
            print(report.details(row), file=sys.stderr)
        rows.append(row)
    if not asked.faults:
        report.write(rows, asked.seed, time.monotonic() - began)
    return 0 if all(row.good() for row in rows) else 1


def play(fault: Fault, scene: Scene) -> report.Row:
    """Injects a fault and audits what is left."""
    times, audited, failure, silence = 0, None, None, 0.0
    try:
        with scene.watched() as watch:
            times = fault.inject(scene)
        silence = watch.longest
        audited = audit(scene.client, scene.ledger)
    except Uninjectable as error:
        failure = str(error)
    except Exception as error:  # whatever it was, this fault has proved nothing, and the others go on
        failure = repr(error)
    finally:
        scene.server.kill()
        fault.clean_up(scene)
    return report.Row(fault.title, times, audited, scene.ledger, silence, scene.notes, failure)


if __name__ == "__main__":
    sys.exit(main())
