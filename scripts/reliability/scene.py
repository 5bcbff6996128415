"""The stage on which a fault is played: a service, clients that keep ordering, and a clock on its answers."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import artifacts, pictures
from .client import Client, Gone
from .orders import Ledger, Order
from .server import Server

_EPSILON = {"value": 8, "unit": "pixel255"}
BUDGET = {"norm": "linf", "epsilon": _EPSILON}
# Short attacks of different length, so that at any moment some wait, some run and some have ended.
_ATTACKS = [{"method": "fgsm"}, {"method": "pgd", "steps": 3}, {"method": "pgd", "steps": 10}]


class Uninjectable(Exception):
    """The fault could not be made to happen, so nothing was proved."""


class Scene:
    """One fault's service and what its clients saw of it."""

    def __init__(self, binary: Path, folder: Path, seed: str, settings: dict[str, str]):
        folder.mkdir(parents=True)
        self.data = folder / "data"
        self.server = Server(binary, self.data, folder / "service.log", settings)
        self.client = Client(self.server.port)
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.notes: list[str] = []
        self._samples = pictures.samples()

    def order(self, attack: dict | None = None) -> Order:
        """An attack on a sample; a few dozen different ones, so that equal orders can be compared."""
        prompt, image, mask = self.random.choice(self._samples)
        attack = attack or self.random.choice(_ATTACKS)
        spec = {"prompt": prompt, "attack": attack, "budget": BUDGET, "seed": self.random.randrange(3)}
        kind = f"{prompt} {attack} {spec['seed']}"
        return Order({"image": image, "mask": mask}, spec, kind)

    @contextmanager
    def traffic(self, per_second: float, cancelled: float = 0.1) -> Iterator[None]:
        """Orders come in and files are fetched until the end of the block; a share of the orders is cancelled."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._buy, args=(stop, per_second / 4, cancelled)) for _ in range(4)]
        threads.append(threading.Thread(target=self._fetch, args=(stop,)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _buy(self, stop: threading.Event, per_second: float, cancelled: float):
        while not stop.is_set():
            order = self.order()
            if self.ledger.place(self.client, order) and self.random.random() < cancelled:
                self._cancel(order)
            stop.wait(self.random.expovariate(per_second))

    def _cancel(self, order: Order):
        try:
            answer = self.client.request("POST", f"/attacks/{order.id}/cancel")
        except Gone:
            return
        if answer.status not in (200, 202, 409):
            self.ledger.refused(answer)

    def _fetch(self, stop: threading.Event):
        """Looks at jobs and their files while the fault is on; every whole answer must be right."""
        while not stop.wait(0.05):
            if orders := self.ledger.accepted():
                try:
                    self._look_at(self.random.choice(orders).id)
                except Gone:
                    pass

    def _look_at(self, job: str):
        answer = self.client.get(f"/attacks/{job}")
        if answer.status != 200:
            self.ledger.refused(answer)
            return
        if not (items := answer.json()["artifacts"]):
            return
        item = self.random.choice(items)
        file = self.client.get(f"/attacks/{job}/artifacts/{item['name']}")
        if file.status != 200:
            self.ledger.refused(file)
        else:
            self.ledger.half_written += [f"{job}: {item['name']} {flaw}" for flaw in artifacts.flaws_of_file(file, item)]

    def begin_long_attacks(self, patience_seconds: float = 60):
        """Orders two attacks of some seconds and waits until an attack runs."""
        for _ in range(2):
            self.ledger.place(self.client, self.order({"method": "pgd", "steps": 60}))
        until = time.monotonic() + patience_seconds
        while not self.client.get("/attacks?state=running&limit=1").json()["items"]:
            if time.monotonic() > until:
                raise Uninjectable(f"no attack ran in {patience_seconds:.0f} s")
            time.sleep(0.02)

    @contextmanager
    def watched(self) -> Iterator["Watch"]:
        """Measures how long clients go without an answer."""
        watch = Watch(Client(self.server.port))
        watch.start()
        try:
            yield watch
        finally:
            watch.stop()


class Watch(threading.Thread):
    """Asks for the newest job again and again; `longest` is the longest time without a good answer, in seconds."""

    def __init__(self, client: Client):
        super().__init__(daemon=True)
        self._client, self._stopped, self.longest = client, threading.Event(), 0.0

    def run(self):
        # Counts from the first good answer: before it, the service is still being started for the first time.
        last = None
        while not self._stopped.wait(0.02):
            try:
                good = self._client.get("/attacks?limit=1").status == 200
            except Gone:
                good = False
            now = time.monotonic()
            if last is not None:
                self.longest = max(self.longest, now - last)
            if good:
                last = now

    def stop(self):
        self._stopped.set()
        self.join()

