//! Several files as one.

use std::io::{Cursor, Write};

use bytes::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A zip archive of named files. They are stored as they are, since pictures are compressed already, and dated
/// 1980-01-01, so that equal files give equal archives.
///
/// # Panics
/// If a name occurs twice or an archive in memory cannot be written: artifacts have different names.
pub fn zip(files: Vec<(String, Bytes)>) -> Vec<u8> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let large = options.large_file(u32::try_from(bytes.len()).is_err());
        archive.start_file(name, large).expect("names of artifacts are short and differ");
        archive.write_all(&bytes).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn equal_files_give_equal_archives_that_hold_them() {
        let files = || vec![("a.png".to_owned(), Bytes::from_static(b"pixels")), ("b.json".into(), Bytes::new())];
        let archive = zip(files());
        assert_eq!(archive, zip(files()));
        let mut read = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        let names: Vec<_> = read.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a.png", "b.json"]);
        let mut text = String::new();
        read.by_name("a.png").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "pixels");
    }
}
