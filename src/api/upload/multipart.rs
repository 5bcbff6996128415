//! Submissions as forms: files as they are, the spec as a text field.

use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};

use super::body::Rest;
use super::{Parts, Problem, SPEC, check_spec_length, unreadable};
use crate::api::problem::Kind;

pub(super) async fn read(request: Request, parts: Parts) -> Result<Parts, Problem> {
    let (request, rest) = Rest::of(request);
    let form = Multipart::from_request(request, &()).await.map_err(|e| unreadable(e.status(), &e.body_text()))?;
    let parts = fields(form, parts).await?;
    rest.finish().await?;
    Ok(parts)
}

async fn fields(mut form: Multipart, mut parts: Parts) -> Result<Parts, Problem> {
    while let Some(field) = form.next_field().await.map_err(|e| unreadable(e.status(), &e.body_text()))? {
        let Some(name) = field.name() else {
            return Err(Problem::new(Kind::BadRequest, "a part of the form has no name"));
        };
        let name = parts.admit(name)?;
        let bytes = match name {
            SPEC => spec(field).await?,
            _ => field.bytes().await.map_err(|e| unreadable(e.status(), &e.body_text()))?,
        };
        parts.keep(name, bytes)?;
    }
    Ok(parts)
}

/// Reads no more than a spec may have.
async fn spec(mut field: Field<'_>) -> Result<Bytes, Problem> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| unreadable(e.status(), &e.body_text()))? {
        check_spec_length(text.len() + chunk.len())?;
        text.extend_from_slice(&chunk);
    }
    Ok(text.into())
}
