"""After a fault: is every promise kept?"""

import hashlib
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from . import artifacts
from .client import Client, Gone
from .orders import Ledger, Order

_FINAL = {"succeeded", "failed", "cancelled"}
# The manifest holds a duration; all other files are a function of the request.
_NOT_REPEATED = {"manifest.json"}


@dataclass(frozen=True)
class Audited:
    """How the accepted jobs ended; `begun_again` of them needed more than one attempt."""

    accepted: int
    ends: Counter
    begun_again: int


def audit(client: Client, ledger: Ledger, patience_seconds: float = 180) -> Audited:
    """Waits for the end of all jobs, then looks at each of them; notes breaches in the ledger."""
    wait_for_all(client, patience_seconds)
    jobs = client.everything("/attacks?")
    _compare_list(ledger, jobs)
    ends, begun_again, files_by_kind = Counter(), 0, defaultdict(dict)
    for order in ledger.accepted():
        job = _job(client, ledger, order)
        if job is None:
            continue
        ends[job["state"]] += 1
        begun_again += job["attempt"] > 1
        _check_events(client, ledger, order)
        _check_replay(client, ledger, order)
        if job["state"] == "succeeded":
            _check_files(client, ledger, order, files_by_kind)
    return Audited(len(ledger.accepted()), ends, begun_again)


def wait_for_all(client: Client, patience_seconds: float):
    """Until no job waits or runs; gives up silently, the jobs that are left are counted one by one."""
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        try:
            if client.get("/attacks?state=queued,running&limit=1").json()["items"] == []:
                return
        except (Gone, KeyError, ValueError):
            pass
        time.sleep(0.2)


def _compare_list(ledger: Ledger, jobs: list[dict]):
    """Every promised job is in the list, once, and no order is there twice or unasked."""
    promised = {order.id: order for order in ledger.accepted()}
    known = {order.key for order in ledger.orders}
    orders = defaultdict(set)
    for job in jobs:
        orders[job["spec"].get("labels", {}).get("order")].add(job["id"])
    for key, ids in orders.items():
        if len(ids) > 1:
            ledger.duplicated.append(f"the order {key} is {len(ids)} jobs: {sorted(ids)}")
        if key not in known:
            ledger.wrong.append(f"the job {sorted(ids)[0]} was made from a request that never arrived whole")
    listed = {job["id"] for job in jobs}
    if len(listed) != len(jobs):
        ledger.wrong.append("the list names a job twice")
    for job in promised.keys() - listed:
        ledger.lost.append(f"the job {job} is not in the list")


def _job(client: Client, ledger: Ledger, order: Order) -> dict | None:
    answer = client.get(f"/attacks/{order.id}")
    if answer.status != 200:
        ledger.lost.append(f"the job {order.id} is gone: {answer.status}")
        return None
    job = answer.json()
    if job["state"] not in _FINAL:
        ledger.lost.append(f"the job {order.id} is still {job['state']} (attempt {job['attempt']})")
        return None
    if job["spec"].get("labels", {}).get("order") != order.key:
        ledger.wrong.append(f"the job {order.id} is another one's order")
    return job


def _check_events(client: Client, ledger: Ledger, order: Order):
    """The stream ends with the one and only final state, and its numbers rise."""
    answer = client.get(f"/attacks/{order.id}/events")
    events = [_fields(block) for block in answer.body.decode().split("\n\n")]
    events = [event for event in events if "data" in event]
    states = [json.loads(event["data"])["state"] for event in events if event["event"] == "state"]
    finals = [state for state in states if state in _FINAL]
    numbers = [int(event["id"]) for event in events]
    if len(finals) > 1:
        ledger.duplicated.append(f"the job {order.id} ended {len(finals)} times: {states}")
    if states[-1:] != finals[-1:] or not finals:
        ledger.wrong.append(f"the events of {order.id} do not end with its end: {states}")
    if numbers != sorted(set(numbers)):
        ledger.wrong.append(f"the events of {order.id} are not in order: {numbers}")


def _fields(block: str) -> dict[str, str]:
    lines = [line.partition(":") for line in block.splitlines() if line and not line.startswith(":")]
    return {name: value.removeprefix(" ") for name, _, value in lines}


def _check_replay(client: Client, ledger: Ledger, order: Order):
    """The same key must still answer the same job."""
    answer = ledger.submit(client, order)
    if answer.status not in (200, 202) or answer.headers.get("idempotency-replayed") != "true":
        ledger.wrong.append(f"the key {order.key} was not replayed: {answer.status} {answer.body[:200]!r}")


def _check_files(client: Client, ledger: Ledger, order: Order, files_by_kind: dict):
    found, files = artifacts.flaws(client, order.id)
    ledger.half_written += found
    if order.kind is None:
        return
    repeated = {name: sha256 for name, sha256 in files.items() if name not in _NOT_REPEATED}
    digest = hashlib.sha256(json.dumps(repeated, sort_keys=True).encode()).hexdigest()
    first = files_by_kind[order.kind].setdefault("digest", digest)
    if digest != first:
        ledger.half_written.append(f"{order.id}: other files than an equal order ({order.kind})")
