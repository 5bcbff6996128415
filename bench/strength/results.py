"""The rows of `segprobe evaluate`."""

import csv
from dataclasses import dataclass
from pathlib import Path

EPSILONS = ("1", "2", "4", "8")


@dataclass(frozen=True)
class Row:
    """One image under one attack; `method` is `none` for the clean image."""

    set: str
    image: str
    method: str
    epsilon: str
    dsc: float
    queries: int


def read(path: Path) -> list[Row]:
    """The rows of a results.csv that have scores."""
    rows = []
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            if line["error"]:
                raise ValueError(f"{path}: {line['set']}/{line['image']}: {line['error']}")
            dsc = line["clean_dsc"] if line["method"] == "none" else line["dsc"]
            rows.append(Row(line["set"], line["image"], line["method"], line["epsilon"], float(dsc), int(line["queries"] or 1)))
    return rows


def slug(library: str) -> str:
    """The folder of a library's files and scores."""
    return "".join(c if c.isalnum() else "-" for c in library)
