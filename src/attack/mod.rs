//! Attacks: one file per method, written against an oracle, and the harness they share.
