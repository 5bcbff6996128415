"""Builds the CPU image without an engine, and looks into it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from . import dockerfiles
from .project import DATA, DOCKER, ROOT, TOOLS, USER, version

# All images and containers of the checks, apart from those of the machine.
STORE = ["--root", str(TOOLS / "storage"), "--runroot", str(TOOLS / "run"), "--storage-driver", "vfs"]
_IMAGE = "localhost/segprobe:check"
_PREBUILT = DOCKER / "prebuilt"
_DOCUMENTS = Path("usr/share/doc/segprobe")
_ARGUMENTS = {"VERSION": version(), "REVISION": "a revision", "CREATED": "2026-01-05T09:12:44Z"}
# What Debian's slim images leave out too, so that sizes compare.
_NOT_SLIM = [*(f"usr/share/{name}" for name in ("doc", "info", "locale", "man")), "var/cache/apt", "var/lib/apt/lists", "var/log"]


def image(program: Path) -> str:
    """Makes the image around a program that exists, and answers its name."""
    base = _base(dockerfiles.base())
    _PREBUILT.mkdir(exist_ok=True)
    _run("strip", "-o", _PREBUILT / "segprobe", program)
    _run(sys.executable, ROOT / "scripts/image/sbom.py", "--output", _PREBUILT / "sbom.cdx.json")
    arguments = _ARGUMENTS | {"RUNTIME_BASE": base, "BINARY_FROM": "prebuilt"}
    chosen = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    # the other format has no health checks
    _run("buildah", *STORE, "build", "--isolation", "chroot", "--format", "docker", "--quiet", *chosen, "--tag", _IMAGE, "--file", DOCKER / "Dockerfile", ROOT)
    # that of the last time has no name any more
    _run("podman", *STORE, "image", "prune", "--force")
    return _IMAGE


def _base(release: str) -> str:
    """A Debian that nobody has to fetch as an image."""
    name = f"localhost/debian-slim:{release}"
    if not _output("podman", *STORE, "images", "--quiet", name):
        folder = TOOLS / "base"
        shutil.rmtree(folder, ignore_errors=True)
        _run("debootstrap", "--variant=minbase", release, folder)
        for path in _NOT_SLIM:
            shutil.rmtree(folder / path)
            (folder / path).mkdir()
        _run("tar", "--directory", folder, "--create", "--file", TOOLS / "base.tar", ".")
        _run("podman", *STORE, "import", "--quiet", TOOLS / "base.tar", name)
        shutil.rmtree(folder)
        (TOOLS / "base.tar").unlink()
    return name


def complaints(image: str) -> list[str]:
    return [*_config(config(image)), *_files(image)]


def config(image: str) -> dict:
    """What the image says of itself."""
    [found] = json.loads(_output("podman", *STORE, "image", "inspect", image))
    return found


def _config(found: dict) -> list[str]:
    config, check = found["Config"], found.get("HealthCheck") or found.get("Healthcheck") or {}
    environment = dict(variable.split("=", 1) for variable in config["Env"])
    expected = {
        "User": f"{USER}:{USER}",
        "Entrypoint": ["segprobe"],
        "Cmd": ["serve"],
        "WorkingDir": DATA,
        "Volumes": {DATA: {}},
        "ExposedPorts": {"8080/tcp": {}},
    }
    wrong = [f"{key} is {config.get(key)} and not {value}" for key, value in expected.items() if config.get(key) != value]
    for name, value in {"SERVER__LISTEN": "0.0.0.0:8080", "STORAGE__FOLDER": DATA, "ACCESS__MODE": "keys", "LOG__FORMAT": "json"}.items():
        if environment.get(f"SEGPROBE_{name}") != value:
            wrong.append(f"SEGPROBE_{name} is not {value}")
    if check.get("Test") != ["CMD", "segprobe", "health"]:
        wrong.append(f"the health check is {check}")
    for name, value in _ARGUMENTS.items():
        label = f"org.opencontainers.image.{name.lower()}"
        if (config.get("Labels") or {}).get(label) != value:
            wrong.append(f"{label} is not what {name} was set to")
    return wrong


def _files(image: str) -> list[str]:
    root = Path(_output("podman", *STORE, "image", "mount", image))
    try:
        wrong = []
        if (root / _DOCUMENTS / "LICENSE").read_bytes() != (ROOT / "LICENSE").read_bytes():
            wrong.append("LICENSE is another one")
        text = (root / _DOCUMENTS / "sbom.cdx.json").read_text()
        if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            wrong.append(f"the SBOM is not CycloneDX 1.6: {error}")
        names = {component["name"] for component in json.loads(text)["components"]}
        wrong += [f"the SBOM does not name {name}" for name in sorted({"axum", "candle-core", "sqlite", "swagger-ui-dist", "segprobe demo model"} - names)]
        folder = (root / DATA.lstrip("/")).stat()
        if (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) != (USER, USER, 0o700):
            wrong.append(f"{DATA} belongs to {folder.st_uid}:{folder.st_gid} with mode {folder.st_mode & 0o777:o}")
        mode = (root / "usr/local/bin/segprobe").stat()
        if (mode.st_uid, mode.st_mode & 0o777) != (0, 0o755):
            wrong.append("the program can be changed by whom it runs as, or not be run")
        return wrong
    finally:
        _run("podman", *STORE, "image", "unmount", image)


def sizes(image: str) -> str:
    """How large it is, unpacked and as a registry sends it."""
    packed = TOOLS / "packed"
    shutil.rmtree(packed, ignore_errors=True)
    _run("buildah", *STORE, "push", "--quiet", image, f"oci:{packed}")
    sent = sum(path.stat().st_size for path in (packed / "blobs").rglob("*") if path.is_file())
    shutil.rmtree(packed)
    unpacked, base = config(image)["Size"], config(f"localhost/debian-slim:{dockerfiles.base()}")["Size"]
    program = (_PREBUILT / "segprobe").stat().st_size
    mb = lambda size: f"{size / 1e6:.0f} MB"
    return f"image: {mb(unpacked)} unpacked (base {mb(base)}, program {mb(program)}), {mb(sent)} compressed"


def _run(*command: str | Path):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def _output(*command: str | Path) -> str:
    return subprocess.check_output([str(word) for word in command], text=True).strip()
