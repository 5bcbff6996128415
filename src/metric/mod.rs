//! Scores of masks and images.
