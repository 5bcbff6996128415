"""Small synthetic DICOM files, and parts of them."""
import io

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

ROWS, COLUMNS = 12, 16


def wave(highest: int, lowest: int = 0, rows: int = ROWS, columns: int = COLUMNS, phase: float = 0) -> np.ndarray:
    """A smooth pattern that reaches both ends."""
    y, x = np.mgrid[:rows, :columns]
    pattern = np.sin(x / 3 + phase) + np.cos(y / 2.5 - phase) + x / columns
    pattern = (pattern - pattern.min()) / (pattern.max() - pattern.min())
    return np.round(lowest + pattern * (highest - lowest)).astype(np.int64)


def colours(highest: int = 255, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    return np.stack([wave(highest, 0, rows, columns, phase) for phase in range(3)], axis=2)


def dataset(values: np.ndarray, photometric: str = "MONOCHROME2", **fields) -> Dataset:
    """An image whose pixels are not compressed; `fields` overrides or adds elements."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.826.0.1.3680043.10.1"
    # Made up; no decoder may repeat them.
    ds.PatientName, ds.PatientID = "Secret^Person", "SECRET-ID"
    ds.Rows, ds.Columns = values.shape[-2:] if values.ndim == 2 else values.shape[:2]
    ds.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if values.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = 8 if values.max() < 256 and values.min() >= 0 else 16
    ds.PixelRepresentation = int(values.min() < 0)
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.BitsStored = fields.get("BitsStored", ds.BitsAllocated)
    ds.HighBit = fields.get("HighBit", ds.BitsStored - 1)
    ds.PixelData = values.astype("<i2" if ds.BitsAllocated == 16 else "u1").tobytes()
    if len(ds.PixelData) % 2:
        ds.PixelData += b"\0"
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    return ds


def written(ds: Dataset, syntax: str = ExplicitVRLittleEndian, frames: list[bytes] | None = None) -> bytes:
    """The file; `frames` are compressed ones."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    if frames is not None:
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    file = io.BytesIO()
    pydicom.dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()


def ct(rows: int = ROWS, columns: int = COLUMNS, **fields) -> Dataset:
    return dataset(wave(2000, -1024, rows, columns), **({"RescaleSlope": "1", "RescaleIntercept": "-24"} | fields))


def jpeg(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(file, "JPEG", **options)
    return file.getvalue()


def one_bit() -> Dataset:
    ds = dataset((wave(255) > 127).astype(np.int64), BitsAllocated=1)
    ds.PixelData = np.packbits((wave(255) > 127).ravel(), bitorder="little").tobytes()
    return ds


def palette(bits: int) -> Dataset:
    ds = dataset(wave(63), "PALETTE COLOR")
    for at, colour in enumerate(["Red", "Green", "Blue"]):
        table = (np.arange(64) * (4 - at) + 3 * at).clip(0, 255)
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [64, 0, bits])
        content = (table * 257).astype("<u2") if bits == 16 else table.astype("u1")
        setattr(ds, f"{colour}PaletteColorLookupTableData", content.tobytes())
    return ds


def written_big(ds: Dataset, kind: str) -> bytes:
    if kind == "words":
        ds.PixelData = np.frombuffer(ds.PixelData, "u1").reshape(-1, 2)[:, ::-1].tobytes()
        ds["PixelData"].VR = "OW"
    else:
        ds.PixelData = np.frombuffer(ds.PixelData, kind).astype(kind.replace("<", ">")).tobytes()
    return written(ds, ExplicitVRBigEndian)


def deflated_head() -> bytes:
    file = written(ct(), ExplicitVRLittleEndian)
    head = file[: file.index(b"\x08\x00\x16\x00UI")]
    old = b"UI" + (20).to_bytes(2, "little") + b"1.2.840.10008.1.2.1\0"
    return head.replace(old, b"UI" + (22).to_bytes(2, "little") + b"1.2.840.10008.1.2.1.99")


def shortened(ds: Dataset, length: int) -> bytes:
    ds.PixelData = ds.PixelData[:length]
    return written(ds)


def without_pixels() -> bytes:
    ds = ct()
    del ds.PixelData
    return written(ds)


def wide() -> Dataset:
    ds = dataset(wave(255), BitsAllocated=8)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31
    ds.PixelData = wave(255).astype("<u4").tobytes()
    return ds
