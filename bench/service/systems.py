"""The systems that are compared: each runs rounds of the same attacks, PGD with 40 steps on the samples in turn."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from reliability import pictures
from reliability.client import Answer, Client, Gone, multipart, submission
from reliability.scene import BUDGET
from reliability.server import Server, free_port, resident_mib

_STEPS = 40


@dataclass(frozen=True)
class Round:
    """So many attacks by so many clients at once. `latencies` are seconds from request to result, where there are clients."""

    seconds: float
    attacks: int
    adversarial_dsc: float
    latencies: list[float] = field(default_factory=list)

    def per_second(self) -> float:
        return self.attacks / self.seconds


class BareEngine:
    """`examples/bare_engine.rs`: the engine and the encoding of files in one process, nothing else."""

    def __init__(self, target: Path, threads: str):
        self._process = subprocess.Popen([target / "examples/bare_engine"], text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, env={**os.environ, "RAYON_NUM_THREADS": threads,
                                                                      # as the program sets it for itself
                                                                      "CANDLE_NUM_THREADS": "1"})

    def round(self, clients: int, attacks: int) -> Round:
        print(clients, attacks, file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        return Round(told["seconds"], attacks, told["adversarial_dsc"])

    def resident_mib(self) -> float:
        return resident_mib(self._process.pid)

    def stop(self):
        self._process.kill()
        self._process.wait()


class Service:
    """Segprobe's service; its clients wait with `Prefer: wait` and fetch the archive of files if asked to."""

    def __init__(self, target: Path, folder: Path, threads: str, settings: dict[str, str] | None = None):
        folder.mkdir(parents=True)
        settings = {"RAYON_NUM_THREADS": threads, "SEGPROBE_LOG__FILTER": "warn", **(settings or {})}
        self.server = Server(target / "segprobe", folder / "data", folder / "service.log", settings)
        self.server.start()
        self.client = Client(self.server.port, 600)
        self.fetch = False

    def submit(self, number: int, attack: dict, wait: bool = False) -> Answer:
        prompt, image, mask = _sample(number)
        spec = {"prompt": prompt, "attack": attack, "budget": BUDGET}
        body, content_type = submission({"image": image, "mask": mask}, spec)
        headers = {"Content-Type": content_type} | ({"Prefer": "wait=300"} if wait else {})
        answer = self.client.request("POST", "/attacks", body, headers)
        _check(answer, 200 if wait else 202)
        return answer

    def round(self, clients: int, attacks: int) -> Round:
        return _by_clients(self._attack, clients, attacks)

    def _attack(self, number: int) -> float:
        job = self.submit(number, {"method": "pgd", "steps": _STEPS}, wait=True).json()
        if job["state"] != "succeeded":
            raise RuntimeError(f"an attack did not succeed: {job}")
        if self.fetch:
            _check(self.client.get(f"/attacks/{job['id']}/artifacts.zip"), 200)
        return job["scores"]["adversarial_dsc"]

    def cancel(self, job: str):
        _check(self.client.request("POST", f"/attacks/{job}/cancel"), 200, 202)

    def resident_mib(self) -> float:
        return self.server.resident_mib()

    def stop(self):
        self.server.kill()


class FastApi:
    """`fastapi_server.py`: the same attack in PyTorch behind FastAPI; the answer holds the adversarial file."""

    def __init__(self, python: Path, folder: Path, threads: str):
        here = Path(__file__).parent
        self.port = free_port()
        command = [python, "-m", "uvicorn", "fastapi_server:app", "--port", str(self.port), "--no-access-log"]
        environment = {**os.environ, "MODEL": str(Path("models/demo").resolve()), "THREADS": threads, "OMP_NUM_THREADS": threads}
        folder.mkdir(parents=True)
        with open(folder / "fastapi.log", "wb") as log:
            self._process = subprocess.Popen(command, cwd=here, env=environment, stdout=log, stderr=log)
        self.client = Client(self.port, 600)
        self._wait_until_ready()

    def _wait_until_ready(self):
        for _ in range(600):
            try:
                if self.client.get("/attacks/none").status == 404:
                    return
            except Gone:
                if self._process.poll() is not None:
                    raise RuntimeError("the FastAPI server ended at its start: see fastapi.log") from None
            time.sleep(0.2)
        raise RuntimeError("the FastAPI server did not start in two minutes: see fastapi.log")

    def submit(self, number: int, steps: int = _STEPS) -> Answer:
        prompt, image, mask = _sample(number)
        body, content_type = multipart({"image": image, "mask": mask}, {"prompt": prompt, "steps": str(steps)})
        answer = self.client.request("POST", "/attacks", body, {"Content-Type": content_type})
        _check(answer, 200)
        return answer

    def round(self, clients: int, attacks: int) -> Round:
        return _by_clients(lambda number: self.submit(number).json()["adversarial_dsc"], clients, attacks)

    def resident_mib(self) -> float:
        return resident_mib(self._process.pid)

    def stop(self):
        self._process.kill()
        self._process.wait()


def _sample(number: int) -> tuple[str, bytes, bytes]:
    samples = pictures.samples()
    return samples[number % len(samples)]


def _check(answer: Answer, *wanted: int):
    if answer.status not in wanted:
        raise RuntimeError(f"answered {answer.status} instead of {wanted}: {answer.body[:300]!r}")


def _by_clients(attack, clients: int, attacks: int) -> Round:
    """Clients that each take the next attack as soon as they have the result of the last."""
    numbers, lock, latencies, scores, failures = iter(range(attacks)), threading.Lock(), [], [], []

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or failures:
                return
            began = time.monotonic()
            try:
                score = attack(number)
            except Exception as error:  # told to the thread that waits for the round
                failures.append(error)
                return
            latencies.append(time.monotonic() - began)
            scores.append(score)

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Round(time.monotonic() - began, attacks, sum(scores) / attacks, latencies)
