//! One constant for each module of kernels: its PTX, which the driver translates for the card it finds.
//!
//! The sources are beside this file; `host/` runs them without a card.

include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
