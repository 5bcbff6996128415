"""Whether the compose files follow the specification, keep to this machine, and agree with the rest of the repository."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import compose_spec
import yaml

from .project import DOCKER, ROOT, unknown_settings, version

_FILES = [DOCKER / "compose.yaml", DOCKER / "compose.single.yaml"]
_EXAMPLE = DOCKER / ".env.example"
_SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|KEY)$")
_OF_THE_HOST = ("network_mode", "pid", "ipc", "userns_mode", "devices", "cap_add")


def complaints() -> list[str]:
    found, asked = [], set()
    for path in _FILES:
        found += [f"{path.name}: {what}" for what in _file(path)]
        asked |= _variables(path).keys()
    example = dict(line.split("=", 1) for line in _EXAMPLE.read_text().splitlines() if line and not line.startswith("#"))
    found += [f"{_EXAMPLE.name}: {name} has a value: everybody would use it" for name, value in example.items() if value]
    return found + [f"{_EXAMPLE.name} and the compose files do not agree on {name}" for name in sorted(example.keys() ^ asked)]


def _variables(path: Path) -> dict[str, str]:
    """What a file takes from the environment, with what follows the name."""
    return dict(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", path.read_text()))


def _file(path: Path) -> Iterator[str]:
    for name, rest in _variables(path).items():
        if not rest.startswith(":?"):
            yield f"it starts without {name}: write ${{{name}:?...}}"
    whole = yaml.safe_load(path.read_text())
    try:
        compose_spec.PyCompose.from_json(re.sub(r"(?<!\$)\$\{\w+[^}]*\}", "x", json.dumps(whole)))
    except ValueError as error:
        yield f"not as the specification has it: {error}"
    services = whole["services"]
    for name, service in services.items():
        wrong = [*_image(service), *_reach(service), *_life(name, service, services)]
        wrong += [*_places(service, whole), *_settings(service)]
        yield from (f"{name}: {what}" for what in wrong)
    for kind in ("volumes", "networks"):
        used = {used for service in services.values() for used in _used(service, kind)} | {"default"}
        yield from (f"{kind}: {name} is used by nobody" for name in sorted(whole.get(kind, {}).keys() - used))


def _image(service: dict) -> Iterator[str]:
    image = service.get("image", "")
    tag = image.rpartition(":")[2]
    if not re.search(r"\d", tag) or "/" in tag:
        yield f"the image {image!r} names no version"
    if image.startswith("segprobe:") and tag != version():
        yield f"the image is of version {tag}, but Cargo.toml has {version()}"
    if build := service.get("build"):
        context = (DOCKER / build["context"]).resolve()
        if context != ROOT or not (context / build["dockerfile"]).is_file():
            yield f"nothing can be built from {build}"


def _reach(service: dict) -> Iterator[str]:
    """What others can reach of it, and what it can reach of the machine."""
    for port in service.get("ports", []):
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port)):
            yield f"the port {port!r} is not on 127.0.0.1"
    if service.get("privileged"):
        yield "is privileged"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "can gain privileges"
    yield from (f"{key} is set" for key in _OF_THE_HOST if key in service)
    if service["image"].startswith("segprobe:") and (service.get("read_only"), service.get("cap_drop")) != (True, ["ALL"]):
        yield "can write to its root file system, or keeps capabilities"


def _life(name: str, service: dict, services: dict) -> Iterator[str]:
    """How it starts, ends, and whether anybody notices that it does not work."""
    waits = {(other, on, how["condition"]) for other, s in services.items() for on, how in (s.get("depends_on") or {}).items()}
    once = any(on == name and condition == "service_completed_successfully" for _, on, condition in waits)
    watched = "test" in service.get("healthcheck", {})
    if once == watched or service.get("restart") != ("no" if once else "unless-stopped"):
        yield "neither ends by itself and is waited for, nor is started again and has a health check"
    for on, how in (service.get("depends_on") or {}).items():
        if on not in services:
            yield f"waits for {on}, which is no service"
        elif how["condition"] == "service_healthy" and "test" not in services[on].get("healthcheck", {}):
            yield f"waits for {on} to be healthy, and nothing checks that"
        elif how["condition"] not in ("service_healthy", "service_completed_successfully"):
            yield f"does not wait until {on} works"
    if service["image"].startswith("segprobe:") and service.get("stop_grace_period") != "30s":
        yield "is not given the 20 s of server.shutdown_grace_seconds and 10 more to end"


def _places(service: dict, whole: dict) -> Iterator[str]:
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            if not (DOCKER / source).exists():
                yield f"{source} does not exist"
            if not rest.endswith(":ro"):
                yield f"can write to {source}"
        elif source.startswith("/"):
            yield f"mounts {source} of the machine"
        elif source not in whole.get("volumes", {}):
            yield f"the volume {source} is not declared"
    yield from (f"the network {name} is not declared" for name in _used(service, "networks") if name not in whole.get("networks", {}))
    for kind in ("secrets", "configs", "env_file"):
        if kind in service:
            yield f"has {kind}, which no check looks at: extend compose.py"


def _used(service: dict, kind: str) -> set[str]:
    return {str(place).partition(":")[0] for place in service.get(kind, [])}


def _settings(service: dict) -> Iterator[str]:
    environment = service.get("environment", {})
    yield from (f"{name} is no setting" for name in unknown_settings(list(environment)))
    for name, value in environment.items():
        if _SECRET.search(name) and not str(value).startswith("${"):
            yield f"{name} is written down"
    if environment.get("SEGPROBE_SERVER__ROLE") == "worker" and "SEGPROBE_SERVER__ADVERTISE" not in environment:
        yield "does not say where it is found"
