"""The figures of docs/scale.md, and what they mean for many devices."""

import json
import os
import re
from pathlib import Path

from pages import fill

# The plan: a cluster in which every device ends one attack a second, more than a step of 25 ms and 40 steps would allow.
GPUS, JOBS_A_SECOND = 1000, 1000


def write(page: Path, figures: dict, speed: Path):
    """Replaces the figures of `page`; `speed` holds what the test operations_a_second printed."""
    stores = [json.loads(found) for found in re.findall(r"{.*}", speed.read_text())]
    fill(page, {"run": _run(figures), "job": _job(figures), "stores": _stores(stores), "plan": _plan(figures, stores)})


def _run(figures: dict) -> str:
    n, one, three = figures["measured_jobs"], figures["one_worker_seconds"], figures["three_workers_seconds"]
    return f"""{figures["jobs"]} FGSM attacks on the demo model on {os.cpu_count()} cores, while {figures["kills"]} workers were killed with `kill -9` and \
PostgreSQL was stopped {figures["database_restarts"]} times as by a power cut: **all succeeded, each once, all with the same \
bytes**, in {figures["seconds"]:.0f} s. {figures["jobs_begun_more_than_once"]} were begun more than once, {figures["most_attempts"]} times at most.

Undisturbed, {n} of the same attacks by one worker process and by three, on the same cores (so that three can be no faster than \
the cores allow; what they may cost is what counts):

| worker processes | attacks a second | |
| ---: | ---: | ---: |
| 1 | {n / one:.2f} | 1 |
| 3 | {n / three:.2f} | {one / three:.2f} |"""


def _job(figures: dict) -> str:
    job = figures["of_a_job"]
    requests = {verb: job.get(f"s3_{verb}", 0) for verb in ("PUT", "GET", "LIST", "HEAD", "DELETE", "POST")}
    named = ", ".join(f"{count:.1f} {verb}" for verb, count in requests.items() if count)
    return f"""| one job costs | |
| --- | ---: |
| transactions, heartbeats and looks of two API processes included | {job["transactions"]:.1f} |
| CPU time of PostgreSQL | {1000 * job["cpu_seconds"]:.1f} ms |
| write-ahead log | {job["wal_bytes"] / 1000:.1f} kB |
| growth of the database | {job["database_bytes"] / 1000:.1f} kB |
| requests to the object store | {sum(requests.values()):.1f} ({named}) |
| bytes of its {figures["files_of_a_job"]} result files | {figures["bytes_of_a_job"] / 1e6:.2f} MB |"""


def _stores(stores: list[dict]) -> str:
    rows = "\n".join(f"| {s['store']} | {s['submissions_a_second']:.0f} | {s['jobs_a_second']:.0f} |" for s in stores)
    return f"""| store | submissions a second | jobs taken, told about once, and ended a second |
| --- | ---: | ---: |
{rows}"""


def _plan(figures: dict, stores: list[dict]) -> str:
    job, rate = figures["of_a_job"], JOBS_A_SECOND
    requests = sum(count for name, count in job.items() if name.startswith("s3_"))
    taken = next((s["jobs_a_second"] for s in stores if s["store"] == "postgres"), 0)
    return f"""| at {rate} jobs a second | needed | measured here, on {os.cpu_count()} cores |
| --- | ---: | ---: |
| jobs taken and ended | {rate} a second | {taken:.0f} a second |
| transactions | {rate * job["transactions"]:.0f} a second | |
| CPU of the database | {rate * job["cpu_seconds"]:.1f} cores | |
| write-ahead log | {rate * job["wal_bytes"] / 1e6:.1f} MB a second | |
| database, kept 30 days | {rate * job["database_bytes"] * 86400 * 30 / 1e12:.1f} TB | |
| requests to the object store | {rate * requests:.0f} a second | |
| bytes into the object store | {rate * figures["bytes_of_a_job"] / 1e9:.2f} GB a second ({8 * rate * figures["bytes_of_a_job"] / 1e9:.0f} Gbit/s) | |
| object store, kept 30 days | {rate * figures["bytes_of_a_job"] * 86400 * 30 / 1e15:.1f} PB | |
| connections to the database (8 a process, one process a device) | {8 * GPUS} | |"""
