//! Files of every kind, good and bad, become pixels or an error that says what to do.

mod dicom;
mod garbage;
mod pictures;
mod tiff;
