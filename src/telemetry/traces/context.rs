//! Where in a trace something happens, as it travels: in headers (W3C Trace Context) and in the row of a job.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Most bytes of what other vendors say of a trace: as much as the standard asks everybody to pass on.
const MOST_STATE: usize = 512;

/// A span that others can be children of, in whichever process they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

impl TraceContext {
    /// The span that this task is in; `None` outside of one, and so whenever nothing is exported.
    pub fn current() -> Option<Self> {
        let context = Context::current();
        if !context.span().span_context().is_valid() {
            return None;
        }
        let mut this = Self::default();
        TraceContextPropagator::new().inject_context(&context, &mut this);
        this.tracestate = this.tracestate.filter(|state| (1..=MOST_STATE).contains(&state.len()));
        Some(this)
    }

    /// The span of whoever sent a request, if they say so in the form of the standard.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let state: Vec<_> = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok()).collect();
        let state = Some(state.join(",")).filter(|state| (1..=MOST_STATE).contains(&state.len()));
        let parent = parent.to_str().ok().filter(|parent| is_well_formed(parent))?;
        let this = Self { traceparent: parent.to_owned(), tracestate: state };
        this.context().span().span_context().is_valid().then_some(this)
    }

    /// The headers that carry it to another process.
    pub fn headers(&self) -> HeaderMap {
        let header = |name, value: &str| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
        let state = self.tracestate.as_deref().and_then(|state| header(TRACESTATE, state));
        header(TRACEPARENT, &self.traceparent).into_iter().chain(state).collect()
    }

    /// The parent of a span to be made; no parent if it cannot be read.
    pub fn context(&self) -> Context {
        TraceContextPropagator::new().extract_with_context(&Context::new(), self)
    }
}

/// Whether the parts of a `traceparent` have their lengths and letters; the propagator takes shorter ones. Later versions
/// of the standard may add parts.
fn is_well_formed(parent: &str) -> bool {
    let parts: Vec<&str> = parent.split('-').collect();
    let lengths = [2, 32, 16, 2];
    let hexadecimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    parts.len() >= 4
        && (parts.len() == 4 || parts[0] != "00")
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && hexadecimal(part))
}

impl Extractor for TraceContext {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(&self.traceparent),
            TRACESTATE => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

impl Injector for TraceContext {
    fn set(&mut self, key: &str, value: String) {
        match key {
            TRACEPARENT => self.traceparent = value,
            TRACESTATE => self.tracestate = Some(value),
            _ => {}
        }
    }
}

/// Adds to what is told of the span that this task is in, if it is in one.
pub fn tell(key: &'static str, value: impl Display) {
    let context = Context::current();
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(key, value.to_string()));
    }
}

/// The name of the trace that a span is in, as log lines have it; `None` if nothing is exported.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_context_survives_headers_and_a_row() {
        let sent = headers(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")]);
        let context = TraceContext::of(&sent).unwrap();
        assert_eq!(context.headers(), headers(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=1,b=2")]));
        let row = serde_json::to_string(&context).unwrap();
        assert_eq!(serde_json::from_str::<TraceContext>(&row).unwrap(), context);
        let span = context.context();
        let span = span.span().span_context().clone();
        assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(span.is_sampled() && span.is_remote());
    }

    #[test]
    fn what_is_no_context_is_none() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for parent in ["", "00-0af7-b7ad-01", zero, &PARENT.to_uppercase(), "spk_not-a-parent"] {
            assert_eq!(TraceContext::of(&headers(&[(TRACEPARENT, parent)])), None, "{parent}");
        }
        assert_eq!(TraceContext::of(&headers(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)])), None);
        assert_eq!(TraceContext::of(&headers(&[(TRACESTATE, "a=1")])), None);
        let damaged = TraceContext { traceparent: "damaged".into(), tracestate: None };
        assert!(!damaged.context().span().span_context().is_valid());
    }

    #[test]
    fn a_long_state_is_left_out_and_the_parent_stays() {
        let long = format!("a={}", "x".repeat(MOST_STATE));
        let context = TraceContext::of(&headers(&[(TRACEPARENT, PARENT), (TRACESTATE, &long)])).unwrap();
        assert_eq!(context.headers(), headers(&[(TRACEPARENT, PARENT)]));
    }

    #[test]
    fn outside_of_a_trace_there_is_none() {
        assert_eq!(TraceContext::current(), None);
        assert_eq!(trace_id(&Span::none()), None);
        assert_eq!(trace_id(&tracing::info_span!(target: super::super::TARGET, "unseen")), None);
    }
}
