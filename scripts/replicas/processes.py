"""Processes of the service in their roles."""

from pathlib import Path

from reliability.client import Answer, Client, submission
from reliability.server import Server

from .servers import S3, Postgres


class Process(Server):
    """One `segprobe serve` on what all processes share, which may be killed and started again."""

    def __init__(self, program: Path, role: str, name: str, folder: Path, shared: tuple[Postgres, S3]):
        postgres, s3 = shared
        super().__init__(program, folder / name, folder / f"{name}.log", {
            "SEGPROBE_SERVER__ROLE": role,
            "SEGPROBE_STORAGE__DATABASE": postgres.url, "SEGPROBE_STORAGE__ARTIFACTS": "s3://segprobe/files",
            "SEGPROBE_STORAGE__S3_ENDPOINT": s3.endpoint, "SEGPROBE_STORAGE__S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "SEGPROBE_QUEUE__LEASE_SECONDS": "4", "SEGPROBE_QUEUE__MAX_QUEUED": "100000",
            "SEGPROBE_QUEUE__MAX_PER_CALLER": "100000", "SEGPROBE_QUEUE__MAX_ATTEMPTS": "50",
            "SEGPROBE_QUEUE__WORKERS": "4", "SEGPROBE_QUEUE__CHECKPOINT_SECONDS": "1",
            "SEGPROBE_SERVER__SHUTDOWN_GRACE_SECONDS": "0",
        })
        self.settings["SEGPROBE_SERVER__ADVERTISE"] = f"http://127.0.0.1:{self.port}"
        self.start(wait=False)

    def get(self, path: str) -> Answer:
        return Client(self.port).get(path)

    def post(self, path: str, pictures: dict[str, Path] | None = None, spec: dict | None = None,
             headers: dict | None = None) -> Answer:
        """Raises `reliability.client.Gone` where there is no whole answer."""
        if pictures is None:
            return Client(self.port).request("POST", path, headers=headers)
        body, media_type = submission({name: file.read_bytes() for name, file in pictures.items()}, spec)
        return Client(self.port).request("POST", path, body, {"Content-Type": media_type, **(headers or {})})
