"""The servers that processes share: PostgreSQL on a socket of its own, and S3 on a loopback port."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

from reliability.client import Gone
from reliability.server import free_port

NOBODY = 65534


def wait(what: str, ready, seconds: float = 60):
    """Looks until something is ready."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if (found := ready()) is not None:
                return found
        except (OSError, Gone):
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{what} is not ready after {seconds} s")


def program_of_postgres(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name) or next((str(f / name) for f in folders if (f / name).is_file()), None)
    if not found:
        sys.exit(f"error: {name} is missing; on Debian: apt-get install postgresql")
    return found


class Postgres:
    """A database server that refuses to run as root, so that root starts it as nobody."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        self.user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
        if self.user:
            os.chown(folder, NOBODY, NOBODY)
        subprocess.run([*self.user, program_of_postgres("initdb"), "--auth=trust", "--username=segprobe",
                        "--encoding=UTF8", "--no-sync", "--pgdata", folder / "data"], check=True, stdout=subprocess.DEVNULL)
        self.log = (folder / "log").open("ab")
        self.start()
        self.url = f"postgres://segprobe@localhost/postgres?host={folder}"

    def start(self):
        self.process = subprocess.Popen(
            [*self.user, program_of_postgres("postgres"), "-D", self.folder / "data", "-k", self.folder,
             "-c", "listen_addresses=", "-c", "max_connections=200"], stdout=self.log, stderr=self.log)
        wait("PostgreSQL", lambda: True if (self.folder / ".s.PGSQL.5432").exists() else None)

    def stop(self):
        """At once, as a failing machine would."""
        self.process.send_signal(3)
        self.process.wait()

    def restart(self):
        self.stop()
        self.start()


class S3:
    """moto's server, with one bucket."""

    def __init__(self, folder: Path):
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = (folder / "s3.log").open("ab")
        self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                                        stdout=self.log, stderr=self.log)
        request = Request(f"{self.endpoint}/segprobe", method="PUT", headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, "
                             "SignedHeaders=host, Signature=none"})
        wait("S3", lambda: urlopen(request, timeout=20).status)

    def stop(self):
        self.process.kill()
        self.process.wait()
