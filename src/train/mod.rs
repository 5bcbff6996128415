//! Fitting a model: data, augmentation, optimiser, schedule.

pub mod vocabulary;
