"""Texts between the markers of a page."""

import re
from pathlib import Path


def fill(path: Path, parts: dict[str, str]):
    """Puts each text between `<!-- marker:begin -->` and `<!-- marker:end -->`."""
    page = path.read_text()
    for marker, text in parts.items():
        pattern = rf"(<!-- {marker}:begin -->\n).*?(<!-- {marker}:end -->)"
        page = re.sub(pattern, lambda m: m[1] + text.rstrip() + "\n" + m[2], page, flags=re.S)
    path.write_text(page)
