//! RLE Lossless, PS3.5 annex G: a header of 16 numbers, then a segment for each byte of each sample.

use super::super::description::Description;
use super::super::samples::Samples;
use super::corrupt;
use crate::imaging::ImagingError;

/// The count of segments and the starts of up to 15, 32 bits each.
const HEADER: usize = 64;

pub fn unpack(packed: &[u8], description: &Description) -> Result<Samples, ImagingError> {
    let bytes = usize::from(description.bits.allocated / 8);
    let header = packed.get(..HEADER).ok_or_else(|| corrupt("the header of its run lengths is cut off"))?;
    let numbers: Vec<usize> = header.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four) as usize).collect();
    let segments = bytes * description.samples;
    if numbers[0] != segments {
        return Err(corrupt(&format!("it has {} segments of run lengths, {segments} are needed", numbers[0])));
    }
    let mut words = vec![0u16; description.pixels() * description.samples];
    for segment in 0..segments {
        let start = numbers[1 + segment];
        let end = if segment + 1 < segments { numbers[2 + segment] } else { packed.len() };
        let runs =
            packed.get(start..end).ok_or_else(|| corrupt("a segment of its run lengths lies outside the frame"))?;
        // The upper byte comes first.
        let (sample, shift) = (segment / bytes, 8 * (bytes - 1 - segment % bytes));
        let places = words.iter_mut().skip(sample).step_by(description.samples);
        fill(runs, places, shift).ok_or_else(|| corrupt("its run lengths end before the frame does"))?;
    }
    Ok(Samples { fields: words, photometric: description.photometric })
}

/// Puts the bytes of a segment into the words of a sample; `None` if there are too few.
fn fill<'a>(runs: &[u8], places: impl Iterator<Item = &'a mut u16>, shift: usize) -> Option<()> {
    let mut rest = runs;
    let (mut left, mut repeated) = (0, None);
    for place in places {
        while left == 0 {
            let (code, after) = rest.split_first()?;
            rest = after;
            match code.cast_signed() {
                // No run at all.
                i8::MIN => {}
                count @ ..0 => {
                    let (value, after) = rest.split_first()?;
                    (rest, left, repeated) = (after, usize::from(count.unsigned_abs()) + 1, Some(*value));
                }
                count => (left, repeated) = (usize::from(count.unsigned_abs()) + 1, None),
            }
        }
        let byte = match repeated {
            Some(value) => value,
            None => {
                let (value, after) = rest.split_first()?;
                rest = after;
                *value
            }
        };
        *place |= u16::from(byte) << shift;
        left -= 1;
    }
    Some(())
}
