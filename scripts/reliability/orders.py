"""What clients ordered, what they were promised, and what went against the promise."""

import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from .client import Answer, Client, Gone, submission

# Answers that ask a client to come again: the service is busy, locked, full or too slow just now.
_AGAIN = {408, 429, 503, 504, 507}


@dataclass
class Order:
    """An attack that a client wants exactly once."""

    files: dict[str, bytes]
    spec: dict
    # Equal orders must have equal files; `None` for orders that nobody repeats.
    kind: str | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    id: str | None = None

    def __post_init__(self):
        self.spec = {**self.spec, "labels": {"order": self.key}}


@dataclass
class Ledger:
    """Everything that was ordered in front of one fault, and every breach that was seen."""

    orders: list[Order] = field(default_factory=list)
    # Sentences, by the column of the table that counts them.
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    half_written: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refusals: Counter = field(default_factory=Counter)
    broken_connections: int = 0
    longest_until_accepted: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self) -> list[Order]:
        with self.lock:
            return [order for order in self.orders if order.id]

    def breaches(self) -> int:
        return sum(map(len, (self.lost, self.duplicated, self.half_written, self.wrong)))

    def submit(self, client: Client, order: Order, wait: int | None = None) -> Answer:
        """One attempt at an order; remembers the job that was promised. Raises `Gone`."""
        body, content_type = submission(order.files, order.spec)
        headers = {"Content-Type": content_type, "Idempotency-Key": order.key}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        answer = client.request("POST", "/attacks", body, headers)
        if answer.status in (200, 202):
            self._promised(order, answer)
        return answer

    def place(self, client: Client, order: Order, patience_seconds: float = 120) -> bool:
        """Tries with one idempotency key until the order is accepted, as a careful client does."""
        began = time.monotonic()
        with self.lock:
            self.orders.append(order)
        while time.monotonic() - began < patience_seconds:
            try:
                answer = self.submit(client, order)
            except Gone:
                with self.lock:
                    self.broken_connections += 1
                time.sleep(0.05)
                continue
            if order.id:
                with self.lock:
                    self.longest_until_accepted = max(self.longest_until_accepted, time.monotonic() - began)
                return True
            if not self.refused(answer):
                return False
            time.sleep(answer.retry_after() or 0.5)
        self.wrong.append(f"order {order.key} was not accepted in {patience_seconds:.0f} s")
        return False

    def refused(self, answer: Answer) -> bool:
        """Counts a refusal, and notes one that breaks the API. Answers whether to come again."""
        with self.lock:
            self.refusals[answer.status] += 1
        if problem := flaw_of_refusal(answer):
            self.wrong.append(problem)
        return answer.status in _AGAIN

    def _promised(self, order: Order, answer: Answer):
        try:
            job = answer.json()["id"]
        except (ValueError, KeyError):
            self.wrong.append(f"POST /attacks: {answer.status} without a job: {answer.body[:200]!r}")
            return
        with self.lock:
            first, order.id = order.id, order.id or job
        if order.id != job:
            self.duplicated.append(f"the key {order.key} made the jobs {first} and {job}")


def flaw_of_refusal(answer: Answer) -> str | None:
    """Why a refusal is not one that the API knows."""
    if answer.status == 500 or answer.status < 400:
        return f"answered {answer.status}: {answer.body[:300]!r}"
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return f"{answer.status} without a problem: {answer.body[:300]!r}"
    try:
        told = answer.json()["status"]
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} with a broken problem: {answer.body[:300]!r}"
    if told != answer.status:
        return f"{answer.status} says that it is {told}"
    if answer.status in (429, 503) and answer.retry_after() is None:
        return f"{answer.status} without Retry-After: {json.dumps(answer.json())[:300]}"
    return None
