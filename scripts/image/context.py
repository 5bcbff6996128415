"""Whether .dockerignore lets through what the build stages need: here they are skipped, since the program exists already."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .build import STORE
from .project import ROOT

_IMAGE = "localhost/segprobe-context:check"
# Named relative to the file, and to the folder of Cargo.toml.
_INCLUDED = re.compile(r'include_(?:str|bytes)!\(\s*"([^"]+)"')
_MIGRATED = re.compile(r'migrate!\(\s*"([^"]+)"')
_TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:pub(?:\([a-z]+\))? )?mod \w+ \{.*", re.MULTILINE | re.DOTALL)
# They are not compiled into the program.
_TEST_FILES = re.compile(r"/tests?(?:ing)?(?:\.rs$|/)")
_UNWANTED = (".git", "target", "out", "docs", "tests", "docker/.env")


def complaints() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder) / "Dockerfile"
        everything.write_text("FROM scratch\nCOPY . /\n")
        subprocess.run(["buildah", *STORE, "build", "--quiet", "--tag", _IMAGE, "--file", everything, ROOT], check=True, stdout=subprocess.DEVNULL)
    root = Path(subprocess.check_output(["podman", *STORE, "image", "mount", _IMAGE], text=True).strip())
    try:
        return [*_manifest(root), *_includes(root), *(f"{name} gets to the builder" for name in _UNWANTED if (root / name).exists())]
    finally:
        subprocess.run(["podman", *STORE, "image", "rm", "--force", _IMAGE], check=True, stdout=subprocess.DEVNULL)


def _manifest(root: Path) -> Iterator[str]:
    """Cargo looks for every target that the manifest names."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--manifest-path", root / "Cargo.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"cargo refuses what gets to the builder: {done.stderr.strip()}"
    yield from (f"{name} is missing" for name in ("Cargo.lock", "LICENSE", "scripts/image/sbom.py", "models/demo/model.safetensors") if not (root / name).is_file())


def _includes(root: Path) -> Iterator[str]:
    sources = [path for path in (root / "src").rglob("*.rs") if not _TEST_FILES.search(path.as_posix())]
    seen = 0
    for path in sources:
        text = _TESTS.sub("", path.read_text())
        named = [path.parent / name for name in _INCLUDED.findall(text)] + [root / name for name in _MIGRATED.findall(text)]
        seen += len(named)
        yield from (f"{path.relative_to(root)} includes {file.resolve().relative_to(root.resolve())}, which does not get to the builder" for file in named if not file.exists())
    if not seen:
        yield "no source includes a file any more: change context.py"
