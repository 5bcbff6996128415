//! The service as its callers meet it: a real process, its answers over HTTP, its files, its signals.
//!
//! Each test starts a service of its own on a free loopback port with an empty data folder. Most use the
//! model of `tests/fixtures/parity/tiny`, whose weights are random and whose step takes about two
//! milliseconds: what is tested here is the service, not the model.

mod access;
mod cancel;
mod dicom;
mod errors;
mod events;
mod harness;
mod headers;
mod idempotency;
mod listing;
mod malformed;
mod many;
mod models;
mod oidc;
mod openapi;
mod recovery;
mod rerun;
mod segmentations;
mod submit;
mod traces;
