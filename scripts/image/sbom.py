#!/usr/bin/env python3
"""Writes what the program consists of as CycloneDX 1.6: crates, and what crates bring that is not Rust.

    scripts/image/sbom.py [--features FEATURES] [--output FILE]

The same sources give the same bytes. A crate whose scope is `excluded` helps to build the program and is not in it. What
tests alone turn on in a crate that the program has too is counted as the program's.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from urllib.parse import quote

_ROOT = Path(__file__).resolve().parents[2]
_MODEL = _ROOT / "models/demo/model.safetensors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", default="", help="those that the program is built with")
    parser.add_argument("--output", type=Path, help="standard output unless set")
    asked = parser.parse_args()
    text = json.dumps(bill(_metadata(asked.features), _checksums()), indent=2, ensure_ascii=False) + "\n"
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def _metadata(features: str) -> dict:
    """What cargo knows of all crates, as far as they matter on this kind of machine."""
    version = subprocess.check_output(["rustc", "-vV"], text=True)
    host = re.search(r"^host: (\S+)$", version, re.MULTILINE)[1]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host, "--features", features]
    return json.loads(subprocess.check_output(command, cwd=_ROOT))


def _checksums() -> dict[tuple[str, str], str]:
    """SHA-256 of each crate's archive, by name and version."""
    lock = tomllib.loads((_ROOT / "Cargo.lock").read_text())
    return {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}


def bill(metadata: dict, checksums: dict[tuple[str, str], str]) -> dict:
    """The whole document."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    inside, beside = _reached(root, packages, nodes)
    crates = [_crate(packages[id], checksums, "required" if id in inside else "excluded") for id in inside | beside if id != root]
    others = [other for id in inside | beside for other in _others(packages[id], nodes[id]["features"])]
    components = sorted([*crates, *(component for _, component in others), _model()], key=lambda c: c["bom-ref"])

    needs = {_purl(packages[id]): {_purl(packages[d["pkg"]]) for d in nodes[id]["deps"] if d["pkg"] in inside | beside} for id in inside | beside}
    for owner, component in others:
        needs[owner].add(component["bom-ref"])
    needs[_purl(packages[root])].add(_model()["bom-ref"])
    program = _crate(packages[root], checksums, "required") | {"type": "application"}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)],
    }
    # no random number and no time: it is the number of this very content
    content = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return document | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"}


def _reached(root: str, packages: dict, nodes: dict) -> tuple[set[str], set[str]]:
    """The crates that are in the program, and those that only help to build it."""
    inside, beside, waiting = set(), set(), [(root, True)]
    while waiting:
        id, linked = waiting.pop()
        # a macro runs in the compiler
        linked = linked and not any("proc-macro" in target["kind"] for target in packages[id]["targets"])
        if id in inside or (id in beside and not linked):
            continue
        (inside if linked else beside).add(id)
        for dependency in nodes[id]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if None in kinds:
                waiting.append((dependency["pkg"], linked))
            if "build" in kinds:
                waiting.append((dependency["pkg"], False))
    return inside, beside - inside


def _crate(package: dict, checksums: dict[tuple[str, str], str], scope: str) -> dict:
    name, version = package["name"], package["version"]
    if not package["license"]:
        raise SystemExit(f"error: {name} {version} names no licence: look it up, and exclude the crate or teach this script")
    component = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": name,
        "version": version,
        "scope": scope,
        # older crates write a slash where SPDX has OR
        "licenses": [{"expression": " ".join(package["license"].replace("/", " OR ").split())}],
        "purl": _purl(package),
    }
    if package["description"]:
        component["description"] = " ".join(package["description"].split())
    if checksum := checksums.get((name, version)):
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return component


def _purl(package: dict) -> str:
    return f"pkg:cargo/{package['name']}@{quote(package['version'], safe='')}"


def _others(package: dict, features: list[str]) -> list[tuple[str, dict]]:
    """What a crate brings that is not Rust, with the crate's reference."""
    folder = Path(package["manifest_path"]).parent
    if package["name"] == "libsqlite3-sys" and "bundled" in features:
        version = re.search(r'^#define SQLITE_VERSION\s+"(.+)"$', (folder / "sqlite3/sqlite3.h").read_text(), re.MULTILINE)[1]
        component = _other("sqlite", version, f"pkg:generic/sqlite@{version}", "blessing")
        return [(_purl(package), component | {"cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"})]
    if package["name"] == "utoipa-swagger-ui-vendored":
        [archive] = (folder / "res").glob("v*.zip")
        version = archive.stem.removeprefix("v")
        return [(_purl(package), _other("swagger-ui-dist", version, f"pkg:npm/swagger-ui-dist@{version}", "Apache-2.0"))]
    return []


def _other(name: str, version: str, purl: str, licence: str) -> dict:
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"license": {"id": licence}}],
        "purl": purl,
    }


def _model() -> dict:
    digest = hashlib.sha256(_MODEL.read_bytes()).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": f"demo-model@{digest}",
        "name": "segprobe demo model",
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


if __name__ == "__main__":
    sys.exit(main())
