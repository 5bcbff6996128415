"""Compares Segprobe with pydicom on the DICOM files of a folder: prints a Markdown table.

    python tests/oracle/dicom_compare.py DECODER FOLDER
"""
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom

from dicom_reference import levels


def ours(decoder: str, file: Path) -> tuple[str, np.ndarray | None]:
    """What the decoder says, and its pixels if it has any."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pixels.ppm"
        said = subprocess.run([decoder, file, "0", out], capture_output=True, text=True, check=True).stdout.strip()
        if not out.exists():
            return said, None
        _, size, _, pixels = out.read_bytes().split(b"\n", 3)
        width, height = map(int, size.split())
        return said, np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def kind(ds: pydicom.Dataset) -> str:
    syntax = ds.file_meta.TransferSyntaxUID.name if "TransferSyntaxUID" in ds.get("file_meta", {}) else "none stated"
    bits = f"{ds.get('BitsStored', '?')} of {ds.get('BitsAllocated', '?')} bits"
    return f"{syntax}; {ds.get('PhotometricInterpretation', '?')}, {bits}"


def row(decoder: str, file: Path) -> str:
    said, pixels = ours(decoder, file)
    described = "?"
    try:
        ds = pydicom.dcmread(file, force=True)
        described = kind(ds)
        reference = levels(ds)
    except Exception as error:
        apart = f"pydicom: {type(error).__name__}"
    else:
        apart = "-" if pixels is None else np.abs(pixels.astype(int) - reference).max()
    return f"| `{file.name}` | {described} | {said.removeprefix('DICOM ')} | {apart} |"


def main():
    warnings.simplefilter("ignore")
    decoder, folder = sys.argv[1:]
    print("| file | kind | answer | largest difference in levels |\n|---|---|---|---|")
    for file in sorted(Path(folder).glob("*.dcm")):
        print(row(decoder, file))


if __name__ == "__main__":
    main()
