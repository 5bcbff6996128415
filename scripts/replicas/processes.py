"""Processes of the service in their roles."""

import json
import os
import signal
import subprocess
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from .servers import S3, Postgres, free_port, wait


class Process:
    """One `segprobe serve`, which may be killed and started again."""

    def __init__(self, program: Path, role: str, name: str, folder: Path, shared: tuple[Postgres, S3]):
        self.port, self.folder, self.role = free_port(), folder / name, role
        self.base = f"http://127.0.0.1:{self.port}"
        postgres, s3 = shared
        self.environment = os.environ | {
            "SEGPROBE_SERVER__ROLE": role, "SEGPROBE_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "SEGPROBE_SERVER__ADVERTISE": self.base, "SEGPROBE_STORAGE__FOLDER": str(self.folder),
            "SEGPROBE_STORAGE__DATABASE": postgres.url, "SEGPROBE_STORAGE__ARTIFACTS": "s3://segprobe/files",
            "SEGPROBE_STORAGE__S3_ENDPOINT": s3.endpoint, "SEGPROBE_STORAGE__S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "SEGPROBE_QUEUE__LEASE_SECONDS": "4", "SEGPROBE_QUEUE__MAX_QUEUED": "100000",
            "SEGPROBE_QUEUE__MAX_PER_CALLER": "100000", "SEGPROBE_QUEUE__MAX_ATTEMPTS": "50",
            "SEGPROBE_QUEUE__WORKERS": "4", "SEGPROBE_ACCESS__REQUESTS_PER_MINUTE": "1000000",
        }
        self.program, self.log = program, (folder / f"{name}.log").open("ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, "serve"], env=self.environment, stdout=subprocess.DEVNULL,
                                        stderr=self.log)

    def ready(self, seconds: float = 60):
        wait(f"the {self.role} process", lambda: self.ask("/readyz")[0] == 200 or None, seconds)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def ask(self, path: str, method: str = "GET", parts: dict | None = None, headers: dict | None = None):
        """Status and body of an answer; a refusal is an answer, a connection that fails is an OSError."""
        headers, body = dict(headers or {}), None
        if parts is not None:
            headers["Content-Type"], body = form(parts)
        try:
            with urlopen(Request(self.base + path, body, headers, method=method), timeout=60) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()


def form(parts: dict) -> tuple[str, bytes]:
    """Form data of files (paths) and JSON values."""
    boundary, body = uuid.uuid4().hex, b""
    for name, value in parts.items():
        is_file = isinstance(value, Path)
        filename = f'; filename="{value.name}"' if is_file else ""
        content = value.read_bytes() if is_file else json.dumps(value).encode()
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()
