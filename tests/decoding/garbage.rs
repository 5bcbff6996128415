//! Whatever the bytes are, the answer is pixels or an error, and it comes quickly.

use proptest::prelude::*;
use segprobe::imaging::{Limits, decode};

use crate::dicom::Case;

/// So small that a claim that is believed would show.
fn limits() -> Limits {
    Limits { bytes: 1 << 20, pixels: 1 << 16, side: 4096 }
}

fn try_to_read(bytes: &[u8], case: Option<&Case>) {
    let selection = case.map(Case::selection).unwrap_or_default();
    if let Ok(read) = decode::decode_with(bytes, &limits(), &selection) {
        let (width, height) = (read.image.width() as u64, read.image.height() as u64);
        assert!(width * height <= limits().pixels);
        assert_eq!(read.image.rgb().len() as u64, width * height * 3);
    }
}

fn starts() -> impl Strategy<Value = Vec<u8>> {
    let head = [&[0; 128][..], b"DICM"].concat();
    prop_oneof![
        Just(Vec::new()),
        Just(b"II*\0\x08\0\0\0".to_vec()),
        Just(b"MM\0+\0\x08\0\0\0\0\0\0\0\x10".to_vec()),
        Just(b"\x08\0\x05\0CS\x04\0ABCD".to_vec()),
        Just(head),
    ]
}

/// A fixture and the case it belongs to.
fn fixture() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let files: Vec<(usize, Vec<u8>)> = Case::all().iter().map(Case::bytes).enumerate().collect();
    prop::sample::select(files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(start in starts(), tail in prop::collection::vec(any::<u8>(), 0..300)) {
        try_to_read(&[start, tail].concat(), None);
    }

    #[test]
    fn flipped_bytes_never_panic(
        (case, mut bytes) in fixture(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        for (at, flip) in flips {
            let place = at.index(bytes.len());
            bytes[place] ^= flip;
        }
        try_to_read(&bytes, Case::all().get(case));
    }

    #[test]
    fn cut_files_never_panic((case, bytes) in fixture(), end in any::<prop::sample::Index>()) {
        try_to_read(&bytes[..end.index(bytes.len())], Case::all().get(case));
    }
}
