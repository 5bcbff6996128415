"""Texts between the markers of a page, which commands write and people do not."""

import re
from pathlib import Path


def fill(path: Path, parts: dict[str, str]):
    """Puts each text between `<!-- marker:begin -->` and `<!-- marker:end -->`: on lines of its own if the first marker ends
    one, otherwise within the line. A page without a marker is an error, so that no figure is measured for nothing."""
    page = path.read_text()
    for marker, text in parts.items():
        pattern = rf"(<!-- {re.escape(marker)}:begin -->)(\n?).*?(<!-- {re.escape(marker)}:end -->)"
        page, found = re.subn(pattern, lambda m: m[1] + m[2] + text.rstrip() + m[2] + m[3], page, flags=re.S)
        if not found:
            raise ValueError(f"{path} has no place for {marker}: add <!-- {marker}:begin --><!-- {marker}:end -->")
    path.write_text(page)
