//! From stored values to colours.

use super::description::{Description, Photometric};
use super::elements::{Elements, Tag};
use super::samples::Samples;
use super::{corrupt, unsupported};
use crate::imaging::ImagingError;

/// Size, first index and bits of the tables of red, green and blue.
const DESCRIPTORS: [Tag; 3] = [(0x0028, 0x1101), (0x0028, 0x1102), (0x0028, 0x1103)];
const TABLES: [Tag; 3] = [(0x0028, 0x1201), (0x0028, 0x1202), (0x0028, 0x1203)];
const SEGMENTED: Tag = (0x0028, 0x1221);

/// The colours of a frame, as RGB.
pub fn levels(
    samples: &Samples,
    description: &Description,
    elements: &Elements,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, ImagingError> {
    let (fields, bits) = (&samples.fields, description.bits);
    match samples.photometric {
        Photometric::Palette => {
            let value = |field: &u16| bits.value(*field);
            let tables = [table(elements, 0)?, table(elements, 1)?, table(elements, 2)?];
            Ok(fields.iter().map(value).flat_map(|index| tables.each_ref().map(|table| table.level(index))).collect())
        }
        Photometric::Ybr => Ok(fields.as_chunks().0.iter().flat_map(|pixel| rgb(*pixel)).collect()),
        _ if bits.stored == 8 => Ok(fields.iter().map(|field| *field as u8).collect()),
        _ => {
            notes.push(format!("{}-bit levels were mapped to 8 bits", bits.stored));
            let highest = u32::from(bits.highest());
            Ok(fields.iter().map(|field| ((u32::from(*field) * 255 + highest / 2) / highest) as u8).collect())
        }
    }
}

/// YBR_FULL to RGB, PS3.3 C.7.6.3.1.2.
fn rgb([luminance, blue, red]: [u16; 3]) -> [u8; 3] {
    let (y, b, r) = (f32::from(luminance), f32::from(blue) - 128., f32::from(red) - 128.);
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|level| level.round().clamp(0., 255.) as u8)
}

/// One colour of a palette.
struct Table {
    first: i32,
    levels: Vec<u8>,
}

impl Table {
    /// Indices below and above the table have its first and last level.
    fn level(&self, index: i32) -> u8 {
        let last = self.levels.len() - 1;
        self.levels[usize::try_from(index - self.first).unwrap_or(0).min(last)]
    }
}

fn table(elements: &Elements, colour: usize) -> Result<Table, ImagingError> {
    if elements.get(SEGMENTED).is_some() {
        return Err(unsupported("a DICOM file with a segmented palette"));
    }
    let broken = || corrupt("its palette is missing or does not fit its description");
    let descriptor = elements.numbers(DESCRIPTORS[colour]).ok_or_else(broken)?;
    let &[entries, first, bits] = descriptor.as_slice() else { return Err(broken()) };
    // 2^16 entries do not fit into 16 bits and are written as 0.
    let entries = if entries == 0 { 1 << 16 } else { usize::from(entries) };
    let signed = elements.number((0x0028, 0x0103)) == Some(1);
    let first = if signed { i32::from(first.cast_signed()) } else { i32::from(first) };
    let bytes = elements.raw(TABLES[colour]).ok_or_else(broken)?;
    let levels: Vec<u8> = if bits == 8 && bytes.len() < entries * 2 {
        bytes.iter().take(entries).copied().collect()
    } else {
        let words = elements.numbers(TABLES[colour]).ok_or_else(broken)?;
        // Eight bits are widened to sixteen in either of two ways; the upper byte is right for both.
        words.iter().take(entries).map(|word| if bits == 8 { *word as u8 } else { (word >> 8) as u8 }).collect()
    };
    if levels.len() < entries || !matches!(bits, 8 | 16) {
        return Err(broken());
    }
    Ok(Table { first, levels })
}
