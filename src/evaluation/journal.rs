//! What was measured before, so that an evaluation that was stopped, or is asked for more, goes on from there.
//!
//! A line of the file is one attack on one image, under a key that is a digest of everything the scores depend on: the
//! program itself, the models, the bytes of image and mask, the prompt, the attack with all its parameters. What is
//! found under its key is not measured again; whatever changes has another key.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::grid::{Case, Grid, Planned};
use super::row::RowScores;
use crate::attack::UniversalPerturbation;
use crate::model::file_sha256;
use crate::report::manifest::sha256;

/// A file of scores, and what it held when it was opened.
#[derive(Debug)]
pub struct Journal {
    setting: Value,
    known: HashMap<String, Vec<RowScores>>,
    reused: AtomicUsize,
    file: Mutex<Result<File, io::Error>>,
}

/// One attack on one image: the scores on the attacked model, then on every other.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    scores: Vec<RowScores>,
}

impl Journal {
    /// Opens a journal, or begins one, for evaluations in one setting: the models, and what computes them.
    ///
    /// A line that was cut off when a program was killed is passed over.
    ///
    /// # Errors
    /// A file that cannot be read or written, or a program that cannot read itself.
    pub fn open(path: &Path, setting: &Value) -> Result<Self, io::Error> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let known = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let known = known.map(|Line { key, scores }| (key, scores)).collect();
        file.seek(SeekFrom::End(0))?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        let program = file_sha256(&std::env::current_exe()?).map_err(io::Error::other)?;
        let setting = json!({ "program": program, "setting": setting });
        Ok(Self { setting, known, reused: AtomicUsize::new(0), file: Mutex::new(Ok(file)) })
    }

    /// The key of one attack on one image, or of the clean image; `None` for files that cannot be read, which have no
    /// scores either.
    pub(super) fn key(&self, case: &Case, grid: &Grid, planned: Option<&Planned>) -> Option<String> {
        let perturbation = planned.and_then(|planned| planned.perturbation.as_ref());
        let all = json!({
            "setting": self.setting,
            "image": file_sha256(&case.image).ok()?,
            "image_name": case.name,
            "mask": file_sha256(&case.mask).ok()?,
            "prompt": case.prompt,
            "attack": planned.map(|planned| &planned.attack),
            "budget": planned.and_then(|planned| planned.budget),
            "perturbation": perturbation.map(|named| digest(&named.perturbation)).transpose().ok()?,
            "goal": grid.goal,
            "criterion": grid.criterion,
            "defence": grid.defence,
            "protocol": grid.protocol,
            "loss": grid.loss,
            "seed": grid.seed,
        });
        Some(sha256(all.to_string().as_bytes()))
    }

    /// The scores under a key, if they were measured before.
    pub(super) fn known(&self, key: &str) -> Option<Vec<RowScores>> {
        let scores = self.known.get(key)?.clone();
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(scores)
    }

    /// Writes scores down. After a failure nothing more is written; [`Self::close`] tells.
    pub(super) fn keep(&self, key: String, scores: &[RowScores]) {
        let line = json!(Line { key, scores: scores.to_vec() });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(open) = file.as_mut()
            && let Err(error) = open.write_all(format!("{line}\n").as_bytes())
        {
            *file = Err(error);
        }
    }

    /// How many attacks and clean images were not measured again.
    ///
    /// # Errors
    /// The first failure to write.
    pub fn close(self) -> Result<usize, io::Error> {
        self.file.into_inner().unwrap_or_else(PoisonError::into_inner)?.sync_all()?;
        Ok(self.reused.into_inner())
    }
}

/// A digest of the values that a perturbation adds.
fn digest(perturbation: &UniversalPerturbation) -> candle_core::Result<String> {
    let values = perturbation.delta().flatten_all()?.to_vec1::<f32>()?;
    Ok(sha256(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{AttackSpec, Budget, Epsilon, Fgsm, GoalSpec, Norm, Pgd, Unit};

    fn opened(path: &Path) -> Journal {
        Journal::open(path, &json!({ "model": "demo" })).unwrap()
    }

    fn planned(attack: AttackSpec, epsilon: f64) -> Planned {
        let budget = Budget { norm: Norm::Linf, epsilon: Epsilon::new(epsilon, Unit::Pixel255).unwrap() };
        Planned::bounded(attack, budget, epsilon)
    }

    #[test]
    fn whatever_changes_has_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["image", "mask", "other"].map(|name| folder.path().join(name));
        for file in &files {
            std::fs::write(file, file.display().to_string()).unwrap();
        }
        let [image, mask, other] = files;
        let case = Case { set: "a".into(), name: "1.png".into(), image, mask, prompt: "polyp".into() };
        let journal = opened(&folder.path().join("journal"));
        let (pgd, fgsm) = (AttackSpec::Pgd(Pgd::default()), AttackSpec::Fgsm(Fgsm::default()));
        let short = AttackSpec::Pgd(Pgd { steps: 3, ..Pgd::default() });
        let seeded = |seed| Grid { seed, ..Grid::default() };
        let key = |case: &Case, seed, planned: Option<&Planned>| journal.key(case, &seeded(seed), planned).unwrap();
        let erased = Grid { goal: GoalSpec::Erase, ..Grid::default() };
        let keys = [
            key(&case, 0, None),
            key(&case, 1, None),
            key(&case, 0, Some(&planned(pgd.clone(), 2.))),
            key(&case, 0, Some(&planned(pgd, 4.))),
            key(&case, 0, Some(&planned(short, 2.))),
            key(&case, 0, Some(&planned(fgsm, 2.))),
            journal.key(&case, &erased, None).unwrap(),
            key(&Case { prompt: "lungs".into(), ..case.clone() }, 0, None),
            key(&Case { mask: other.clone(), ..case.clone() }, 0, None),
            key(&Case { image: other, ..case.clone() }, 0, None),
        ];
        for (n, one) in keys.iter().enumerate() {
            assert!(keys[n + 1..].iter().all(|another| another != one), "key {n} stands for two things");
        }
        assert_eq!(key(&case, 0, None), keys[0]);
        let missing = Case { image: folder.path().join("absent"), ..case };
        assert_eq!(journal.key(&missing, &seeded(0), None), None);
    }

    #[test]
    fn what_was_kept_is_known_again_and_a_line_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let scores = RowScores { clean_dsc: 0.1 + 0.2, clean_iou: 1. / 3., attacked: None };
        let journal = opened(&path);
        assert_eq!(journal.known("one"), None);
        for key in ["one", "two"] {
            journal.keep(key.into(), &[scores]);
        }
        assert_eq!(journal.close().unwrap(), 0);

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let journal = opened(&path);
        assert_eq!((journal.known("one"), journal.known("two")), (Some(vec![scores]), None));
        journal.keep("three".into(), &[scores]);
        assert_eq!(journal.close().unwrap(), 1);
        assert_eq!(opened(&path).known("three"), Some(vec![scores]), "the cut line has not swallowed the next");
    }
}
