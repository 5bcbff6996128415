"""What jobs ask of the database and of the object store."""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

from .servers import S3, Postgres, program_of_postgres

_TICKS = os.sysconf("SC_CLK_TCK")


class Load:
    """Counts between two moments: `before = Load(...)`, work, `Load(...).since(before)`."""

    def __init__(self, postgres: Postgres, s3: S3):
        query = ("select sum(xact_commit), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), "
                 "(select pg_database_size('postgres')) from pg_stat_database")
        row = subprocess.run([program_of_postgres("psql"), "-h", postgres.folder, "-U", "segprobe", "-d", "postgres", "-Atc",
                              query], check=True, capture_output=True, text=True).stdout.strip().split("|")
        self.counts = Counter(transactions=int(row[0]), wal_bytes=int(float(row[1])), database_bytes=int(row[2]),
                              cpu_seconds=_cpu_seconds(postgres.process.pid))
        for line in Path(s3.log.name).read_text(errors="replace").splitlines():
            if found := re.search(r'"(GET|PUT|DELETE|POST|HEAD) (\S+) HTTP', line):
                verb = "LIST" if "list-type=" in found[2] else found[1]
                self.counts[f"s3_{verb}"] += 1

    def since(self, before: "Load") -> dict[str, float]:
        return {name: count - before.counts[name] for name, count in self.counts.items()}


def _cpu_seconds(postmaster: int) -> float:
    """Of the server and all its processes, those that have ended included."""
    def times(pid: int, first: int, last: int) -> int:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0
        return sum(int(field) for field in fields[first:last])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = times(postmaster, 11, 15) + sum(times(int(child), 11, 13) for child in children)
    return ticks / _TICKS
