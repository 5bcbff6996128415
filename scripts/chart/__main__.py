"""Checks the chart: what it renders, what it refuses, and what is written about it."""

import argparse
import re
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import yaml

from . import alerts, changes, golden, kinds, links, pods, settings, structure, table
from .helm import CHART, ROOT, Helm, objects, values_files

_HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="chart-check.sh", description=__doc__)
    parser.add_argument("--tools", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--update", action="store_true", help="write k8s/golden and the README's table anew")
    parser.add_argument("--program", type=Path, help="also let this segprobe read every settings file")
    asked = parser.parse_args()
    helm, promtool = Helm(asked.tools / "bin/helm"), asked.tools / "bin/promtool"
    program = asked.program and asked.program.resolve()
    if asked.update:
        for name, path in values_files().items():
            for file, rendered in helm.kept(name, path).items():
                golden.write(file, rendered)
        table.write()

    began, wrong = time.monotonic(), []
    for title, check in {
        "lint": lambda: [said for path in [None, *values_files().values()] if (said := helm.lint(*([path] if path else [])))],
        "renders": lambda: renders(helm, promtool, program),
        "refusals": lambda: refusals(helm),
        "changes": lambda: changes.complaints(helm),
        "alerts": lambda: alerts.tested(promtool, objects(helm.template(values_files()["scaled"]))),
        "settings": settings.gaps,
        "table": table.complaints,
        "kinds": lambda: kinds.complaints(helm),
        "versions": versions,
    }.items():
        found = check()
        print(f"{title}: {'ok' if not found else f'{len(found)} complaints'}")
        wrong += found
    print(*wrong, sep="\n", file=sys.stderr)
    print(f"took {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def renders(helm: Helm, promtool: Path, program: Path | None) -> list[str]:
    """Every values file, compared with what is kept of it, and every variant."""
    files, found, kept = values_files(), [], set()
    for name, path in files.items():
        for file, rendered in helm.kept(name, path).items():
            kept.add(file)
            found += golden.compare(file, rendered)
        found += [f"{name}: {what}" for what in every(objects(helm.template(path)), promtool, program)]
    found += golden.strangers(kept)
    for variant in yaml.safe_load((_HERE / "variants.yaml").read_text()):
        rendered = helm.template(*over(files, variant))
        found += [f"{variant['name']}: {what}" for what in every(objects(rendered), promtool, program)]
    return found


def every(rendered: list[dict], promtool: Path, program: Path | None) -> list[str]:
    """All that has to hold of any render."""
    found = [what for thing in rendered for what in structure.complaints(thing)]
    for check in (pods, links, settings):
        found += check.complaints(rendered)
    found += alerts.complaints(promtool, rendered)
    return found + (settings.refused(program, rendered) if program else [])


def refusals(helm: Helm) -> list[str]:
    """Values that have to be refused for a reason that is said."""
    files, found = values_files(), []
    for case in yaml.safe_load((_HERE / "refusals.yaml").read_text()):
        done = helm.try_template(*over(files, case))
        if done.returncode == 0:
            found.append(f"not refused: {case['values']}")
        elif case["says"] not in done.stderr:
            found.append(f"refused, but not for {case['says']!r}: {case['values']}\n{done.stderr.strip()}")
    return found


_scratch = tempfile.TemporaryDirectory()


def over(files: dict[str, Path], case: dict) -> list[Path]:
    """The values file that a case names, and one with its own values."""
    path = Path(_scratch.name) / "values.yaml"
    path.write_text(yaml.safe_dump(case["values"]))
    return [files[case["over"]], path] if "over" in case else [path]


def versions() -> list[str]:
    """The chart's idea of the program's version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    program = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    found = [] if chart["appVersion"] == program else [f"Chart.yaml: appVersion is {chart['appVersion']}, but Cargo.toml has {program}"]
    for path in values_files().values():
        tags = set(re.findall(r"^\s*tag: ([0-9.]+)", path.read_text(), re.MULTILINE))
        found += [f"{path.name}: the tag {tag} is not of version {program}" for tag in sorted(tags - {program})]
    return found


if __name__ == "__main__":
    sys.exit(main())
