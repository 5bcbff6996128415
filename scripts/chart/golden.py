"""Renders that are kept, so that a change of the chart shows what it changes."""

import difflib

from .helm import ROOT

GOLDEN = ROOT / "k8s/golden"


def compare(name: str, rendered: str) -> list[str]:
    """How a render differs from the one that is kept; a name is that of a file."""
    path = GOLDEN / name
    if not path.exists():
        return [f"{path.relative_to(ROOT)} is missing: scripts/chart-check.sh --update writes it"]
    kept = path.read_text()
    if kept == rendered:
        return []
    lines = difflib.unified_diff(kept.splitlines(), rendered.splitlines(), "kept", "rendered", lineterm="", n=2)
    changed = "\n".join(lines)
    return [f"{path.relative_to(ROOT)} differs; if that is meant, scripts/chart-check.sh --update writes it anew\n{changed}"]


def strangers(names: set[str]) -> list[str]:
    """Files that no values file makes any more."""
    found = sorted(path for path in GOLDEN.glob("*") if path.name not in names)
    return [f"{path.relative_to(ROOT)} belongs to no values file: delete it" for path in found]


def write(name: str, rendered: str) -> None:
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / name).write_text(rendered)
