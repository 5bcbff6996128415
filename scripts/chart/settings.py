"""Whether the program knows the settings that the chart renders, and the chart those that the program has."""

import json
import os
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from .helm import CHART, ROOT, named
from .pods import containers, settings as read, templates

_SOURCE = ROOT / "src/config/settings.rs"
_IMAGES = (ROOT / "docker/Dockerfile", ROOT / "docker/Dockerfile.cuda")
# Set by the chart itself, so not to be set as `config`.
_OF_THE_CHART = re.compile(r"^(server\.(role|advertise|listen)|storage\..*)$")

# Settings that need not be whole numbers.
_SHARES = {"telemetry.sample_ratio"}


def known() -> tuple[set[str], set[str]]:
    """Names of all settings, and of the fields of a model."""
    source = _SOURCE.read_text()
    every = re.findall(r'about\(\s*"([a-z0-9_.]+)"', source)
    settings, fields = {name for name in every if "." in name}, {name for name in every if "." not in name}
    if len(settings) < 20 or "path" not in fields:
        raise SystemExit(f"error: {_SOURCE.relative_to(ROOT)} is not written as expected: look at chart/settings.py")
    return settings, fields


def complaints(objects: list[dict]) -> list[str]:
    """Settings of a render that the program would refuse."""
    settings, fields = known()
    found = []
    for thing, text in _files(objects):
        config = tomllib.loads(text)
        models = config.pop("models", [])
        used = {f"{section}.{key}" for section, keys in config.items() for key in keys}
        found += [f"{named(thing)}: there is no setting {name}" for name in sorted(used - settings)]
        found += [f"{named(thing)}: a model has no {field}" for model in models for field in sorted(model.keys() - fields)]
        found += [f"{named(thing)}: {name} is no whole number" for name in sorted(used - _SHARES) if isinstance(_value(config, name), float)]
    for thing, template in templates(objects):
        if thing["kind"] == "Deployment":
            found += [f"{named(thing)}: {what}" for what in _overruled(template["spec"], read(thing, objects))]
        for container in containers(template["spec"]):
            for variable in container.get("env") or []:
                name = variable["name"].removeprefix("SEGPROBE_").replace("__", ".").lower()
                if variable["name"].startswith("SEGPROBE_") and name not in settings:
                    found.append(f"{named(thing)}: there is no setting for {variable['name']}")
    return found


def _overruled(spec: dict, config: dict) -> list[str]:
    """Variables of the images that would go over the settings file, unless the pod sets them to the same."""
    given = {variable["name"]: variable.get("value") for variable in spec["containers"][0].get("env") or []}
    names = {name for image in _IMAGES for name in re.findall(r"\b(SEGPROBE_[A-Z0-9]+__[A-Z0-9_]+)=", image.read_text())}
    if not names:
        raise SystemExit("error: the images set no variables any more: drop them from the chart too")
    found = []
    for name in sorted(names):
        section, key = name.removeprefix("SEGPROBE_").lower().split("__")
        wanted = config.get(section, {}).get(key)
        if given.get(name) != wanted:
            found.append(f"{name} is {given.get(name)}, but the settings file says {wanted}")
    return found


def gaps() -> list[str]:
    """Settings that cannot be set through the chart, or that it offers and the program does not have."""
    settings, fields = known()
    schema = json.loads((CHART / "values.schema.json").read_text())["definitions"]
    offered = {f"{section}.{key}" for section, keys in schema["config"]["properties"].items() for key in keys["properties"]}
    wanted = {name for name in settings if not _OF_THE_CHART.match(name)}
    found = [f"values.schema.json: the setting {name} is missing in config" for name in sorted(wanted - offered)]
    found += [f"values.schema.json: config offers {name}, which is no setting" for name in sorted(offered - wanted)]
    model = set(schema["model"]["properties"])
    return found + [f"values.schema.json: a model's {name} is in one place only" for name in sorted(model ^ fields)]


def refused(program: Path, objects: list[dict]) -> list[str]:
    """What the program itself says of the settings files, and of the variables of those who have no file."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "segprobe.toml"
        for thing, text in _files(objects):
            file.write_text(text)
            found += [f"{named(thing)}: {said}" for said in _ask(program, ["config", "--config", str(file)], {})]
    for thing, template in templates(objects):
        for container in template["spec"]["containers"]:
            variables = {v["name"]: v["value"] for v in container.get("env") or [] if v["name"].startswith("SEGPROBE_")}
            if thing["kind"] == "Job":
                found += [f"{named(thing)}: {said}" for said in _ask(program, ["config"], variables)]
    return found


def _ask(program: Path, arguments: list[str], variables: dict[str, str]) -> list[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SEGPROBE_")}
    done = subprocess.run([program, *arguments], env=bare | variables, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [done.stderr.strip() or f"exit status {done.returncode}"]


def _files(objects: list[dict]) -> list[tuple[dict, str]]:
    return [(thing, thing["data"]["segprobe.toml"]) for thing in objects if thing["kind"] == "ConfigMap"]


def _value(config: dict, name: str) -> object:
    section, key = name.split(".", 1)
    return config[section][key]
