"""Writes tests/fixtures/dicom: small synthetic DICOM files of every kind, and what each must become.

    pip install pydicom pylibjpeg[all] pyjpegls numpy pillow
    python tests/oracle/dicom_fixtures.py

`cases.json` has the levels that pydicom computes, as hexadecimal digits (one level per pixel if grey, three if
colour), the difference that is allowed, or the text that the refusal must contain.
"""
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian, HTJ2KLossless, ImplicitVRLittleEndian,
    JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless,
    JPEGLSNearLossless, RLELossless,
)

import jpeg_lossless
from dicom_files import (
    colours, ct, dataset, deflated_head, jpeg, one_bit, palette, shortened, wave, wide, without_pixels, written,
    written_big,
)
from dicom_reference import levels

OUT = Path(__file__).parents[1] / "fixtures" / "dicom"
CASES: list[dict] = []


def good(name: str, file: bytes, tolerance: int = 0, frame: int | None = None, window=None, reference=None):
    """A file that is read. The reference is pydicom's reading of the same bytes unless it cannot read them."""
    (OUT / f"{name}.dcm").write_bytes(file)
    if reference is None:
        ds = pydicom.dcmread(io.BytesIO(file))
        if window:
            ds.WindowCenter, ds.WindowWidth = window
            ds.pop("VOILUTFunction", None)
        reference = levels(ds, frame or 0)
    grey = bool((reference == reference[..., :1]).all())
    CASES.append({
        "file": f"{name}.dcm", "frame": frame, "window": window, "tolerance": tolerance,
        "width": reference.shape[1], "height": reference.shape[0],
        "levels": (reference[..., 0] if grey else reference).tobytes().hex(),
    })


def bad(name: str, file: bytes, error: str, frame: int | None = None, window=None):
    """A file that is refused with a text that contains `error`."""
    (OUT / f"{name}.dcm").write_bytes(file)
    CASES.append({"file": f"{name}.dcm", "frame": frame, "window": window, "error": error})


def native():
    good("ct_no_window", written(ct()))
    good("ct_window", written(ct(WindowCenter="40", WindowWidth="400")))
    good("ct_two_windows", written(ct(WindowCenter=["300", "40"], WindowWidth=["1500", "400"])))
    good("ct_window_given", written(ct(WindowCenter="40", WindowWidth="400")), window=[-300, 1200])
    good("ct_linear_exact", written(ct(WindowCenter="40", WindowWidth="400", VOILUTFunction="LINEAR_EXACT")))
    good("ct_sigmoid", written(ct(WindowCenter="40", WindowWidth="400", VOILUTFunction="SIGMOID")), tolerance=1)
    good("ct_step", written(ct(WindowCenter="40", WindowWidth="1")), reference=step())
    good("ct_negative_slope", written(ct(RescaleSlope="-0.5", WindowCenter="40", WindowWidth="400")))
    good("ct_implicit", written(ct(), ImplicitVRLittleEndian))
    good("ct_big_endian", written_big(ct(), "<i2"))
    good("ct_deflated", written(ct(), DeflatedExplicitVRLittleEndian))
    good("monochrome1", written(dataset(wave(255), "MONOCHROME1", WindowCenter="100", WindowWidth="120")))
    good("twelve_of_sixteen", written(dataset(wave(4095), BitsStored=12)))
    good("overlay_in_high_bits", written(dataset(wave(4095) | 0x1000, BitsStored=12)), reference=plain(wave(4095)))
    good("signed_twelve", written(dataset(wave(2047, -2048) & 0xFFF, BitsAllocated=16, BitsStored=12, PixelRepresentation=1)))
    good("constant", written(dataset(np.full((12, 16), 77))))
    good("one_bit", written(one_bit()))
    good("sixteen_bit_rgb", written(dataset(colours(65535).astype(np.uint16), "RGB")))
    good("rgb", written(dataset(colours(), "RGB")))
    planar = dataset(colours(), "RGB", PlanarConfiguration=1)
    planar.PixelData = colours().astype("u1").transpose(2, 0, 1).tobytes()
    good("rgb_planar", written(planar))
    good("rgb_big_endian_words", written_big(dataset(colours(), "RGB"), "words"), reference=colours().astype(np.uint8))
    good("ybr_full", written(dataset(colours(), "YBR_FULL")))
    halved = dataset(colours(), "YBR_FULL_422")
    pairs = colours().astype("u1").reshape(-1, 2, 3)
    halved.PixelData = np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1).tobytes()
    good("ybr_full_422", written(halved))
    good("palette", written(palette(16)))
    good("palette_8", written(palette(8)))
    several = dataset(wave(255), NumberOfFrames="3")
    several.PixelData = b"".join(wave(255, phase=p).astype("u1").tobytes() for p in range(3))
    good("frames", written(several))
    good("frames_last", written(several), frame=2)
    bad("frames_beyond", written(several), "there is no frame 3, the file has 3", frame=3)
    nested = ct()
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    inner = Dataset()
    inner.ReferencedImageSequence = [item, item]
    nested.ReferencedStudySequence = [inner]
    nested["ReferencedStudySequence"].is_undefined_length = True
    inner["ReferencedImageSequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    good("nested_sequences", written(nested))
    whole = written(ct())
    good("no_head", whole[whole.index(b"\x08\x00\x16\x00UI") :], reference=levels(pydicom.dcmread(io.BytesIO(whole))))
    good("also_a_tiff", b"II*\0" + whole[4:])


def step() -> np.ndarray:
    """A window of width 1, which pydicom divides by zero for: white above center - 0.5."""
    return np.repeat(((wave(2000, -1024) - 24 > 39.5) * 255).astype(np.uint8)[..., None], 3, axis=2)


def plain(values: np.ndarray) -> np.ndarray:
    shares = (values - values.min()) / (values.max() - values.min())
    return np.repeat(np.floor(shares * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=2)


def compressed():
    for name, ds in [("rle_ct", ct()), ("rle_rgb", dataset(colours(), "RGB")), ("rle_16_rgb", dataset(colours(65535).astype(np.uint16), "RGB"))]:
        written(ds)
        ds.compress(RLELossless, generate_instance_uid=False)
        good(name, written(ds, RLELossless))
    grey, rgb = wave(255), colours()
    good("jpeg_baseline", written(dataset(grey), JPEGBaseline8Bit, [jpeg(grey, quality=90)]), tolerance=1)
    extended = jpeg(grey, quality=90).replace(b"\xff\xc0", b"\xff\xc1", 1)
    good("jpeg_extended", written(dataset(grey), JPEGExtended12Bit, [extended]), tolerance=1)
    ybr = jpeg(rgb, quality=90, subsampling=0)
    good("jpeg_ybr", written(dataset(rgb, "YBR_FULL"), JPEGBaseline8Bit, [ybr]), tolerance=2)
    ybr = jpeg(rgb, quality=90, subsampling=1)
    good("jpeg_ybr_422", written(dataset(rgb, "YBR_FULL_422"), JPEGBaseline8Bit, [ybr]), tolerance=4)
    wide = jpeg_lossless.encode(wave(4095), 12)
    good("jpeg_lossless", written(dataset(wave(4095), BitsStored=12), JPEGLosslessSV1, [wide]))
    signed = jpeg_lossless.encode(wave(2000, -1024) & 0xFFFF, 16)
    good("jpeg_lossless_signed", written(ct(), JPEGLosslessSV1, [signed]))
    good("jpeg_lossless_rgb", written(dataset(rgb, "RGB"), JPEGLosslessSV1, [jpeg_lossless.encode(rgb, 8)]))
    two = [jpeg(wave(255, phase=p), quality=90) for p in range(2)]
    good("jpeg_two_frames", written(dataset(grey, NumberOfFrames="2"), JPEGBaseline8Bit, two), tolerance=1, frame=1)
    for name, ds, syntax, options in [
        ("jpeg_ls", ct(), JPEGLSLossless, {}),
        ("jpeg_ls_near", dataset(grey), JPEGLSNearLossless, {"jls_error": 3}),
        # The encoder halves the sides five times, so they must be longer.
        ("jpeg_2000", ct(40, 36), JPEG2000Lossless, {}),
        ("jpeg_2000_rgb", dataset(colours(255, 40, 36), "RGB"), JPEG2000Lossless, {}),
        ("jpeg_2000_lossy", dataset(wave(4095, 0, 40, 36), BitsStored=12), JPEG2000, {"j2k_psnr": [60]}),
    ]:
        written(ds)
        if name == "jpeg_2000_rgb":
            ds.PhotometricInterpretation = "YBR_RCT"
        ds.compress(syntax, generate_instance_uid=False, **options)
        good(name, written(ds, syntax), tolerance=1 if name == "jpeg_2000_lossy" else 0)
    ds = dataset(rgb, "RGB")
    written(ds)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    bad("jpeg_ls_rgb", written(ds, JPEGLSLossless), "JPEG-LS colours is not supported")
    twelve = bytearray(jpeg(grey, quality=90).replace(b"\xff\xc0", b"\xff\xc1", 1))
    twelve[twelve.index(b"\xff\xc1") + 4] = 12
    bad("jpeg_12", written(dataset(wave(4095), BitsStored=12), JPEGExtended12Bit, [bytes(twelve)]), "lossy JPEG of 12 bits")


def broken():
    whole = written(ct())
    bad("truncated", whole[:-100], "the DICOM file is cut off")
    bad("truncated_head", whole[:200], "the DICOM file is cut off")
    bad("too_few_pixels", shortened(ct(), 100), "its pixels have 100 bytes, 384 are needed")
    bad("length_beyond_end", whole.replace(b"OW\0\0" + (384).to_bytes(4, "little"), b"OW\0\0\xf0\xff\xff\x7f"), "cut off")
    bad("no_pixels", without_pixels(), "a DICOM file without pixels is not supported")
    bad("bomb_size", shortened(dataset(wave(255), Rows=65535, Columns=65535), 4), "the picture is 65535x65535")
    bad("bomb_frames", shortened(dataset(wave(255), NumberOfFrames="2000000000"), 4), "its pixels have 4 bytes")
    bad("negative_frames", shortened(dataset(wave(255), NumberOfFrames="-1"), 4), "number of frames")
    grey = wave(255)
    huge = bytearray(jpeg(grey))
    at = huge.index(b"\xff\xc0") + 5
    huge[at : at + 4] = b"\xff\xff\xff\xff"
    bad("bomb_jpeg", written(dataset(grey), JPEGBaseline8Bit, [bytes(huge)]), "its compressed frame is 65535x65535")
    ds = ct(40, 36)
    written(ds)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    file = bytearray(written(ds, JPEG2000Lossless))
    at = file.index(b"\xff\x4f\xff\x51") + 8
    file[at : at + 8] = b"\x00\x01\x00\x00" * 2
    bad("bomb_jpeg_2000", bytes(file), "its compressed frame is 65536x65536")
    endless = whole[whole.index(b"\x08\x00\x16\x00UI") :] + b"\0" * (200 << 10)
    head = deflated_head()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bad("bomb_deflated", head + squeeze.compress(endless) + squeeze.flush(), "the deflated data set has more than")
    bad("bad_deflate", head + b"\xff" * 40, "cannot be inflated")
    bad("frame_cut_off", written(dataset(grey), JPEGBaseline8Bit, [jpeg(grey)[:-30]]), "cannot be decoded")
    bad("rle_too_short", written(dataset(grey), RLELossless, [b"\1\0\0\0\x40\0\0\0" + b"\0" * 56 + b"\0\7"]), "its run lengths end")
    bad("rle_bomb", written(dataset(grey), RLELossless, [b"\xff" * 64]), "segments of run lengths")
    bad("high_throughput", written(dataset(grey), HTJ2KLossless, [b"\xff\x4f"]), "(High-Throughput JPEG 2000) is not supported")
    bad("cmyk", written(dataset(grey, "CMYK")), "photometric interpretation")
    bad("thirty_two_bits", written(wide()), "32 bits allocated")
    bad("wrong_samples", written(dataset(grey, "RGB")), "it has 1 samples per pixel, its colours need 3")
    bad("bits_do_not_fit", written(dataset(grey, BitsStored=12, BitsAllocated=8)), "12 bits up to bit 11 do not fit into 8")
    bad("slope_zero", written(ct(RescaleSlope="0")), "rescale slope")
    bad("window_too_narrow", written(ct()), "the window cannot be used", window=[0, 0.5])
    bad("window_for_colours", written(dataset(colours(), "RGB")), "the window cannot be used", window=[100, 50])
    deep = bytes.fromhex("0800401153510000ffffffff feff00e0ffffffff".replace(" ", "")) * 300
    bad("deep", whole[: whole.index(b"\x08\x00\x16\x00UI")] + deep, "the DICOM file is cut off")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    native()
    compressed()
    broken()
    (OUT / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]\n")
    sizes = [path.stat().st_size for path in OUT.glob("*.dcm")]
    print(f"{len(sizes)} files, the largest has {max(sizes)} bytes")


if __name__ == "__main__":
    main()
