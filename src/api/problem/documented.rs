//! Problems in the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::{Document, Kind, MEDIA_TYPE};

/// A route that may refuse with this status.
pub struct Refused<const STATUS: u16>;

/// What any route may answer that asks for a key.
pub struct Always;

impl<const STATUS: u16> IntoResponses for Refused<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        documented(&[STATUS])
    }
}

impl IntoResponses for Always {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        documented(&[401, 403, 408, 429, 500, 503, 504])
    }
}

/// The schemas that the responses refer to.
pub fn schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut schemas = vec![(Document::name().into_owned(), Document::schema())];
    Document::schemas(&mut schemas);
    schemas
}

fn documented(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses.iter().map(|status| (status.to_string(), RefOr::T(response(*status)))).collect()
}

fn response(status: u16) -> Response {
    let kinds = || Kind::ALL.into_iter().filter(move |kind| kind.status().as_u16() == status);
    let described: Vec<_> = kinds().map(|kind| format!("{} (`{}`)", kind.title(), kind.slug())).collect();
    let schema = Ref::from_schema_name(Document::name());
    let mut response = ResponseBuilder::new()
        .description(described.join("; "))
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build());
    if [429, 503].contains(&status) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let header =
            HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait before the next attempt"));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}
