"""Whether two programs compute the same gradient."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The plain f32 gradient that all others are held against.
REFERENCE = "trunc"
# Of f32 against f32, in the 2-norm: rounding alone makes about 1e-5.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """Of a gradient with the reference. `sign` is the share of values whose sign differs, which is what an attack uses."""

    relative_error: float
    cosine: float
    sign: float


def compare(file: Path, reference: Path) -> Agreement:
    ours, theirs = (np.load(f).astype(np.float64).ravel() for f in (file, reference))
    lengths = np.linalg.norm(ours), np.linalg.norm(theirs)
    return Agreement(float(np.linalg.norm(ours - theirs) / lengths[1]), float(ours @ theirs / (lengths[0] * lengths[1])),
                     float(np.mean(np.sign(ours) != np.sign(theirs))))
