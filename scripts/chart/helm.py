"""Runs Helm, on the chart of this repository."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "k8s/segprobe"

# Each values file is rendered as a release of this name in a namespace of this name.
RELEASE = "segprobe"
# What a render claims to be made for. The schemas of kubernetes-validate are of the same version.
KUBERNETES = "1.35"


@dataclass(frozen=True)
class Helm:
    """A Helm program. Nothing it does here needs a cluster."""

    program: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    def lint(self, *values: Path) -> str:
        """What it complains about; empty if there is nothing."""
        done = self.run("lint", "--strict", "--quiet", str(CHART), *_files(values))
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def template(self, *values: Path) -> str:
        """All objects as YAML."""
        done = self.try_template(*values)
        if done.returncode != 0:
            raise SystemExit(f"error: helm does not render {' and '.join(path.name for path in values)}:\n{done.stderr}")
        return done.stdout

    def notes(self, values: Path) -> str:
        """What is said after an install."""
        done = self.run("install", RELEASE, str(CHART), "--namespace", RELEASE, "--dry-run=client", *_files((values,)))
        if done.returncode != 0 or "\nNOTES:\n" not in done.stdout:
            raise SystemExit(f"error: helm says nothing after an install with {values.name}:\n{done.stderr}")
        return done.stdout.split("\nNOTES:\n")[1]

    def kept(self, name: str, values: Path) -> dict[str, str]:
        """What is kept of a values file, by the name of the file it is kept in."""
        return {f"{name}.yaml": self.template(values), f"{name}.txt": self.notes(values)}

    def try_template(self, *values: Path) -> subprocess.CompletedProcess:
        where = ["--namespace", RELEASE, "--kube-version", KUBERNETES]
        return self.run("template", RELEASE, str(CHART), *where, *_files(values))


def values_files() -> dict[str, Path]:
    """The values files that come with the chart, by their short names."""
    found = {path.stem.removeprefix("values-"): path for path in sorted(CHART.glob("values-*.yaml"))}
    if not found:
        raise SystemExit(f"error: {CHART} has no values-*.yaml: nothing would be checked")
    return found


def objects(rendered: str) -> list[dict]:
    """The objects of a render."""
    return [document for document in yaml.safe_load_all(rendered) if document]


def named(thing: dict) -> str:
    """How an object is called in messages."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def _files(values: tuple[Path, ...]) -> list[str]:
    return [argument for path in values for argument in ("--values", str(path))]
