//! Answers that are files: entity tags, conditions, parts (RFC 9110), downloads.

use axum::body::Bytes;
use axum::http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use headers::{HeaderMapExt, IfNoneMatch, IfRange};

use super::problem::{Kind, Problem};
use crate::artifact::Blob;

/// A part of a file, from a byte to the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes(usize, usize),
    Beyond,
}

/// Answers with a file as far as the client does not have it yet.
///
/// # Errors
/// A range that lies beyond the file.
pub fn respond(blob: Blob, headers: &HeaderMap) -> Result<Response, Problem> {
    let quoted = format!("\"{}\"", blob.sha256);
    let tag = HeaderValue::try_from(&quoted).map_err(|error| Problem::internal(&error))?;
    let parsed: headers::ETag = quoted.parse().map_err(|error| Problem::internal(&error))?;
    let length = blob.bytes.len();
    let seen = headers.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(&parsed));
    if seen {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    // A client that holds a part of another version wants the whole of this one.
    let changed = headers.typed_get::<IfRange>().is_some_and(|known| known.is_modified(Some(&parsed), None));
    let part = match headers.get(RANGE).and_then(|value| value.to_str().ok()) {
        Some(range) if !changed => part(range, length),
        _ => Part::Whole,
    };
    let about = [
        (CONTENT_TYPE, HeaderValue::try_from(blob.content_type).map_err(|error| Problem::internal(&error))?),
        (ETAG, tag),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ];
    match part {
        Part::Whole => Ok((about, blob.bytes).into_response()),
        Part::Bytes(from, to) => {
            let place = content_range(&format!("{from}-{}", to - 1), length);
            let bytes = blob.bytes.slice(from..to);
            Ok((StatusCode::PARTIAL_CONTENT, about, [(CONTENT_RANGE, place)], bytes).into_response())
        }
        Part::Beyond => Err(Problem::new(Kind::RangeNotSatisfiable, format!("the file has {length} bytes"))
            .with_header(CONTENT_RANGE, content_range("*", length))),
    }
}

/// The same as a file to be saved; names of files of this program need no quoting.
pub fn as_download(mut response: Response, name: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// A file that comes with the program.
pub fn embedded(bytes: &'static [u8], content_type: &str) -> Blob {
    let sha256 = crate::report::manifest::sha256(bytes);
    Blob { content_type: content_type.into(), sha256, bytes: Bytes::from_static(bytes) }
}

fn content_range(place: &str, length: usize) -> HeaderValue {
    HeaderValue::try_from(format!("bytes {place}/{length}")).expect("digits are visible ASCII")
}

/// The one range that is asked for. Several, other units and nonsense are answered with the whole file, as RFC 9110
/// (14.2) allows. The typed header of the crate `headers` takes a suffix longer than the file for one beyond it.
fn part(range: &str, length: usize) -> Part {
    let parse = || {
        let (from, to) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().unwrap_or(usize::MAX));
        Some(match (from, to) {
            ("", "") => return None,
            ("", last) => match number(last)? {
                0 => Part::Beyond,
                last => Part::Bytes(length.saturating_sub(last), length),
            },
            (from, "") => Part::Bytes(number(from)?, length),
            (from, to) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to {
                    return None;
                }
                Part::Bytes(from, to.saturating_add(1).min(length))
            }
        })
    };
    match parse() {
        None => Part::Whole,
        Some(Part::Bytes(from, _)) if from >= length => Part::Beyond,
        Some(part) => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_one_beyond_the_end_refused() {
        for (range, expected) in [
            ("bytes=0-9", Part::Bytes(0, 10)),
            ("bytes=5-", Part::Bytes(5, 100)),
            ("bytes=-7", Part::Bytes(93, 100)),
            ("bytes=-700", Part::Bytes(0, 100)),
            ("bytes=99-99999999999999999999999", Part::Bytes(99, 100)),
            ("bytes=100-", Part::Beyond),
            ("bytes=100-200", Part::Beyond),
            ("bytes=-0", Part::Beyond),
        ] {
            assert_eq!(part(range, 100), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }

    #[test]
    fn what_is_not_one_range_of_bytes_is_ignored() {
        for range in ["bytes=-", "bytes=9-3", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=+1-2", ""] {
            assert_eq!(part(range, 100), Part::Whole, "{range}");
        }
    }

    fn answer(headers: &[(&'static str, &str)]) -> Result<Response, Problem> {
        let headers = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap()));
        let blob =
            Blob { content_type: "text/plain".into(), sha256: "abc".into(), bytes: Bytes::from_static(b"0123456789") };
        respond(blob, &headers.collect())
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        for known in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            let response = answer(&[("if-none-match", known)]).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[ETAG], "\"abc\"");
        }
        assert_eq!(answer(&[("if-none-match", "\"x\"")]).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn a_part_of_another_version_is_replaced_by_the_whole() {
        let status = |tag| answer(&[("range", "bytes=2-3"), ("if-range", tag)]).unwrap().status();
        assert_eq!(status("\"abc\""), StatusCode::PARTIAL_CONTENT);
        assert_eq!(status("\"x\""), StatusCode::OK);
    }

    #[test]
    fn a_part_says_where_it_lies() {
        let response = answer(&[("range", "bytes=2-3")]).unwrap();
        assert_eq!(response.headers()[CONTENT_RANGE], "bytes 2-3/10");
        let refused = answer(&[("range", "bytes=10-")]).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(refused.headers()[CONTENT_RANGE], "bytes */10");
    }
}
