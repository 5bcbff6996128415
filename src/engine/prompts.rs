//! Prompts that went through the text tower already.

use std::collections::VecDeque;

use crate::model::Conditioning;

/// Prompts kept; a data set rarely has more, and each is a few kilobytes.
const CAPACITY: usize = 256;

/// The most recently used prompts, latest first.
#[derive(Debug, Default)]
pub(super) struct PromptCache(VecDeque<(String, Conditioning)>);

impl PromptCache {
    /// The prepared prompt, which is now the most recently used one.
    pub(super) fn get(&mut self, prompt: &str) -> Option<Conditioning> {
        let at = self.0.iter().position(|(known, _)| known == prompt)?;
        let entry = self.0.remove(at)?;
        let conditioning = entry.1.clone();
        self.0.push_front(entry);
        Some(conditioning)
    }

    /// Keeps a prepared prompt, in the place of the least recently used one if there are too many.
    pub(super) fn insert(&mut self, prompt: &str, conditioning: Conditioning) {
        self.0.retain(|(known, _)| known != prompt);
        self.0.push_front((prompt.into(), conditioning));
        self.0.truncate(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{CAPACITY, Conditioning, PromptCache};

    #[test]
    fn the_least_recently_used_prompt_makes_room() {
        let conditioning = |i: usize| Conditioning(Tensor::new(&[i as f32], &Device::Cpu).unwrap());
        let mut cache = PromptCache::default();
        for i in 0..CAPACITY {
            cache.insert(&i.to_string(), conditioning(i));
        }
        assert!(cache.get("0").is_some());
        cache.insert("new", conditioning(CAPACITY));
        assert_eq!(cache.0.len(), CAPACITY);
        assert!(cache.get("1").is_none(), "the oldest unused prompt should have gone");
        assert_eq!(cache.get("0").unwrap().0.to_vec1::<f32>().unwrap(), [0.]);
    }
}
