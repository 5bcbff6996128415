"""A lossless JPEG encoder (process 14, predictor 1), since no Python package has one."""
import numpy as np


def encode(values: np.ndarray, precision: int) -> bytes:
    """`values` has shape (rows, columns) or (rows, columns, 3)."""
    planes = values.reshape(values.shape[0], values.shape[1], -1).astype(np.int64)
    rows, columns, components = planes.shape
    names = range(1, components + 1)
    # 17 categories, each with a code of five bits: not short, but enough for a test.
    table = bytes([0] + [0] * 4 + [17] + [0] * 11) + bytes(range(17))
    frame = bytes([precision]) + rows.to_bytes(2) + columns.to_bytes(2) + bytes([components])
    frame += b"".join(bytes([name, 0x11, 0]) for name in names)
    scan = bytes([components]) + b"".join(bytes([name, 0]) for name in names) + bytes([1, 0, 0])
    head = b"\xff\xd8" + segment(0xC4, table) + segment(0xC3, frame) + segment(0xDA, scan)
    return head + entropy_coded(planes, precision) + b"\xff\xd9"


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def entropy_coded(planes: np.ndarray, precision: int) -> bytes:
    bits = ""
    rows, columns, components = planes.shape
    for y in range(rows):
        for x in range(columns):
            for c in range(components):
                if x > 0:
                    predicted = planes[y, x - 1, c]
                elif y > 0:
                    predicted = planes[y - 1, 0, c]
                else:
                    predicted = 1 << (precision - 1)
                bits += difference(int((planes[y, x, c] - predicted + 32768) % 65536 - 32768))
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")


def difference(value: int) -> str:
    """The category's code, then the value's bits. -32768 is a category without bits."""
    if value == -32768:
        return f"{16:05b}"
    category = abs(value).bit_length()
    if category == 0:
        return f"{0:05b}"
    return f"{category:05b}" + f"{value if value > 0 else value + (1 << category) - 1:0{category}b}"
