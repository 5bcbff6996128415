"""Everything that was measured in one run, and what follows from it."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from .gradients import TOLERANCE, Agreement
from .systems import Measured


@dataclass(frozen=True)
class Case:
    size: str
    batch: int
    name: str

    def __str__(self):
        return f"{self.size}, batch {self.batch}, {self.name}"


@dataclass(frozen=True)
class Ratio:
    """Theirs over ours: the median of rounds, and the extremes."""

    middle: float
    least: float
    most: float
    name: str  # whom we are compared with


@dataclass
class Figures:
    threads: int
    rounds: int
    runs: int
    measured: dict[Case, list[Measured]] = field(default_factory=dict)
    failures: dict[Case, str] = field(default_factory=dict)
    agreements: dict[Case, Agreement] = field(default_factory=dict)
    concurrency: dict | None = None
    queue: dict | None = None

    def step_s(self, case: Case) -> float | None:
        found = self.measured.get(case)
        return statistics.median(statistics.median(m.step_s) for m in found) if found else None

    def rss_mib(self, case: Case, loading: bool) -> float | None:
        """Most memory of the steps, or of the whole process with its loading."""
        found = self.measured.get(case)
        peaks = [max(m.peak_rss_mib, m.loading_peak_rss_mib) if loading else m.peak_rss_mib for m in found or []]
        return statistics.median(peaks) if peaks else None

    def speed_up(self, ours: Case, names: Iterable[str]) -> Ratio | None:
        """How many times faster than the fastest of `names` a configuration is, round by round."""
        rivals = [Case(ours.size, ours.batch, name) for name in names]
        rivals = [rival for rival in rivals if rival in self.measured]
        if ours not in self.measured or not rivals:
            return None
        fastest = min(rivals, key=self.step_s)
        pairs = zip(self.measured[fastest], self.measured[ours])
        ratios = [statistics.median(theirs.step_s) / statistics.median(own.step_s) for theirs, own in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios), fastest.name)

    def wrong_gradients(self) -> list[Case]:
        """Our f32 gradients that differ from the exact one by more than rounding explains."""
        return [case for case, found in self.agreements.items()
                if case.name == "segprobe f32" and not found.beyond_kinks <= TOLERANCE]

    def raw(self) -> dict:
        return {"threads": self.threads, "rounds": self.rounds, "runs": self.runs,
                "measured": {str(case): [asdict(m) for m in found] for case, found in self.measured.items()},
                "failures": {str(case): text for case, text in self.failures.items()},
                "gradients": {str(case): asdict(found) for case, found in self.agreements.items()},
                "concurrency": self.concurrency, "queue": self.queue}
