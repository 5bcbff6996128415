"""What pydicom makes of a frame, as 8-bit RGB: the reference for Segprobe's DICOM decoder."""
import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing, pixel_array


def levels(dataset: Dataset, frame: int = 0) -> np.ndarray:
    """Shape (rows, columns, 3), uint8. Colours come as RGB, grey values rescaled and windowed."""
    values = pixel_array(dataset, index=frame)
    bits = dataset.BitsStored
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(values, dataset)
        # pydicom keeps 16-bit tables as they are; the upper byte is the 8-bit level.
        return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)
    if dataset.SamplesPerPixel == 3:
        return np.floor(values * (255 / (2**bits - 1)) + 0.5).astype(np.uint8)
    shown = rounded(grey(apply_modality_lut(values, dataset).astype(np.float64), dataset))
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 255 - shown
    return np.repeat(shown[..., None], 3, axis=2)


def grey(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """From 0, black, to 1, white: through the first window, or from the lowest to the highest value."""
    if "WindowCenter" not in dataset:
        lowest, highest = (0.0, 1.0) if dataset.BitsStored == 1 else (values.min(), values.max())
        return (values - lowest) / (highest - lowest) if highest > lowest else np.zeros_like(values)
    # pydicom's range of results depends on the file: values far outside the window show its ends.
    windowed = apply_windowing(np.append(values.ravel(), [-1e9, 1e9]), dataset)
    black, white = windowed[-2:]
    return ((windowed[:-2] - black) / (white - black)).reshape(values.shape)


def rounded(shares: np.ndarray) -> np.ndarray:
    return np.floor(shares * 255 + 0.5).astype(np.uint8)
