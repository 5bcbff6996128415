//! The stored values of a frame.

use super::description::{Description, Photometric};
use super::elements::Elements;

/// The values of a frame, pixel after pixel, each as the bits of its field.
#[derive(Debug)]
pub struct Samples {
    pub fields: Vec<u16>,
    /// What they mean: a codec may know better than the data set.
    pub photometric: Photometric,
}

impl Samples {
    /// Values that are not compressed. `bytes` has the length that the description asks for.
    pub fn native(bytes: &[u8], description: &Description, elements: &Elements) -> Self {
        let bits = description.bits;
        let words: Vec<u16> = match bits.allocated {
            // The lowest bit of a byte comes first.
            1 => (0..description.pixels()).map(|at| u16::from(bytes[at / 8] >> (at % 8) & 1)).collect(),
            8 if elements.encoding.big_endian && elements.pixels_are_words && bytes.len().is_multiple_of(2) => {
                bytes.as_chunks().0.iter().flat_map(|[a, b]| [u16::from(*b), u16::from(*a)]).collect()
            }
            8 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
            _ => bytes.as_chunks().0.iter().map(|pair| elements.encoding.u16(*pair)).collect(),
        };
        let fields: Vec<u16> = words.into_iter().map(|word| bits.field(word)).collect();
        let (fields, photometric) = match description.photometric {
            Photometric::Ybr422 => (one_difference_each(&fields), Photometric::Ybr),
            other if description.planar && description.samples > 1 => (interleaved(&fields, description), other),
            other => (fields, other),
        };
        Self { fields, photometric }
    }
}

/// Two luminances and one pair of differences become two pixels.
fn one_difference_each(fields: &[u16]) -> Vec<u16> {
    fields
        .as_chunks()
        .0
        .iter()
        .flat_map(|[first, second, blue, red]| [*first, *blue, *red, *second, *blue, *red])
        .collect()
}

fn interleaved(fields: &[u16], description: &Description) -> Vec<u16> {
    let plane = description.pixels();
    (0..plane).flat_map(|at| (0..description.samples).map(move |sample| fields[sample * plane + at])).collect()
}
