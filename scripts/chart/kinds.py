"""The table of docs/helm.md that says how many objects of which kind each values file makes."""

import re
from collections import Counter

from .helm import ROOT, Helm, objects, values_files

_PAGE = ROOT / "docs/helm.md"
_HEAD = re.compile(r"^\| kind \| ([a-z |]+) \| why \|$", re.MULTILINE)
_ROW = re.compile(r"^\| ([A-Z][A-Za-z]+) \| ([0-9 |]+) \| \S.* \|$", re.MULTILINE)


def complaints(helm: Helm) -> list[str]:
    page = _PAGE.read_text()
    head = _HEAD.search(page)
    if head is None:
        return [f"{_PAGE.relative_to(ROOT)} has no table that begins with | kind |"]
    columns = head[1].split(" | ")
    written = {kind: dict(zip(columns, map(int, counts.split(" | ")), strict=True)) for kind, counts in _ROW.findall(page)}
    made = {name: Counter(thing["kind"] for thing in objects(helm.template(path))) for name, path in values_files().items()}
    found = [f"{_PAGE.relative_to(ROOT)}: no column of {name}" for name in sorted(set(made) ^ set(columns))]
    for kind in sorted(set(written) | {kind for counts in made.values() for kind in counts}):
        for name in sorted(set(made) & set(columns)):
            says = written.get(kind, {}).get(name, 0)
            if says != made[name][kind]:
                found.append(f"{_PAGE.relative_to(ROOT)}: values-{name}.yaml makes {made[name][kind]} of kind {kind}, not {says}")
    return found
