//! Fitting a model: data, augmentation, optimiser, schedule.
