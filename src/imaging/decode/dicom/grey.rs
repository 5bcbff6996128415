//! From stored values to grey levels: rescaled, windowed, and turned around if high values are dark.
//!
//! There are at most 2^16 stored values, so the way is taken once for each of them.

use super::description::{Bits, Description, Photometric};
use super::elements::{Elements, Tag};
use super::samples::Samples;
use super::{corrupt, unsupported};
use crate::imaging::{ImagingError, Window};

const CENTER: Tag = (0x0028, 0x1050);
const WIDTH: Tag = (0x0028, 0x1051);
const INTERCEPT: Tag = (0x0028, 0x1052);
const SLOPE: Tag = (0x0028, 0x1053);
const FUNCTION: Tag = (0x0028, 0x1056);
const MODALITY_TABLE: Tag = (0x0028, 0x3000);
const WINDOW_TABLE: Tag = (0x0028, 0x3010);

/// How a value becomes a share of the way from black to white.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    /// LINEAR, PS3.3 C.11.2.1.2.1.
    Linear(Window),
    /// LINEAR_EXACT, PS3.3 C.11.2.1.3.2.
    LinearExact(Window),
    /// SIGMOID, PS3.3 C.11.2.1.3.1.
    Sigmoid(Window),
    /// From the lowest to the highest value of the frame.
    Range { lowest: f64, highest: f64 },
}

/// The levels of a frame, as RGB.
pub fn levels(
    samples: &Samples,
    description: &Description,
    elements: &Elements,
    window: Option<Window>,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, ImagingError> {
    let bits = description.bits;
    let inverted = description.photometric == Photometric::Grey { inverted: true };
    let rescaled = rescale(elements)?;
    let curve = match window.map(Curve::Linear) {
        Some(curve) => curve,
        // Inside or outside, as in a segmentation: there is nothing to window.
        None if bits.stored == 1 => Curve::Range { lowest: rescaled(0), highest: rescaled(bits.value(1)) },
        None => of_file(elements).unwrap_or_else(|| range(samples, bits, &rescaled)),
    };
    if elements.get(WINDOW_TABLE).is_some() {
        notes.push("the look-up table that the file has for showing it was not applied".to_owned());
    }
    if bits.stored > 1 {
        notes.push(curve.note(window.is_some()));
    }
    let level = |field: u16| {
        let level = (curve.share(rescaled(bits.value(field))) * 255.).round() as u8;
        if inverted { u8::MAX - level } else { level }
    };
    let table: Vec<u8> = (0..=bits.highest()).map(level).collect();
    Ok(samples.fields.iter().flat_map(|field| [table[usize::from(*field)]; 3]).collect())
}

fn rescale(elements: &Elements) -> Result<impl Fn(i32) -> f64, ImagingError> {
    if elements.get(MODALITY_TABLE).is_some() {
        return Err(unsupported("a DICOM file whose values go through a modality look-up table"));
    }
    let number =
        |tag, otherwise| elements.text(tag).filter(|text| !text.is_empty()).map_or(Ok(otherwise), str::parse::<f64>);
    match (number(SLOPE, 1.), number(INTERCEPT, 0.)) {
        (Ok(slope), Ok(intercept)) if slope.is_finite() && slope != 0. && intercept.is_finite() => {
            Ok(move |value: i32| f64::from(value) * slope + intercept)
        }
        _ => Err(corrupt("its rescale slope or intercept is not a number that can be used")),
    }
}

/// The file's first window, if it is one.
fn of_file(elements: &Elements) -> Option<Curve> {
    let number = |tag| elements.text(tag)?.parse::<f64>().ok().filter(|number| number.is_finite());
    let window = Window { center: number(CENTER)?, width: number(WIDTH)? };
    match elements.text(FUNCTION) {
        Some("LINEAR_EXACT") if window.width > 0. => Some(Curve::LinearExact(window)),
        Some("SIGMOID") if window.width > 0. => Some(Curve::Sigmoid(window)),
        _ if window.width >= 1. => Some(Curve::Linear(window)),
        _ => None,
    }
}

fn range(samples: &Samples, bits: Bits, rescaled: impl Fn(i32) -> f64) -> Curve {
    let values = || samples.fields.iter().map(|field| bits.value(*field));
    let ends = [values().min(), values().max()].map(|end| rescaled(end.unwrap_or_default()));
    Curve::Range { lowest: ends[0].min(ends[1]), highest: ends[0].max(ends[1]) }
}

impl Curve {
    /// From 0, black, to 1, white.
    fn share(self, value: f64) -> f64 {
        match self {
            Self::Linear(Window { center, width }) => {
                // Not a division by zero: a window of width 1 is a step.
                let (from_center, half) = (value - (center - 0.5), (width - 1.) / 2.);
                if from_center <= -half {
                    0.
                } else if from_center > half {
                    1.
                } else {
                    from_center / (width - 1.) + 0.5
                }
            }
            Self::LinearExact(Window { center, width }) => ((value - center) / width + 0.5).clamp(0., 1.),
            Self::Sigmoid(Window { center, width }) => 1. / (1. + (-4. * (value - center) / width).exp()),
            Self::Range { lowest, highest } if lowest == highest => 0.,
            Self::Range { lowest, highest } => ((value - lowest) / (highest - lowest)).clamp(0., 1.),
        }
    }

    fn note(self, asked_for: bool) -> String {
        let whose = if asked_for { "given" } else { "file's" };
        match self {
            Self::Linear(w) => {
                format!("the {whose} window became levels 0 to 255: center {}, width {}", w.center, w.width)
            }
            Self::LinearExact(w) => {
                format!(
                    "the file's window became levels 0 to 255: center {}, width {}, exactly linear",
                    w.center, w.width
                )
            }
            Self::Sigmoid(w) => {
                format!("the file's window became levels 0 to 255: center {}, width {}, sigmoid", w.center, w.width)
            }
            Self::Range { lowest, highest } => {
                format!("the file has no window; its values from {lowest} to {highest} became levels 0 to 255")
            }
        }
    }
}
