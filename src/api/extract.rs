//! Parts of a request's address, refused with a problem that names them.

use std::error::Error;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};

/// What stands in the path. A malformed name is the name of nothing.
#[derive(Debug)]
pub struct At<T>(pub T);

/// The query parameters.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let absent = |_| Problem::new(Kind::NotFound, "there is nothing of this name");
        Path::from_request_parts(parts, state).await.map(|Path(value)| Self(value)).map_err(absent)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state).await.map(|Query(value)| Self(value)).map_err(|e| refuse(&e))
    }
}

/// The name of the parameter lies two sources deep, with its path.
fn refuse(rejection: &QueryRejection) -> Problem {
    type Located = serde_path_to_error::Error<serde::de::value::Error>;
    let mut cause: Option<&(dyn Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if let Some(located) = error.downcast_ref::<Located>() {
            let path = located.path().to_string();
            return match path.as_str() {
                "." | "?" => Problem::new(Kind::Invalid, located.inner().to_string()),
                _ => Problem::parameter(path, located.inner().to_string()),
            };
        }
        cause = error.source();
    }
    Problem::new(Kind::BadRequest, "the query cannot be read: write it as name=value&name=value")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::response::IntoResponse;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::api::testing::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[allow(dead_code)]
        limit: Option<u32>,
    }

    async fn blamed(query: &str) -> Value {
        let (mut parts, ()) = Request::get(format!("/attacks?{query}")).body(()).unwrap().into_parts();
        let problem = Parameters::<Wanted>::from_request_parts(&mut parts, &()).await.unwrap_err();
        json(problem.into_response()).await["errors"][0]["parameter"].clone()
    }

    #[tokio::test]
    async fn the_parameter_that_cannot_be_used_is_named() {
        assert_eq!(blamed("limit=many").await, "limit");
        assert_eq!(blamed("limit=-1").await, "limit");
        assert_eq!(blamed("colour=red").await, "colour");
        assert_eq!(blamed("limit=1&limit=2").await, Value::Null, "the deserializer does not say which came twice");
    }
}
