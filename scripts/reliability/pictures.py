"""Pictures to upload in every format that the service reads."""

import base64
import struct
from pathlib import Path

SAMPLES = Path("samples")

# A drawn lesion, 64 x 48, baseline JPEG with halved chroma.
_JPEG = """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYV
pQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAw
AEADASIAAhEBAxEB/8QAGgAAAgMBAQAAAAAAAAAAAAAAAAYDBAUBB//EACoQAAEEAQMEAQIHAAAAAAAAAAEAAgMRBAUSITFBUWGBIqEGExSRsd
Hw/8QAGQEAAgMBAAAAAAAAAAAAAAAAAQMAAgQF/8QAGxEAAgMBAQEAAAAAAAAAAAAAAAECAxExEiH/2gAMAwEAAhEDEQA/AEVCEIFwQtrSNE/U
sGRl7mxHljBwXez6TFBjQYzdsETIxQB2jk15PdLlYkOhS5LWIaE/SwxTN2zRskaDdOaCLWDqmgtbGZsAOscmK7seu/worE+hlQ0tX0X0IQmCAV
nTscZWoQwkAtc76gTVgcn7BVlb0qduPqcErq2h1Ek0ADxfxaD4GOatHZX4o2xtode58qgrEWTTakBJHcLIdEMqNo+scEmiFXUk0pkPho6BRqEE
/XscQapIWgBsoEgAPnr9wVnLT/EM7ZtUcG1UTQywbs9T/NfCzFqjxHPnnp4CEIVioxaRrjSwQZz6cOGynv6P9/47zXNe0OaQ5pFgg2CF5+pIp5
oL/Jmkj3ddjiL/AGSpVp8HwvaWMfVjaprkUEZjw3tkmPG4ctb78FLkuTkTN2zTyyNBunPJFqJRVZ0Mr21iOuc57i5xLnE2STZJXEITTOf/2Q==
"""


def samples() -> list[tuple[str, bytes, bytes]]:
    """Prompt, image and mask of every sample."""
    names = [path.name for path in sorted((SAMPLES / "images").glob("*.png"))]
    read = lambda kind, name: (SAMPLES / kind / name).read_bytes()
    return [(name[:-4].replace("-", " "), read("images", name), read("masks", name)) for name in names]


def every_format() -> dict[str, bytes]:
    """The smallest useful picture of each format."""
    return {"png": samples()[0][1], "jpeg": base64.b64decode(_JPEG), "tiff": _tiff(64, 48), "dicom": _dicom(64, 48)}


def _levels(width: int, height: int) -> bytes:
    """A bright disc on dark ground."""
    inside = lambda x, y: (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    return bytes(200 if inside(x, y) else 40 for y in range(height) for x in range(width))


def _tiff(width: int, height: int) -> bytes:
    """Uncompressed grey levels in one strip."""
    pixels = _levels(width, height)
    # Tag, type (3 short, 4 long), count, value.
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
               (278, 4, height), (279, 4, len(pixels))]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + directory + bytes(4)


def _dicom(width: int, height: int) -> bytes:
    """A secondary capture of 8-bit grey levels, explicit VR little endian (PS3.5 7.1.2)."""

    def element(group: int, number: int, kind: str, value: bytes) -> bytes:
        value += (b" " if kind in ("CS", "LO", "PN", "DS", "IS") else b"\0") * (len(value) % 2)
        if kind in ("OB", "OW"):
            return struct.pack("<HH2sHI", group, number, kind.encode(), 0, len(value)) + value
        return struct.pack("<HH2sH", group, number, kind.encode(), len(value)) + value

    short = lambda value: struct.pack("<H", value)
    capture, instance, explicit = b"1.2.840.10008.5.1.4.1.1.7", b"2.25.1", b"1.2.840.10008.1.2.1"
    meta = (element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", capture) + element(2, 3, "UI", instance)
            + element(2, 16, "UI", explicit) + element(2, 18, "UI", b"2.25.2"))
    meta = element(2, 0, "UL", struct.pack("<I", len(meta))) + meta
    data = (element(8, 0x16, "UI", capture) + element(8, 0x18, "UI", instance) + element(8, 0x60, "CS", b"OT")
            + element(0x28, 2, "US", short(1)) + element(0x28, 4, "CS", b"MONOCHROME2")
            + element(0x28, 0x10, "US", short(height)) + element(0x28, 0x11, "US", short(width))
            + element(0x28, 0x100, "US", short(8)) + element(0x28, 0x101, "US", short(8))
            + element(0x28, 0x102, "US", short(7)) + element(0x28, 0x103, "US", short(0))
            + element(0x7FE0, 0x10, "OB", _levels(width, height)))
    return bytes(128) + b"DICM" + meta + data
