"""Another process holds the database, for longer and shorter than the service waits for it."""

import sqlite3
from pathlib import Path
from time import sleep

from ..scene import Scene, Uninjectable
from . import Fault

_SECONDS = (3, 12, 3, 12)


def inject(scene: Scene) -> int:
    scene.server.start()
    database = _database(scene.data)
    with scene.traffic(per_second=3):
        for seconds in _SECONDS:
            sleep(2)
            _hold(database, seconds)
        sleep(2)
    if not scene.server.alive():
        scene.ledger.wrong.append("the service ended because its database was locked")
        scene.server.start()
    return len(_SECONDS)


def _database(folder: Path) -> Path:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.open("rb").read(15) == b"SQLite format 3":
            return path
    raise Uninjectable(f"there is no SQLite database in {folder}")


def _hold(database: Path, seconds: float):
    connection = sqlite3.connect(database, timeout=20, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        sleep(seconds)
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise Uninjectable(f"the database cannot be locked from outside: {error}") from error
    finally:
        connection.close()


FAULT = Fault("database locked by another process for 3 s and for 12 s", inject)
