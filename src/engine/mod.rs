//! The engine: one thread per device that owns the model and batches rows between steps.
