#!/usr/bin/env python3
"""Fails if a dependency's licence offers no permissive choice.

    cargo metadata --format-version 1 --locked | scripts/check-licences.py
"""
import json
import re
import sys

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "IJG", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}


def permissive(expression: str) -> bool:
    """An SPDX expression holds if some branch of its ORs has only permissive terms."""
    expression = expression.replace("/", " OR ")
    while "(" in expression:
        expression = re.sub(r"\(([^()]*)\)", lambda m: "MIT" if permissive(m[1]) else "refused", expression)
    return any(
        all(term.strip() in PERMISSIVE for term in branch.split(" AND ")) for branch in expression.split(" OR ")
    )


def main() -> int:
    packages = json.load(sys.stdin)["packages"]
    refused = [p for p in packages if not (p["license"] and permissive(p["license"]))]
    for package in refused:
        print(f"{package['name']} {package['version']}: licence {package['license']!r} is not on the list")
    print(f"{len(packages)} packages, {len(refused)} with a licence that is not permissive")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
