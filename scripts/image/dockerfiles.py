"""Whether the Dockerfiles are clean, alike where they should be, and agree with the rest of the repository."""

import re
import subprocess
from pathlib import Path

from .project import DOCKER, TOOLS, unknown_settings, version

_FILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.cuda"]
# What makes a container behave; the same whatever it computes on.
_BEHAVIOUR = ("EXPOSE", "VOLUME", "WORKDIR", "USER", "ENTRYPOINT", "CMD")


def complaints() -> list[str]:
    found = []
    for path in _FILES:
        found += [f"{path.name}: {what}" for what in [*_lint(path), *_content(path)]]
    first, second = ([line for line in path.read_text().splitlines() if line.startswith(_BEHAVIOUR)] for path in _FILES)
    return found + [f"only one of the Dockerfiles has {line!r}" for line in sorted(set(first) ^ set(second)) if line != "WORKDIR /src"]


def _lint(path: Path) -> list[str]:
    done = subprocess.run([TOOLS / "venv/bin/hadolint", "--no-color", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return lines or ([] if done.returncode == 0 else [f"hadolint ends with {done.returncode}"])


def _content(path: Path) -> list[str]:
    text = path.read_text()
    found = [f"{name} is no setting" for name in unknown_settings(re.findall(r"\b(SEGPROBE_\w+)=", text))]
    said = re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE)
    if said != [version()]:
        found.append(f"ARG VERSION is {said}, but Cargo.toml has {version()}")
    for name, base in re.findall(r"^ARG (\w+_BASE)=(.*)$", text, re.MULTILINE):
        if not re.search(r":.*\d", base):
            found.append(f"{name} is {base!r}: name a version")
    if "cargo build --locked --release" not in text:
        found.append("the program is not built with --locked --release")
    return found


def base() -> str:
    """The release of Debian that the CPU image is made for."""
    return re.search(r"^ARG RUNTIME_BASE=debian:([a-z]+)", _FILES[0].read_text(), re.MULTILINE)[1]
