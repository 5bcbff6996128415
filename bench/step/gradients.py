"""Whether the configurations compute the same gradient, from what exact_gradient.py says of each row."""

from dataclasses import dataclass

# Of our f32 against f64, in the 2-norm, apart from units that rounding put on the other side of a ReLU's kink.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Agreement:
    """Of the rows of one configuration with the exact gradient: the worst row, and units on the other side of a kink."""

    relative_error: float
    cosine: float
    sign: float  # the share of values whose sign differs, which is what an attack uses
    beyond_kinks: float
    turned: list[float]  # how near each such unit is to its kink, relative to the mean size of such inputs

    @classmethod
    def worst(cls, rows: list[dict]) -> "Agreement":
        return cls(max(row["relative_error"] for row in rows), min(row["cosine"] for row in rows),
                   max(row["sign"] for row in rows), max(row["beyond_kinks"] for row in rows),
                   [nearness for row in rows for nearness in row["turned"]])
