"""Whether the alerts say what they should: names of metrics, the language of Prometheus, and when they fire."""

import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from .helm import ROOT, named

_NAMES = ROOT / "src/telemetry/names.rs"
_JOBS = ROOT / "src/jobs"
_TESTS = Path(__file__).with_name("alerts_test.yaml")


def complaints(promtool: Path, objects: list[dict]) -> list[str]:
    """What is wrong with the queries of a render: alerts and triggers."""
    rules = [thing for thing in objects if thing["kind"] == "PrometheusRule"]
    queries = [(named(thing), rule["expr"]) for thing in rules for group in thing["spec"]["groups"] for rule in group["rules"]]
    for thing in objects:
        for trigger in thing["spec"].get("triggers", []) if thing["kind"] == "ScaledObject" else []:
            if trigger["type"] == "prometheus":
                queries.append((named(thing), trigger["metadata"]["query"]))
    found = [f"{name}: {what}" for name, query in queries for what in _unknown(query)]
    with tempfile.TemporaryDirectory() as folder:
        for thing in rules:
            found += _promtool(promtool, Path(folder), "check", thing["spec"])
        recorded = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries)]
        found += _promtool(promtool, Path(folder), "check", {"groups": [{"name": "queries", "rules": recorded}]}) if recorded else []
    return found


def tested(promtool: Path, objects: list[dict]) -> list[str]:
    """Plays made-up numbers to the alerts of a render; each has to fire, and to be silent, somewhere."""
    [rule] = [thing for thing in objects if thing["kind"] == "PrometheusRule"]
    names = {rule["alert"] for group in rule["spec"]["groups"] for rule in group["rules"]}
    tests = yaml.safe_load(_TESTS.read_text())
    found = []
    for silent in (False, True):
        asked = {
            re.search(r'alertname="(\w+)"', question["expr"])[1]
            for test in tests["tests"]
            for question in test["promql_expr_test"]
            if (question["exp_samples"] == []) == silent
        }
        found += [f"{_TESTS.name}: no test of {name} when it {'is silent' if silent else 'fires'}" for name in sorted(names ^ asked)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
        found += _promtool(promtool, Path(folder), "test", tests | {"rule_files": ["rules.yaml"]})
    return found


def _promtool(promtool: Path, folder: Path, action: str, content: dict) -> list[str]:
    path = folder / f"{action}.yaml"
    path.write_text(yaml.safe_dump(content))
    done = subprocess.run([promtool, action, "rules", path], capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"promtool {action} rules: {(done.stdout + done.stderr).strip()}"]


def _unknown(query: str) -> list[str]:
    """Metrics that the program does not have, and states and outcomes that it never says."""
    source = _NAMES.read_text()
    known = set(re.findall(r'"(segprobe_[a-z_]+)"', source))
    histograms = {name for name in known if name.endswith("_seconds")}
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    found = [f"there is no metric {name}" for name in sorted(set(re.findall(r"segprobe_[a-z_]+", query)) - known)]
    said = "".join(path.read_text() for path in [ROOT / "src/api/health.rs", *_JOBS.rglob("*.rs")])
    for label, values in re.findall(r'(state|outcome)=~?"([a-z_|]+)"', query):
        found += [f"there is no {label} {value}" for value in values.split("|") if f'"{value}"' not in said]
    return found
