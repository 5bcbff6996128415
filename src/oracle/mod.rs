//! What an attack may ask about an image: losses, gradients, logits.
