"""What has to hold of every pod in every render."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator

from .helm import named

USER = 10001
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS?|_KEY|_KEY_ID)$")
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def templates(objects: list[dict]) -> Iterator[tuple[dict, dict]]:
    """Each object that makes pods, with the pods' template."""
    for thing in objects:
        if thing["kind"] in ("Deployment", "Job"):
            yield thing, thing["spec"]["template"]
        elif "template" in (thing.get("spec") or {}):
            raise SystemExit(f"error: {named(thing)} makes pods that no check looks at: add its kind to pods.py")


def containers(spec: dict) -> Iterator[dict]:
    """All containers of a pod, those that run first included."""
    yield from spec.get("initContainers") or []
    yield from spec["containers"]


def settings(thing: dict, objects: list[dict]) -> dict | None:
    """The settings file that the pods of an object read."""
    for volume in thing["spec"]["template"]["spec"]["volumes"]:
        if volume["name"] == "config":
            maps = [o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == volume["configMap"]["name"]]
            return tomllib.loads(maps[0]["data"]["segprobe.toml"])
    return None


def complaints(objects: list[dict]) -> list[str]:
    found = [f"{named(thing)}: a secret is rendered; name one instead" for thing in objects if thing["kind"] == "Secret"]
    found += [f"{named(thing)}: a password is rendered" for thing in objects if _PASSWORD_IN_URL.search(json.dumps(thing))]
    for thing, template in templates(objects):
        spec = template["spec"]
        wrong = [*_pod(spec), *_volumes(spec)]
        for container in containers(spec):
            wrong += [f"{container['name']}: {what}" for what in _container(container)]
        if thing["kind"] == "Deployment":
            wrong += _served(thing, objects)
        found += [f"{named(thing)}: {what}" for what in wrong]
    return found


def _pod(spec: dict) -> Iterator[str]:
    security = spec["securityContext"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "the service account's token is mounted"
    if spec.get("enableServiceLinks") is not False:
        yield "variables of services would be taken for settings"
    if (security.get("runAsNonRoot"), security.get("runAsUser"), security.get("fsGroup")) != (True, USER, USER):
        yield f"the pod does not run as {USER}"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"


def _container(container: dict) -> Iterator[str]:
    security = container.get("securityContext") or {}
    if (security.get("runAsNonRoot"), security.get("runAsUser")) != (True, USER):
        yield f"does not run as {USER}"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "can gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    repository, _, tag = container["image"].partition("@")[0].rpartition(":")
    if "@sha256:" not in container["image"] and (not repository or "/" in tag or tag == "latest"):
        yield f"the image {container['image']} names no version"
    resources = container.get("resources") or {}
    if not {"cpu", "memory"} <= set(resources.get("requests") or {}) or "memory" not in (resources.get("limits") or {}):
        yield "has no requests of CPU and memory, or no limit of memory"
    names = [variable["name"] for variable in container.get("env") or []]
    for variable in container.get("env") or []:
        if "value" in variable and _SECRET_NAME.search(variable["name"]):
            yield f"{variable['name']} is a value and not a reference"
        # a variable can name those before it only
        for other in re.findall(r"\$\((\w+)\)", variable.get("value", "")):
            if other not in names[: names.index(variable["name"])]:
                yield f"{variable['name']} names {other}, which is not set before it"


def _volumes(spec: dict) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
    mounted = set()
    for container in containers(spec):
        for mount in container.get("volumeMounts") or []:
            mounted.add(mount["name"])
            if mount["name"] not in volumes:
                yield f"{container['name']} mounts {mount['name']}, which is no volume"
    yield from (f"the volume {name} is mounted nowhere" for name in volumes.keys() - mounted)
    yield from (f"the volume {name} can fill the node's disk" for name, volume in volumes.items() if volume.get("emptyDir") == {})


def _served(thing: dict, objects: list[dict]) -> Iterator[str]:
    """What a pod that serves has to have beyond the others."""
    template = thing["spec"]["template"]
    spec, config = template["spec"], settings(thing, objects)
    if config is None:
        yield "reads no settings file"
        return
    program = spec["containers"][0]
    for probe, path in {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
        if (program.get(probe) or {}).get("httpGet", {}).get("path") != path:
            yield f"{probe} does not ask for {path}"
    port = {port["name"]: port["containerPort"] for port in program["ports"]}["http"]
    if config["server"]["listen"].rsplit(":", 1)[1] != str(port):
        yield f"listens on {config['server']['listen']}, but the port http is {port}"
    linger = ((program.get("lifecycle") or {}).get("preStop") or {}).get("sleep", {}).get("seconds", 0)
    needed = config["server"]["shutdown_grace_seconds"] + 10 + linger
    if spec["terminationGracePeriodSeconds"] < needed:
        yield f"is killed after {spec['terminationGracePeriodSeconds']} s, but needs {needed}"
    checksum = template["metadata"]["annotations"].get("checksum/config", "")
    if len(checksum) != hashlib.sha256().digest_size * 2:
        yield "would not restart with new settings: there is no checksum of them"
    yield from _role(thing, config)


def _role(thing: dict, config: dict) -> Iterator[str]:
    spec = thing["spec"]["template"]["spec"]
    program = spec["containers"][0]
    component = thing["metadata"]["labels"]["app.kubernetes.io/component"]
    role = {"single": "all", "api": "api", "worker": "worker"}[component]
    if config["server"]["role"] != role:
        yield f"has role {config['server']['role']} and not {role}"
    variables = {variable["name"]: variable for variable in program.get("env") or []}
    gpus = {name: n for name, n in program["resources"]["limits"].items() if "gpu" in name or "mig" in name}
    wants_gpu = any(model.get("device", "cpu").startswith("cuda") for model in config.get("models", []))
    if wants_gpu != bool(gpus):
        yield f"has the GPUs {gpus}, and models on {'cuda' if wants_gpu else 'cpu'}"
    if role == "api" and "models" in config:
        yield "takes requests only, but has models"
    if role == "worker" and "SEGPROBE_SERVER__ADVERTISE" not in variables:
        yield "does not say where it is found"
    shared = config["storage"].get("database", "").startswith("postgres://") and config["storage"].get("artifacts", "").startswith("s3://")
    if role == "all":
        if (thing["spec"]["replicas"], thing["spec"]["strategy"]["type"]) != (1, "Recreate") or shared:
            yield "is not one process with a folder of its own"
        if not any(v["name"] == "data" and "persistentVolumeClaim" in v for v in spec["volumes"]):
            yield "loses its data with the pod"
    elif not shared:
        yield "shares neither database nor bucket"
    elif "secretKeyRef" not in (variables.get("PGPASSWORD") or {}).get("valueFrom", {}):
        yield "has no reference to the database's password"
