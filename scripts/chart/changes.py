"""What a change of values does to a render, and what it leaves alone."""

import tempfile
from pathlib import Path

import yaml

from .helm import Helm, named, objects, values_files
from .pods import templates

# Values laid over values-scaled.yaml, and the Deployments whose pods have to be replaced for them. Every other pod has
# to stay: a change for one pool must not end the jobs of another.
_CASES = [
    ({"workers": {"t4": {"config": {"queue": {"workers": 9}}}}}, {"segprobe-worker-t4"}),
    ({"worker": {"config": {"queue": {"workers": 9}}}}, {"segprobe-worker-a100", "segprobe-worker-t4"}),
    ({"config": {"log": {"filter": "debug"}}}, {"segprobe-api", "segprobe-worker-a100", "segprobe-worker-t4"}),
    ({"api": {"resources": {"limits": {"memory": "4Gi"}}}}, {"segprobe-api"}),
    ({"workers": {"more": {"models": [{"name": "more", "device": "cuda"}]}}}, set()),
    ({"workers": {"a100": {"keda": {"maxReplicas": 20}}}}, set()),
    ({"networkPolicy": {"clients": []}}, set()),
]


def complaints(helm: Helm) -> list[str]:
    base = values_files()["scaled"]
    before = _pods(helm, base)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.yaml"
        for values, expected in _CASES:
            path.write_text(yaml.safe_dump(values))
            after = _pods(helm, base, path)
            changed = {name for name, template in before.items() if after.get(name) != template}
            if changed != {f"Deployment/{name}" for name in expected}:
                found.append(f"{values} replaces the pods of {sorted(changed)}, and should of {sorted(expected)}")
    return found


def _pods(helm: Helm, *files: Path) -> dict[str, dict]:
    return {named(thing): template for thing, template in templates(objects(helm.template(*files))) if thing["kind"] == "Deployment"}
