"""Requests per second by wrk, of an idle server and of one that is attacking."""

import json
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reliability import pictures
from reliability.client import Gone, submission
from reliability.scene import BUDGET

from .systems import FastApi, Service

CONNECTIONS = 16
# Long enough to outlast the measurements; cancelled or killed afterwards.
LONG_ATTACK = {"method": "pgd", "steps": 5000}
# One worker, so that all jobs behind the long attack stay queued.
ONE_WORKER = {
    "SEGPROBE_QUEUE__WORKERS": "1",
    "SEGPROBE_QUEUE__MAX_QUEUED": "1000000",
    "SEGPROBE_QUEUE__MAX_PER_CALLER": "1000000",
}


@dataclass(frozen=True)
class Load:
    """What wrk measured."""

    title: str
    per_second: float
    p50_ms: float
    p99_ms: float
    # Answers from 400, connections that broke and requests that timed out.
    failed: int


def measure(service: Service, peer: FastApi, folder: Path) -> list[Load]:
    """FastAPI's GET comes first: it is what the others are compared with."""
    ended = service.submit(0, {"method": "fgsm"}, wait=True).json()["id"]
    known = peer.submit(0, steps=1).json()["id"]
    ours, theirs = (f"http://127.0.0.1:{port}/attacks" for port in (service.server.port, peer.port))
    loads = [_wrk("FastAPI, idle: GET /attacks/{id}", f"{theirs}/{known}"),
             _wrk("Segprobe, idle: GET /attacks/{id}", f"{ours}/{ended}")]
    with _attacking(service):
        loads.append(_wrk("Segprobe, attacking: GET /attacks/{id}", f"{ours}/{ended}"))
        loads.append(_wrk("Segprobe, attacking: POST /attacks", ours, body=_body(folder)))
    # Last: the attack ends with the server only.
    threading.Thread(target=_endless, args=(peer,), daemon=True).start()
    loads.insert(1, _wrk("FastAPI, attacking: GET /attacks/{id}", f"{theirs}/{known}"))
    return loads


@contextmanager
def _attacking(service: Service):
    job = service.submit(0, LONG_ATTACK).json()["id"]
    yield
    service.cancel(job)


def _endless(peer: FastApi):
    try:
        peer.submit(0, LONG_ATTACK["steps"])
    except Gone:
        # The server is killed under it.
        return


def _body(folder: Path) -> tuple[Path, str]:
    """A submission as a file for wrk."""
    prompt, image, mask = pictures.samples()[0]
    spec = {"prompt": prompt, "attack": {"method": "fgsm"}, "budget": BUDGET}
    body, content_type = submission({"image": image, "mask": mask}, spec)
    path = folder / "submission"
    path.write_bytes(body)
    return path, content_type


def _wrk(title: str, url: str, body: tuple[Path, str] | None = None) -> Load:
    script = Path(__file__).with_name("wrk.lua")
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", "-d5s", "--timeout", "30s", "-s", script, url]
    command += ["--", *map(str, body)] if body else []
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(next(line for line in printed.splitlines() if line.startswith("RESULT")).removeprefix("RESULT"))
    failed = told["refused"] + told["broken"]
    return Load(title, told["requests"] / told["seconds"], told["p50_ms"], told["p99_ms"], failed)
