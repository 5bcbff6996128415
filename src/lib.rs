//! Segprobe answers one question about a text-prompted segmentation model: how easily does it
//! break, and is that still acceptable?
//!
//! The map, from the outside in; every arrow points downwards:
//!
//! ```text
//! cli                     commands, thin
//! bench                   how fast a model and the engine are on this machine
//! api                     the HTTP service: one file per resource, thin
//! access                  who may do what: keys, scopes, the audit log
//! jobs                    attacks as durable jobs: store, workers, recovery
//! artifact                files of jobs
//! config, telemetry       what an operator sets; what an operator sees
//! report                  manifests and tables
//! acceptance              whether what was measured is acceptable
//! certify                 what no small change can turn
//! universal               one perturbation for many images: trained, and held against controls
//! evaluation, train       attacks on images and data sets, scored; fitting a model
//! attack                  one file per attack, and the harness all of them share
//! engine                  the thread that owns the model and batches the questions
//! oracle                  what an attack may ask about an image
//! corruption, prompt      what happens to pictures by nature; edits of prompts
//! phantom                 pictures that are made up
//! model                   CLIPSeg and what the rest of the system may know of it
//! loss, metric, imaging   losses on logits, scores of masks and images, files and pixels
//! nn                      differentiable layers and their kernels
//! ```

pub mod acceptance;
pub mod access;
pub mod api;
pub mod artifact;
pub mod attack;
pub mod bench;
pub mod certify;
pub mod cli;
pub mod config;
pub mod corruption;
mod drawing;
pub mod engine;
pub mod evaluation;
pub mod imaging;
pub mod jobs;
pub mod loss;
pub mod metric;
pub mod model;
pub mod nn;
pub mod oracle;
pub mod phantom;
pub mod prompt;
pub mod report;
pub mod telemetry;
pub mod tls;
pub mod train;
pub mod universal;
