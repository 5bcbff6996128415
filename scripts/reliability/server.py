"""The service as a process that is started, killed and started again on the same data."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from .client import Client, Gone


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A service on a free port of the loopback with its data in `folder`.

    `settings` are added to the environment: `{"SEGPROBE_QUEUE__WORKERS": "2"}`.
    """

    def __init__(self, binary: Path, folder: Path, log: Path, settings: dict[str, str]):
        self.binary, self.folder, self.log = binary.resolve(), folder.resolve(), log
        self.port = free_port()
        self.settings = {
            "SEGPROBE_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "SEGPROBE_STORAGE__FOLDER": str(self.folder),
            "SEGPROBE_ACCESS__REQUESTS_PER_MINUTE": "1000000",
            **settings,
        }
        self.process: subprocess.Popen | None = None

    def start(self, wait: bool = True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve"], env={**os.environ, **self.settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, patience_seconds: float = 60):
        until = time.monotonic() + patience_seconds
        while time.monotonic() < until:
            if not self.alive():
                raise RuntimeError(f"the service ended with {self.process.returncode}: see {self.log}")
            try:
                if Client(self.port, 5).get("/readyz").status == 200:
                    return
            except Gone:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the service was not ready after {patience_seconds:.0f} s: see {self.log}")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9: no last words."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self, patience_seconds: float) -> int:
        """SIGTERM; answers the exit code.

        Raises `subprocess.TimeoutExpired` if the process is still there after `patience_seconds`.
        """
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_seconds)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_mib(self) -> float:
        """Memory of the process that is in RAM now."""
        return resident_mib(self.process.pid)


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory: it has ended")
