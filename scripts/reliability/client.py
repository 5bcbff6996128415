"""Requests to the service, one connection each, as a client that trusts nothing would make them."""

import http.client
import json
import uuid
from dataclasses import dataclass


class Gone(Exception):
    """There was no whole answer: refused, reset, cut off or too late. A client can tell, so nothing wrong was served."""


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    def retry_after(self) -> float | None:
        """Seconds."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdigit() else None


@dataclass(frozen=True)
class Client:
    port: int
    timeout_seconds: float = 60

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_seconds)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def everything(self, path: str) -> list[dict]:
        """All items of a list, page by page."""
        items, cursor = [], ""
        while cursor is not None:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit=100" + (f"&cursor={cursor}" if cursor else ""))
            if page.status != 200:
                raise Gone(f"GET {path}: {page.status} {page.body[:200]!r}")
            items += page.json()["items"]
            cursor = page.json()["next_cursor"]
        return items


def multipart(files: dict[str, bytes], fields: dict[str, str]) -> tuple[bytes, str]:
    """A form's body and its content type."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, content in files.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n")
    for name, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        parts.append(f"{head}{value}\r\n".encode())
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def submission(files: dict[str, bytes], spec: dict) -> tuple[bytes, str]:
    """The body of `POST /attacks` and its content type."""
    return multipart(files, {"spec": json.dumps(spec)})
