//! Submissions as JSON: files as base64 (RFC 4648, with padding), the spec as an object.

use std::borrow::Cow;
use std::fmt;

use axum::body::Bytes;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Parts, Problem, SPEC};
use crate::api::problem::Kind;

/// More fields than any submission has; a body of nothing but fields must not fill the memory.
const MOST_FIELDS: usize = 32;

/// The fields of an object in their order, repeated ones too.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A string, borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(super) fn read(body: &Bytes, mut parts: Parts) -> Result<Parts, Problem> {
    let malformed = |error| Problem::new(Kind::BadRequest, format!("the body is not a JSON object: {error}"));
    let Fields(fields) = serde_json::from_slice(body).map_err(malformed)?;
    for (name, value) in fields {
        let name = parts.admit(&name)?;
        let bytes = match name {
            SPEC => body.slice_ref(value.get().as_bytes()),
            // As if it had been left out.
            _ if value.get() == "null" => continue,
            _ => file(name, value)?,
        };
        parts.keep(name, bytes)?;
    }
    Ok(parts)
}

fn file(name: &str, value: &RawValue) -> Result<Bytes, Problem> {
    let refuse = |detail: String| Problem::invalid(format!("/{name}"), detail);
    let Text(text) = serde_json::from_str(value.get())
        .map_err(|_| refuse("this has to be a string: the file's bytes in base64".into()))?;
    let bytes = BASE64_STANDARD.decode(text.as_bytes());
    let bytes = bytes.map_err(|error| refuse(format!("this is not base64 (RFC 4648, with padding): {error}")))?;
    Ok(bytes.into())
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = vec![];
                while let Some((Text(name), value)) = map.next_entry()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(A::Error::custom(format!("it has more than {MOST_FIELDS} fields")));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
