//! TIFF files, written here.

use std::io::Cursor;

use segprobe::imaging::{Container, Decoded, ImagingError, Limits, Selection, decode};
use tiff::encoder::colortype::{CMYK8, ColorType, Gray8, Gray16, Gray32Float, GrayI8, RGB8, RGB16, RGBA8};
use tiff::encoder::{Compression, TiffEncoder, TiffValue};
use tiff::tags::Tag;

/// A file with one page for each of `pages`, whose tags can be changed before they are written.
fn file<C: ColorType>(size: (u32, u32), pages: &[&[C::Inner]], tags: &[(Tag, u16)]) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(Compression::Lzw);
    for page in pages {
        let mut image = encoder.new_image::<C>(size.0, size.1).unwrap();
        for (tag, value) in tags {
            image.encoder().write_tag(*tag, *value).unwrap();
        }
        image.write_data(page).unwrap();
    }
    bytes.into_inner()
}

fn read(bytes: &[u8]) -> Result<Decoded, ImagingError> {
    decode::decode(bytes, &Limits::default())
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).expect_err("this must be refused").to_string()
}

#[test]
fn grey_and_colours_are_as_stored() {
    let grey = read(&file::<Gray8>((2, 1), &[&[7, 200]], &[])).unwrap();
    assert_eq!((grey.image.rgb(), grey.container), (&[7, 7, 7, 200, 200, 200][..], Container::Tiff));
    assert_eq!(grey.notes, [""; 0]);
    assert_eq!(read(&file::<RGB8>((1, 1), &[&[1, 2, 3]], &[])).unwrap().image.rgb(), [1, 2, 3]);
    let clear = read(&file::<RGBA8>((1, 1), &[&[1, 2, 3, 9]], &[])).unwrap();
    assert_eq!(clear.image.rgb(), [1, 2, 3]);
    assert_eq!(clear.notes, ["transparency was dropped; the colours are as stored"]);
}

#[test]
fn sixteen_bits_are_rounded_and_said_so() {
    let grey = read(&file::<Gray16>((3, 1), &[&[0, 128, 65_535]], &[])).unwrap();
    assert_eq!(grey.image.rgb(), [0, 0, 0, 0, 0, 0, 255, 255, 255]);
    assert_eq!(grey.notes, ["16-bit levels were rounded to 8 bits"]);
    assert_eq!(read(&file::<RGB16>((1, 1), &[&[257, 386, 25_700]], &[])).unwrap().image.rgb(), [1, 2, 100]);
}

#[test]
fn a_page_is_picked() {
    let bytes = file::<Gray8>((1, 1), &[&[10], &[20], &[30]], &[]);
    let page = |frame| decode::decode_with(&bytes, &Limits::default(), &Selection { frame, window: None });
    assert_eq!(page(None).unwrap().notes, ["the file has 3 frames; the first one is used"]);
    assert_eq!(page(None).unwrap().image.rgb()[0], 10);
    let last = page(Some(2)).unwrap();
    assert_eq!((last.image.rgb()[0], last.notes.len()), (30, 0));
    assert_eq!(page(Some(3)).unwrap_err().to_string(), "there is no frame 3, the file has 3 and counts from 0");
}

#[test]
fn it_is_turned_upright() {
    let turned = read(&file::<Gray8>((2, 1), &[&[10, 20]], &[(Tag::Orientation, 6)])).unwrap();
    assert_eq!((turned.image.width(), turned.image.height()), (1, 2));
    assert_eq!(turned.notes, ["the picture was turned upright (EXIF orientation 6)"]);
}

/// One strip of uncompressed pixels, for what the encoder does not write.
fn by_hand(size: (u16, u16), tags: &[(u16, u16)], pixels: &[u8]) -> Vec<u8> {
    let content = 8 + 2 + 12 * (tags.len() + 5) + 4;
    let mut all = vec![(256, size.0), (257, size.1), (259, 1), (273, content as u16), (279, pixels.len() as u16)];
    all.extend(tags);
    all.sort_unstable();
    let mut bytes = [&b"II*\0\x08\0\0\0"[..], &(all.len() as u16).to_le_bytes()].concat();
    // One number of 16 bits each.
    let entry = |(tag, value): (u16, u16)| [tag, 3, 1, 0, value, 0].into_iter().flat_map(u16::to_le_bytes);
    bytes.extend(all.into_iter().flat_map(entry));
    [&bytes[..], &[0; 4], pixels].concat()
}

const BITS: u16 = 258;
const PHOTOMETRIC: u16 = 262;

#[test]
fn bits_become_black_and_white() {
    let rows = [0b1010_0000, 0b0100_0000];
    let bright = by_hand((3, 2), &[(BITS, 1), (PHOTOMETRIC, 1)], &rows);
    let levels = |bytes: &[u8]| -> Vec<u8> { read(bytes).unwrap().image.rgb().iter().step_by(3).copied().collect() };
    assert_eq!(levels(&bright), [255, 0, 255, 0, 255, 0]);
    let dark = by_hand((3, 2), &[(BITS, 1), (PHOTOMETRIC, 0)], &rows);
    assert_eq!(levels(&dark), [0, 255, 0, 255, 0, 255]);
}

#[test]
fn what_has_no_8_bit_meaning_is_refused() {
    for bytes in [
        file::<CMYK8>((1, 1), &[&[1, 2, 3, 4]], &[]),
        file::<Gray32Float>((1, 1), &[&[0.5]], &[]),
        file::<GrayI8>((1, 1), &[&[-3]], &[]),
        by_hand((1, 1), &[(BITS, 8), (PHOTOMETRIC, 3)], &[0]),
    ] {
        let error = refusal(&bytes);
        assert!(error.starts_with("a TIFF ") && error.ends_with("8-bit or 16-bit grey or RGB TIFF"), "{error}");
    }
}

#[test]
fn sizes_are_checked_before_pixels_are() {
    let bytes = by_hand((60_000, 60_000), &[(BITS, 8), (PHOTOMETRIC, 1)], &[0; 4]);
    assert!(refusal(&bytes).contains("the picture is 60000x60000"), "{}", refusal(&bytes));
}

#[test]
fn a_tiff_cut_anywhere_is_refused() {
    let bytes = file::<Gray8>((4, 4), &[&[90; 16]], &[]);
    for end in 8..bytes.len() - 4 {
        assert!(read(&bytes[..end]).is_err(), "{end}");
    }
    assert!(refusal(&bytes[..12]).contains("the TIFF file is cut off"), "{}", refusal(&bytes[..12]));
}

#[test]
fn pages_in_a_circle_are_refused() {
    let mut bytes = by_hand((1, 1), &[(BITS, 8), (PHOTOMETRIC, 1)], &[9]);
    let next = bytes.len() - 5;
    bytes[next..next + 4].copy_from_slice(&8u32.to_le_bytes());
    assert_eq!(refusal(&bytes), "the TIFF file is damaged: its pages form a circle");
}
