"""The table of docs/reliability.md."""

import json
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pages import fill

from .audit import Audited
from .orders import Ledger

_PAGE = Path("docs/reliability.md")
_HEAD = ("fault", "times", "accepted", "ended", "of these succeeded", "lost", "duplicated", "half-written served",
         "wrong answers", "refused, then placed again or given up", "longest without an answer (s)",
         "longest until accepted (s)")


@dataclass(frozen=True)
class Row:
    """What one fault did. `failure` says why nothing was proved."""

    title: str
    times: int
    audited: Audited | None
    ledger: Ledger
    longest_silence: float
    notes: list[str]
    failure: str | None = None

    def good(self) -> bool:
        return self.failure is None and self.ledger.breaches() == 0

    def cells(self) -> list[str]:
        if self.failure:
            return [self.title, f"**not proved: {self.failure}**", *[""] * (len(_HEAD) - 2)]
        ledger, audited = self.ledger, self.audited
        breaches = (ledger.lost, ledger.duplicated, ledger.half_written, ledger.wrong)
        refusals = ", ".join(f"{times} x {status}" for status, times in sorted(ledger.refusals.items()))
        numbers = (self.times, audited.accepted, audited.ends.total(), audited.ends["succeeded"], *map(len, breaches))
        return [self.title, *map(str, numbers), refusals or "none", f"{self.longest_silence:.1f}",
                f"{ledger.longest_until_accepted:.1f}"]


def write(rows: list[Row], seed: int, duration_seconds: float):
    """Fills the page's table."""
    table = ["| " + " | ".join(_HEAD) + " |", "| --- |" + " ---: |" * (len(_HEAD) - 1)]
    table += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    begun_again = sum(row.audited.begun_again for row in rows if row.audited)
    cancelled = sum(row.audited.ends["cancelled"] for row in rows if row.audited)
    broken = sum(row.ledger.broken_connections for row in rows)
    table += ["", f"Seed {seed}, {duration_seconds / 60:.0f} minutes on {machine()}. {begun_again} jobs were begun more than once, "
              f"{cancelled} were cancelled by their client, {broken} requests broke off and were sent again with the same key."]
    fill(_PAGE, {"faults": "\n".join(table)})


def details(row: Row) -> str:
    """One fault as JSON, with every breach in words."""
    ledger = row.ledger
    breaches = dict(lost=ledger.lost, duplicated=ledger.duplicated, half_written=ledger.half_written, wrong=ledger.wrong)
    ends = dict(row.audited.ends) if row.audited else None
    return json.dumps(dict(fault=row.title, cells=row.cells(), ends=ends, notes=row.notes, failure=row.failure, **breaches), indent=2)


def machine() -> str:
    """Processor and number of cores."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores of {models[0] if models else platform.processor()}, Python {sys.version.split()[0]}"
