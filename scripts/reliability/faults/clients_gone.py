"""Clients that hang up: in the middle of an upload, of a wait, of the events, of a download."""

import socket
import struct
import time

from ..audit import wait_for_all
from ..client import submission
from ..orders import Order
from ..scene import BUDGET, Scene
from . import Fault

_EACH = 20


def inject(scene: Scene) -> int:
    scene.server.start()
    finished = _finish_one(scene)
    # The first round opens what the service keeps open for good.
    _all_ways(scene, finished)
    wait_for_all(scene.client, 60)
    before = scene.server.open_files()
    for _ in range(_EACH - 1):
        _all_ways(scene, finished)
    wait_for_all(scene.client, 60)
    _check_that_nothing_is_held(scene, before)
    return 4 * _EACH


def _all_ways(scene: Scene, finished: Order):
    _in_upload(scene)
    _in_wait(scene)
    _in_events(scene)
    _in_download(scene, finished)


def _finish_one(scene: Scene) -> Order:
    order = scene.order({"method": "fgsm"})
    scene.ledger.place(scene.client, order)
    wait_for_all(scene.client, 60)
    return order


def _in_upload(scene: Scene):
    """Not entered in the ledger: a job made of half an upload would be found as one that nobody ordered."""
    body, content_type = submission(scene.order().files, Order({}, {"prompt": "lungs", "budget": BUDGET}).spec)
    head = _head("POST", "/attacks", {"Content-Type": content_type, "Content-Length": str(len(body))})
    _hang_up(scene, head + body[: scene.random.randrange(len(body))], receive=0)


def _in_wait(scene: Scene):
    """Hangs up on `Prefer: wait`, then asks again with the same key as if the answer had been lost."""
    order = scene.order()
    body, content_type = submission(order.files, order.spec)
    headers = {"Content-Type": content_type, "Content-Length": str(len(body)), "Prefer": "wait=30"}
    head = _head("POST", "/attacks", {**headers, "Idempotency-Key": order.key})
    _hang_up(scene, head + body, receive=0)
    scene.ledger.place(scene.client, order)


def _in_events(scene: Scene):
    order = scene.order()
    if scene.ledger.place(scene.client, order):
        _hang_up(scene, _head("GET", f"/attacks/{order.id}/events", {"Accept": "text/event-stream"}), receive=400)


def _in_download(scene: Scene, finished: Order):
    _hang_up(scene, _head("GET", f"/attacks/{finished.id}/artifacts.zip", {}), receive=1000)


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _hang_up(scene: Scene, request: bytes, receive: int):
    """Sends, reads at least `receive` bytes of the answer, and resets the connection."""
    with socket.create_connection(("127.0.0.1", scene.server.port), timeout=30) as connection:
        connection.sendall(request)
        got = 0
        while got < receive and (block := connection.recv(512)):
            got += len(block)
        time.sleep(scene.random.uniform(0, 0.1))
        # Linger of zero seconds: close sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _check_that_nothing_is_held(scene: Scene, before: int):
    """Connections of clients that are gone must be closed here too."""
    until = time.monotonic() + 30
    while (now := scene.server.open_files()) > before + 10 and time.monotonic() < until:
        time.sleep(0.5)
    scene.notes.append(f"open files before and after: {before}, {now}")
    if now > before + 10:
        scene.ledger.wrong.append(f"the service holds {now} open files, {before} before its clients went away")


FAULT = Fault("clients hang up: in upload, wait, events, download", inject)
