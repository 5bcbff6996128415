"""The rows of `segprobe evaluate`, and means with intervals."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

RESAMPLES = 2000
EPSILONS = ("1", "2", "4", "8")


@dataclass(frozen=True)
class Row:
    """One image under one attack; `method` is `none` for the clean image."""

    set: str
    image: str
    method: str
    epsilon: str
    dsc: float
    iou: float
    queries: int


def read(path: Path) -> list[Row]:
    """The rows of a results.csv that have scores."""
    rows = []
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            if line["error"]:
                raise ValueError(f"{path}: {line['set']}/{line['image']}: {line['error']}")
            clean = line["method"] == "none"
            dsc, iou = (line["clean_dsc"], line["clean_iou"]) if clean else (line["dsc"], line["iou"])
            rows.append(Row(line["set"], line["image"], line["method"], line["epsilon"], float(dsc), float(iou),
                            int(line["queries"] or 1)))
    return rows


def read_all(folder: Path) -> list[Row]:
    """The rows of every results.csv one folder below."""
    return [row for path in sorted(folder.glob("*/results.csv")) for row in read(path)]


def interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean by the percentile bootstrap."""
    stream = random.Random(0)
    means = sorted(fmean(stream.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


def with_interval(values: list[float]) -> str:
    low, high = interval(values)
    return f"{fmean(values):.3f} [{low:.3f}, {high:.3f}]"
