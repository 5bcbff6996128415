//! Small pictures, good and bad, made on the spot.

use segprobe::imaging::{Image, Limits, Mask, decode, encode};
use segprobe::phantom::{self, Kind};

/// A phantom of a chest and the mask of its lungs, as PNG.
pub fn lungs(seed: u64, width: usize, height: usize) -> (Vec<u8>, Vec<u8>) {
    let (image, mask) = phantom::draw(Kind::Xray, seed, width, height);
    (encode::png(&image).expect("a small picture"), mask_png(&mask))
}

/// The same phantom as JPEG.
pub fn lungs_jpeg(seed: u64, width: usize, height: usize) -> Vec<u8> {
    encode::jpeg(&phantom::draw(Kind::Xray, seed, width, height).0, 90).expect("a small picture")
}

/// A mask of the pixels for which `inside(x, y)`.
pub fn mask(width: usize, height: usize, inside: impl FnMut(usize, usize) -> bool) -> Vec<u8> {
    mask_png(&Mask::from_fn(width, height, inside))
}

/// A grey picture of one level.
pub fn flat(level: u8, width: usize, height: usize) -> Vec<u8> {
    let image = Image::new(width, height, vec![level; width * height * 3]).expect("as many values as are needed");
    encode::png(&image).expect("a small picture")
}

/// The start of a PNG that says it is 60 000 pixels wide and high.
pub fn bomb() -> Vec<u8> {
    let mut bytes = flat(0, 1, 1);
    // signature (8), length and type of the first chunk (8), then width and height
    bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    bytes
}

/// The pixels of a PNG or JPEG.
pub fn pixels(bytes: &[u8]) -> anyhow::Result<Image> {
    Ok(decode::decode(bytes, &Limits::default())?.image)
}

/// The pixels of a mask.
pub fn bits(bytes: &[u8]) -> anyhow::Result<Mask> {
    let image = pixels(bytes)?;
    Ok(Mask::from_fn(image.width(), image.height(), |x, y| image.pixel(x, y)[0] > 127))
}

fn mask_png(mask: &Mask) -> Vec<u8> {
    encode::mask_png(mask).expect("a small picture")
}
