"""Whether the files of a job are whole."""

import hashlib
import io
import json
import struct
import zipfile
import zlib

from .client import Answer, Client


def flaws(client: Client, job: str) -> tuple[list[str], dict[str, str]]:
    """What is wrong with the files of a succeeded job, and the SHA-256 of each."""
    listing = client.get(f"/attacks/{job}/artifacts")
    if listing.status != 200:
        return [f"{job}: no artifacts: {listing.status} {listing.body[:200]!r}"], {}
    found, contents = [], {}
    listed = {item["name"]: item for item in listing.json()["items"]}
    for name, item in listed.items():
        answer = client.get(f"/attacks/{job}/artifacts/{name}")
        contents[name] = answer.body
        found += [f"{job}: {name} {flaw}" for flaw in flaws_of_file(answer, item)]
    found += [f"{job}: {flaw}" for flaw in _flaws_of_manifest(contents) + _flaws_of_zip(client, job, contents)]
    return found, {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}


def flaws_of_file(answer: Answer, item: dict) -> list[str]:
    """Compares a served file with its entry in the list."""
    if answer.status != 200:
        return [f"is listed but answers {answer.status}"]
    sha256 = hashlib.sha256(answer.body).hexdigest()
    found = []
    if (len(answer.body), sha256) != (item["bytes"], item["sha256"]):
        found.append(f"has {len(answer.body)} bytes {sha256}, listed are {item['bytes']} bytes {item['sha256']}")
    if answer.headers.get("etag", "").strip('"') != sha256:
        found.append(f"has the ETag {answer.headers.get('etag')}, its bytes are {sha256}")
    if item["name"].endswith(".png") and not whole_png(answer.body):
        found.append("is not a whole PNG file")
    if item["name"].endswith(".json") and not _is_json(answer.body):
        found.append("is not JSON")
    return found


def whole_png(data: bytes) -> bool:
    """Whether every chunk is there and has its checksum."""
    at, kind = 8, b""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    while at + 12 <= len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunk, checksum = data[at + 4 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        if checksum != struct.pack(">I", zlib.crc32(chunk)):
            return False
        at += 12 + size
    return at == len(data) and kind == b"IEND"


def _flaws_of_manifest(contents: dict[str, bytes]) -> list[str]:
    if not _is_json(contents.get("manifest.json", b"")):
        return ["there is no manifest"]
    found = []
    for name, sha256 in json.loads(contents["manifest.json"])["artifacts"].items():
        if name not in contents:
            found.append(f"the manifest names {name}, which is absent")
        elif hashlib.sha256(contents[name]).hexdigest() != sha256:
            found.append(f"the manifest has another SHA-256 for {name}")
    return found


def _flaws_of_zip(client: Client, job: str, contents: dict[str, bytes]) -> list[str]:
    answer = client.get(f"/attacks/{job}/artifacts.zip")
    if answer.status != 200:
        return [f"the archive answers {answer.status}"]
    try:
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            packed = {name.rsplit("/")[-1]: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        return [f"the archive is broken: {error}"]
    return [] if packed == contents else ["the archive has other files than the list"]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
