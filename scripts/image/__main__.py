"""Checks the images and what is around them, cheap things first."""

import argparse
import sys
import time
from pathlib import Path

from . import build, compose, context, dockerfiles, monitoring, running


def main() -> int:
    parser = argparse.ArgumentParser(prog="image-check.sh", description=__doc__)
    parser.add_argument("program", type=Path, help="what gets into the image")
    program = parser.parse_args().program.resolve()

    began = time.monotonic()
    wrong = _all(
        {
            "Dockerfiles": dockerfiles.complaints,
            "compose files": compose.complaints,
            "dashboard": monitoring.dashboard,
            "alerts": monitoring.alerts,
            "what gets to the builder": context.complaints,
        }
    )
    if not wrong:
        image = build.image(program)
        wrong = _all({"what is in the image": lambda: build.complaints(image), "the image as a container": lambda: running.complaints(image)})
        print(build.sizes(image))
    for what in wrong:
        print(what, file=sys.stderr)
    print(f"took {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def _all(checks: dict) -> list[str]:
    found = []
    for title, check in checks.items():
        began, wrong = time.monotonic(), check()
        print(f"{title}: {f'{len(wrong)} complaints' if wrong else 'ok'} ({time.monotonic() - began:.0f} s)", flush=True)
        found += [f"{title}: {what}" for what in wrong]
    return found


if __name__ == "__main__":
    sys.exit(main())
