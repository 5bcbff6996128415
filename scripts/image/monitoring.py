"""Whether the dashboard and the alerts ask for what /metrics has, in the language of Prometheus."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from .project import DOCKER, TOOLS, metrics

_DASHBOARD = DOCKER / "grafana/dashboards/segprobe.json"
_SOURCE = DOCKER / "grafana/provisioning/datasources/prometheus.yaml"
_CONFIG = DOCKER / "prometheus/prometheus.yml"
_ALERTS = DOCKER / "prometheus/alerts.yml"
_TESTS = Path(__file__).with_name("alerts_test.yaml")
# What an operator has to find on the dashboard.
SHOWN = {
    "segprobe_queue_jobs",
    "segprobe_jobs_total",
    "segprobe_step_seconds_bucket",
    "segprobe_engine_batch_rows",
    "segprobe_http_requests_total",
    "segprobe_http_request_seconds_bucket",
    "segprobe_process_memory_bytes",
    "segprobe_engine_healthy",
}


def dashboard() -> list[str]:
    board = json.loads(_DASHBOARD.read_text())
    found, queries = [], []
    for panel in board["panels"]:
        targets = panel.get("targets") or []
        if not targets or panel.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
            found.append(f"{panel['title']}: no query, or not one of the chosen data source")
        queries += [(panel["title"], target["expr"]) for target in targets]
    for key in ("id", "title"):
        values = [panel[key] for panel in board["panels"]]
        found += [f"two panels have the {key} {value!r}" for value in {v for v in values if values.count(v) > 1}]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    [source] = yaml.safe_load(_SOURCE.read_text())["datasources"]
    if variables["datasource"]["current"]["value"] != source["uid"]:
        found.append(f"the data source is not {source['uid']!r} to begin with")
    queries += [(name, re.sub(r"^label_values\((.*),\s*\w+\)$", r"\1", variable["query"]["query"])) for name, variable in variables.items() if variable["type"] == "query"]
    for title, query in queries:
        found += [f"{title}: there is no variable {name}" for name in re.findall(r"\$(\w+)", query) if name not in {*variables, "__rate_interval"}]
    shown = {name for _, query in queries for name in _series(query)}
    found += [f"no panel shows {name}" for name in sorted(SHOWN - shown)]
    return found + _unknown(queries) + _language([query for _, query in queries])


def alerts() -> list[str]:
    rules = [rule for group in yaml.safe_load(_ALERTS.read_text())["groups"] for rule in group["rules"]]
    found = _unknown([(rule["alert"], rule["expr"]) for rule in rules])
    for rule in rules:
        if rule["labels"].get("severity") not in ("warning", "critical") or not {"summary", "description"} <= set(rule["annotations"]):
            found.append(f"{rule['alert']}: no severity, summary or description")
    fired = set(re.findall(r'alertname="(\w+)"', "".join(_firing(yaml.safe_load(_TESTS.read_text())))))
    found += [f"{_TESTS.name}: {rule['alert']} never fires" for rule in rules if rule["alert"] not in fired]
    with tempfile.TemporaryDirectory() as folder:
        tests = yaml.safe_load(_TESTS.read_text()) | {"rule_files": [str(_ALERTS)]}
        path = Path(folder) / "tests.yaml"
        path.write_text(yaml.safe_dump(tests))
        found += _promtool("test", "rules", path)
    # --syntax-only: the key is in the container only
    return found + _promtool("check", "config", "--syntax-only", _CONFIG) + _promtool("check", "rules", _ALERTS)


def _firing(tests: dict) -> list[str]:
    """The labels of all alerts that some test expects."""
    return [sample["labels"] for test in tests["tests"] for asked in test["promql_expr_test"] for sample in asked["exp_samples"]]


def _series(query: str) -> set[str]:
    return set(re.findall(r"\bsegprobe_[a-z_]+", query))


def _unknown(queries: list[tuple[str, str]]) -> list[str]:
    return [f"{title}: there is no metric {name}" for title, query in queries for name in sorted(_series(query) - metrics())]


def _language(queries: list[str]) -> list[str]:
    """What Prometheus does not understand of some queries, once Grafana has put its values in."""
    plain = [re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "1m")) for query in queries]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(plain)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        return _promtool("check", "rules", path)


def _promtool(*arguments: str | Path) -> list[str]:
    done = subprocess.run([TOOLS / "bin/promtool", *arguments], capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"promtool {' '.join(map(str, arguments))}: {(done.stdout + done.stderr).strip()}"]
