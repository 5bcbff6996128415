"""Uploads that are not what they say: flipped bits, missing ends, wrong lengths."""

import random
import socket

from .. import pictures
from ..client import Gone, submission
from ..orders import Order
from ..scene import BUDGET, Scene
from . import Fault

_EACH = 20
_SPEC = {"prompt": "lungs", "attack": {"method": "fgsm"}, "budget": BUDGET}


def inject(scene: Scene) -> int:
    scene.server.start()
    times = 0
    for picture in pictures.every_format().values():
        _upload(scene, picture, must_be_accepted=True)
        for _ in range(_EACH):
            _upload(scene, _flipped(scene.random, picture))
            _upload(scene, picture[: scene.random.randrange(len(picture))])
            times += 2
    for _ in range(_EACH):
        for declared in (lambda size: size + 1000, lambda size: size // 2, lambda size: 10**12):
            _lie_about_length(scene, declared)
            times += 1
    if not scene.server.alive():
        scene.ledger.wrong.append("the service ended on a corrupt upload")
        scene.server.start()
    return times


def _upload(scene: Scene, picture: bytes, must_be_accepted: bool = False):
    """A damaged picture may still be one: then it is an order like any other."""
    order = Order({"image": picture}, _SPEC)
    scene.ledger.orders.append(order)
    try:
        answer = scene.ledger.submit(scene.client, order)
    except Gone as error:
        scene.ledger.wrong.append(f"no answer to a corrupt upload: {error}")
        return
    if order.id is None:
        scene.ledger.refused(answer)
        if must_be_accepted:
            scene.ledger.wrong.append(f"a whole picture was refused: {answer.body[:300]!r}")


def _flipped(random: random.Random, picture: bytes) -> bytes:
    """One to thirty wrong bits, half of the time among the first hundred bytes, where the sizes stand."""
    damaged = bytearray(picture)
    reach = random.choice([min(100, len(damaged)), len(damaged)])
    for _ in range(random.randint(1, 30)):
        damaged[random.randrange(reach)] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _lie_about_length(scene: Scene, declared):
    """The order is not entered in the ledger: a job made of it would be found as one that nobody ordered."""
    _, image, _ = scene.random.choice(pictures.samples())
    body, content_type = submission({"image": image}, Order({}, _SPEC).spec)
    head = (f"POST /attacks HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {declared(len(body))}\r\nConnection: close\r\n\r\n")
    answer = b""
    with socket.create_connection(("127.0.0.1", scene.server.port), timeout=30) as connection:
        try:
            connection.sendall(head.encode() + body)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(1 << 16):
                answer += block
        except TimeoutError:
            scene.ledger.wrong.append("a body of wrong length was waited for after its end")
        except OSError:
            # A refusal may come before the body was read, and end the connection.
            pass
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None
    if status is not None and not 400 <= status < 500:
        scene.ledger.wrong.append(f"a body of wrong length was answered {status}")


FAULT = Fault("corrupt uploads: flipped bits, cut files, wrong lengths", inject)
