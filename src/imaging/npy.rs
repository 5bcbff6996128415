//! The NPY format, version 1.0: arrays as NumPy reads them.

use super::ImagingError;

/// A row-major map of `width * height` values as a little-endian f32 array of shape `(height, width)`.
///
/// # Errors
/// [`ImagingError::Size`] unless there are `width * height` values.
pub fn encode(values: &[f32], (width, height): (usize, usize)) -> Result<Vec<u8>, ImagingError> {
    let wanted = width * height;
    if values.len() != wanted {
        return Err(ImagingError::Size { what: "array", width, height, wanted, found: values.len() });
    }
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    // Magic, version, length (10 bytes), header and a newline are padded so that the values are aligned to 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let stated = u16::try_from(length).expect("a header with two numbers is short").to_le_bytes();
    let mut bytes = Vec::with_capacity(10 + length + values.len() * 4);
    bytes.extend(b"\x93NUMPY\x01\x00");
    bytes.extend(stated);
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_numpy_writes() {
        let bytes = encode(&[0., 1., -2., 0.5, 3., 4.], (3, 2)).expect("six values");
        let header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert_eq!(bytes[..header.len()], header[..]);
        assert!(bytes[header.len()..127].iter().all(|b| *b == b' '));
        assert_eq!((bytes[127], bytes.len()), (b'\n', 128 + 24));
        assert_eq!(bytes[136..140], (-2f32).to_le_bytes());
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let error = encode(&[0.; 5], (3, 2)).expect_err("five values").to_string();
        assert_eq!(error, "array of 3x2 needs 6 values, found 5");
    }
}
