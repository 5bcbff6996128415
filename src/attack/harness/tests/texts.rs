//! Attacks on the text, of the small model of the fixtures.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::guard::Guard;
use super::*;
use crate::attack::{Corruption, HotFlip, Joint, Prompt, PromptEmbedding};
use crate::corruption::{Group, Kinds};
use crate::engine::{self, CancelToken, Engine, EngineConfig, Objective, Row, RowSpec};
use crate::imaging::Image;
use crate::model::clipseg::ClipSeg;
use crate::model::{Source, Vocabulary};
use crate::oracle::{Answer, Measure, Oracle, Text, TextAnswer};
use crate::prompt::{Edits, Family};

const PROMPT: &str = "a photo of a polyp";

fn fixture(file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join(file), &Device::Cpu).unwrap()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/tiny")
}

fn tiny() -> Engine {
    let model = ClipSeg::open(&folder(), None, &Device::Cpu, DType::F32).unwrap();
    Engine::spawn(Box::new(model), EngineConfig::default()).unwrap()
}

/// The fixture's picture and ellipse under a prompt.
fn request(engine: &Engine, prompt: &str, budget: Option<Budget>) -> Problem {
    let stored = fixture("reference.safetensors");
    let rgb = stored["image"].get(0).unwrap().permute((1, 2, 0)).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let target = stored["target"].to_dtype(DType::U8).unwrap().to_vec2::<u8>().unwrap();
    let (height, width) = (target.len(), target[0].len());
    let image = Image::new(width, height, rgb).unwrap();
    let reference = Mask::from_fn(width, height, |x, y| target[y][x] == 1);
    let setup = Setup { prompt: prompt.into(), ..Setup::new(image, reference, budget, engine.input().clone()) };
    Problem::new(setup, &Device::Cpu).unwrap()
}

/// A row that notes every text, and is cancelled at a question.
struct Heard {
    row: Row,
    texts: Vec<Text>,
    asked: usize,
    cancels: Option<usize>,
}

impl Heard {
    fn open(engine: &Engine, problem: &Problem) -> Self {
        let setup = problem.setup();
        let (input, aim) = (engine.input(), problem.aim());
        let target = aim.mask.resize(input.width, input.height).to_tensor(&Device::Cpu).unwrap();
        let goal = if aim.towards { engine::Goal::Targeted } else { engine::Goal::Untargeted };
        let spec = RowSpec {
            conditioning: engine.prepare(&setup.prompt).unwrap(),
            objective: Objective { loss: setup.choices.loss, target, goal, counted: None },
            space: engine::Space::Pixels,
            cancel: CancelToken::default(),
        };
        Self { row: engine.open(spec).unwrap(), texts: vec![], asked: 0, cancels: None }
    }

    fn ask(&mut self, text: Option<&Text>) -> Result<(), OracleError> {
        self.asked += 1;
        self.texts.extend(text.cloned());
        if self.cancels == Some(self.asked) { Err(OracleError::Cancelled) } else { Ok(()) }
    }
}

impl Oracle for Heard {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.ask(None)?;
        self.row.loss_by(x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.ask(None)?;
        self.row.gradient_by(x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.ask(None)?;
        self.row.logits(x)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.ask(Some(text))?;
        self.row.loss_under(text, x, measure)
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.ask(Some(text))?;
        self.row.gradient_under(text, x, measure)
    }

    fn text_gradient(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<TextAnswer, OracleError> {
        self.ask(Some(text))?;
        self.row.text_gradient(text, x, measure)
    }

    fn embedding(&mut self, prompt: &str) -> Result<Tensor, OracleError> {
        self.row.embedding(prompt)
    }

    fn vocabulary(&self) -> Result<Arc<Vocabulary>, OracleError> {
        self.row.vocabulary()
    }
}

fn attacked(spec: &AttackSpec, engine: &Engine, problem: &Problem) -> (Outcome, Vec<Text>) {
    let mut oracle = Heard::open(engine, problem);
    let outcome = run(spec, problem, &mut oracle, &mut Keeper::default()).unwrap();
    (outcome, oracle.texts)
}

fn texts(outcome: &Outcome) -> Vec<&str> {
    outcome.records.iter().map(|record| record.prompt.as_ref().unwrap().text.as_str()).collect()
}

fn flips(flips: usize) -> AttackSpec {
    AttackSpec::HotFlip(HotFlip { flips, beam: 2, candidates: 5 })
}

fn embedding() -> AttackSpec {
    AttackSpec::PromptEmbedding(PromptEmbedding { radius: 0.5, steps: 8 })
}

fn joint(steps: usize, rounds: usize) -> AttackSpec {
    AttackSpec::Joint(Joint { steps, rounds, ..Joint::default() })
}

#[test]
fn flips_are_tried_in_the_order_of_pytorchs_estimates() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    let (outcome, _) = attacked(&flips(1), &engine, &problem);
    let vocabulary = engine.vocabulary().unwrap();
    let ids = vocabulary.ids(PROMPT).unwrap();
    let estimates = fixture("text.safetensors")["flips"].to_vec2::<f32>().unwrap();
    let mut swaps = vec![];
    for (at, estimates) in estimates.iter().enumerate().take(ids.len() - 1).skip(1) {
        for (id, rise) in estimates.iter().enumerate().filter(|(id, _)| *id as u32 != ids[at]) {
            let mut ids = ids.clone();
            ids[at] = id as u32;
            let special = vocabulary.is_special(id as u32);
            swaps.extend(vocabulary.typed(&ids).filter(|_| !special).map(|text| (*rise, text)));
        }
    }
    swaps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let wanted: Vec<&str> = swaps.iter().take(5).map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts(&outcome), wanted);
    // the worst by the true mask is the result, under the file that was not changed
    let lowest = outcome.records.iter().map(|record| record.dsc).fold(1., f64::min);
    assert_eq!((outcome.float.evaluation.dsc, outcome.file.evaluation.dsc), (lowest, lowest));
    assert_eq!(outcome.file.image, problem.setup().image);
    assert_eq!((outcome.queries.gradient, outcome.within_budget), (1, None));
}

#[test]
fn every_flip_can_be_typed_and_keeps_the_number_of_tokens() {
    let engine = tiny();
    let vocabulary = engine.vocabulary().unwrap();
    let longest = "one small pink round polyp in the lining of the colon ".repeat(12);
    for prompt in [PROMPT, "polyp", "A Photo of a POLYP!", &longest] {
        let problem = request(&engine, prompt, None);
        let (outcome, _) = attacked(&flips(3), &engine, &problem);
        let original = vocabulary.all_ids(prompt).unwrap();
        let read = vocabulary.ids(prompt).unwrap().len();
        let mut oracle = Heard::open(&engine, &problem);
        let all = texts(&outcome);
        assert!(!all.is_empty() && all.len() as u64 <= flips(3).points(), "{prompt:?}: {}", all.len());
        for (text, record) in all.iter().zip(&outcome.records) {
            let ids = vocabulary.all_ids(text).unwrap();
            assert_eq!((ids.len(), vocabulary.typed(&ids).as_deref()), (original.len(), Some(*text)));
            let differ: Vec<usize> = (0..ids.len()).filter(|at| ids[*at] != original[*at]).collect();
            assert!((1..=3).contains(&differ.len()) && differ.iter().all(|at| (1..read - 1).contains(at)), "{text:?}");
            assert!(differ.iter().all(|at| !vocabulary.is_special(ids[*at])), "{text:?}");
            let text = Text::Prompt((*text).to_owned());
            let (loss, _) = oracle.loss_under(&text, problem.ball().clean(), &Measure::default()).unwrap();
            assert_eq!(loss, record.loss, "the true objective is what is recorded");
        }
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "no text is tried twice");
        let again = attacked(&flips(3), &engine, &problem).0;
        assert_eq!((&again.records, &again.file.bytes), (&outcome.records, &outcome.file.bytes));
    }
}

#[test]
fn a_text_without_a_token_that_can_be_replaced_is_refused() {
    let engine = tiny();
    // an end token in the middle cuts the text off: what stands behind it could not be typed again
    for prompt in ["", "<|startoftext|>", "polyp <|endoftext|> lesion"] {
        let problem = request(&engine, prompt, None);
        let mut oracle = Heard::open(&engine, &problem);
        let refused = run(&flips(1), &problem, &mut oracle, &mut Keeper::default()).unwrap_err();
        assert!(matches!(refused, AttackError::Parameter { name: "prompt", .. }), "{refused}");
    }
}

#[test]
fn steps_on_the_embedding_are_those_of_pytorch_and_stay_in_the_ball() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    let (outcome, texts) = attacked(&embedding(), &engine, &problem);
    let wanted = fixture("text.safetensors")["pgd"].to_dtype(DType::F64).unwrap();
    let norm = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
    let own = wanted.get(0).unwrap();
    // the files are asked about under the best of them and the last
    assert!((10..=11).contains(&texts.len()) && outcome.records.len() == 9, "{}", texts.len());
    for (step, text) in texts[..9].iter().enumerate() {
        let Text::Embedding(found) = text else { panic!("{text:?}") };
        let found = found.to_dtype(DType::F64).unwrap();
        let error = norm(&(&found - wanted.get(step).unwrap()).unwrap()) / norm(&own);
        assert!(error < 1e-3, "step {step} is off by {error}");
        assert!(norm(&(&found - &own).unwrap()) <= 0.5 * norm(&own) * (1. + 1e-5));
    }
    let objective = |at: usize| outcome.records[at].loss;
    assert!(objective(8) > objective(0), "{} and {}", objective(8), objective(0));
    assert!(outcome.file.evaluation.dsc <= outcome.clean.dsc);
    assert!(outcome.file.image == problem.setup().image && outcome.chosen().unwrap().prompt.is_none());
    assert!(outcome.notes.iter().any(|note| note.contains("no text need exist")), "{:?}", outcome.notes);
    assert_eq!((outcome.queries.gradient, outcome.under_original.is_none()), (8, true));
}

/// The demo model is what users have: its own sizes, vocabulary and end token.
#[test]
fn the_text_of_the_demo_model_is_attacked_too() {
    let model = Source::Embedded.open(None, &Device::Cpu, DType::F32).unwrap();
    let engine = Engine::spawn(Box::new(model), EngineConfig::default()).unwrap();
    let problem = request(&engine, "a small polyp", None);
    let vocabulary = engine.vocabulary().unwrap();
    let tokens = vocabulary.ids("a small polyp").unwrap().len();
    let (outcome, _) = attacked(&AttackSpec::HotFlip(HotFlip { flips: 2, beam: 1, candidates: 3 }), &engine, &problem);
    for text in texts(&outcome) {
        let ids = vocabulary.ids(text).unwrap();
        assert_eq!((ids.len(), vocabulary.typed(&ids).as_deref()), (tokens, Some(text)));
    }
    let spec = AttackSpec::PromptEmbedding(PromptEmbedding { radius: 1., steps: 4 });
    let (bound, _) = attacked(&spec, &engine, &problem);
    let rises = |outcome: &Outcome| outcome.records.iter().map(|record| record.loss).fold(f32::NEG_INFINITY, f32::max);
    assert!(rises(&bound) > bound.records[0].loss && rises(&outcome) > outcome.clean.loss);
    assert!([outcome, bound].iter().all(|outcome| !outcome.notes.iter().any(|note| note.contains("exactly 0"))));
}

#[test]
fn a_wider_ball_is_no_weaker_for_the_objective() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    let highest = |radius| {
        let spec = AttackSpec::PromptEmbedding(PromptEmbedding { radius, steps: 20 });
        let (outcome, _) = attacked(&spec, &engine, &problem);
        outcome.records.iter().map(|record| record.loss).fold(f32::NEG_INFINITY, f32::max)
    };
    let rises = [0.05, 0.2, 0.8].map(highest);
    assert!(rises.is_sorted(), "{rises:?}");
}

#[test]
fn a_targeted_objective_turns_the_gradient_of_the_text_round() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    let towards = Setup { goal: Goal::Target(problem.aim().mask.clone()), ..problem.setup().clone() };
    let towards = Problem::new(towards, &Device::Cpu).unwrap();
    let asked = |problem: &Problem| {
        let mut oracle = Heard::open(&engine, problem);
        let x = problem.ball().clean();
        let answer = oracle.text_gradient(&Text::Prompt(PROMPT.into()), x, &Measure::default()).unwrap();
        assert_eq!(answer.loss, oracle.loss(x).unwrap().0);
        (answer.loss, answer.gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap())
    };
    let (away, to) = (asked(&problem), asked(&towards));
    assert_eq!(away.0, -to.0);
    assert!(away.1.iter().zip(&to.1).all(|(a, b)| *a == -b) && away.1.iter().any(|g| *g != 0.));
}

#[test]
fn a_joint_attack_has_an_image_and_a_prompt_and_is_scored_under_both_prompts() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, Some(budget(Norm::Linf, 2., Unit::Pixel255)));
    let (outcome, _) = attacked(&joint(3, 2), &engine, &problem);
    let pgd = AttackSpec::Pgd(Pgd { steps: 3, ..Pgd::default() });
    let (alone, _) = attacked(&pgd, &engine, &problem);
    assert_eq!(outcome.records[..4], alone.records, "the first turn is PGD");
    assert!(outcome.file.evaluation.dsc <= alone.file.evaluation.dsc);
    assert_eq!(outcome.within_budget, Some(true));
    let chosen = outcome.chosen().unwrap();
    match (&chosen.prompt, &outcome.under_original) {
        (Some(tried), Some(original)) => {
            assert!(tried.family.unwrap().keeps_meaning());
            let mut oracle = Heard::open(&engine, &problem);
            let prompt = Text::Prompt(tried.text.clone());
            let under = problem.evaluate_under(Some(&prompt), &outcome.file.image, &mut oracle).unwrap();
            let plain = problem.evaluate(&outcome.file.image, &mut oracle).unwrap();
            assert_eq!((under.dsc, plain.dsc), (outcome.file.evaluation.dsc, original.dsc));
        }
        (tried, original) => panic!("no edit of the prompt helped on the fixture: {tried:?}, {}", original.is_some()),
    }
    assert!(outcome.prompt_sensitivity().is_none(), "sensitivity is measured on the clean image only");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_joint_attack_is_no_weaker_than_pgd_at_equal_steps(
        (width, height) in (3usize..9, 3usize..9), levels in 0f64..14., norm in norms(), seed in any::<u64>(),
        rounds in 1usize..4, random_start in any::<bool>(),
    ) {
        let setup = Setup { seed, prompt: "polyp".into(), ..setup(width, height, budget(norm, levels, Unit::Pixel255)) };
        let joint = AttackSpec::Joint(Joint { steps: 4, rounds, random_start, ..Joint::default() });
        let pgd = AttackSpec::Pgd(Pgd { steps: 4, random_start, ..Pgd::default() });
        let most = joint.points();
        let (joint, pgd) = (attack(&joint, setup.clone()).unwrap(), attack(&pgd, setup).unwrap());
        prop_assert!(joint.float.evaluation.dsc <= pgd.float.evaluation.dsc);
        prop_assert!(joint.file.evaluation.dsc <= pgd.file.evaluation.dsc);
        prop_assert_eq!(joint.within_budget, Some(true));
        prop_assert!(within(&joint, levels));
        prop_assert!(joint.records.len() as u64 <= most);
    }
}

#[test]
fn a_joint_attack_on_an_empty_prediction_and_without_a_budget_left_works() {
    for levels in [0., 12.] {
        let dark = Image::new(6, 5, [[0, 255, 0]; 30].concat()).unwrap();
        let setup =
            Setup { image: dark, prompt: "polyp".into(), ..setup(6, 5, budget(Norm::Linf, levels, Unit::Pixel255)) };
        for reference in [Mask::from_fn(6, 5, |x, _| x > 2), Mask::from_fn(6, 5, |_, _| false)] {
            let outcome = attack(&joint(3, 2), Setup { reference, ..setup.clone() }).unwrap();
            assert_eq!(outcome.clean.mask.area(), 0);
        }
    }
}

#[test]
fn other_texts_on_an_empty_prediction_work() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    let nothing = Mask::from_fn(problem.setup().image.width(), problem.setup().image.height(), |_, _| false);
    for goal in [Goal::Untargeted, Goal::Erase, Goal::Hallucinate(None)] {
        let setup = Setup { reference: nothing.clone(), goal, ..problem.setup().clone() };
        let problem = Problem::new(setup, &Device::Cpu).unwrap();
        for spec in [flips(2), embedding()] {
            attacked(&spec, &engine, &problem);
        }
    }
}

#[test]
fn other_texts_that_were_stopped_anywhere_go_on_to_the_same_result() {
    let engine = tiny();
    let problem = request(&engine, PROMPT, None);
    for spec in [flips(2), AttackSpec::PromptEmbedding(PromptEmbedding { radius: 0.3, steps: 4 })] {
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut oracle = Heard { cancels, ..Heard::open(&engine, &problem) };
            (run(&spec, &problem, &mut oracle, keeper), oracle.asked)
        });
        assert!(resumed.contains(&true), "it never left anything to go on from for {PROMPT:?}");
    }
}

#[test]
fn edits_corruptions_and_turns_that_were_stopped_anywhere_go_on_to_the_same_result() {
    let prompts = Prompt { edits: Edits::One(Family::Typo), rounds: 2, beam: 2, ..Prompt::default() };
    let all = Prompt { texts: vec!["polypous lesion".into()], ..Prompt::default() };
    let joint = Joint { steps: 2, rounds: 2, edits: Edits::One(Family::Paraphrase), ..Joint::default() };
    for (spec, levels) in [
        (AttackSpec::Prompt(prompts), None),
        (AttackSpec::Prompt(all), None),
        (AttackSpec::Corruption(Corruption { kind: Kinds::Group(Group::Dermoscopy), ..Corruption::default() }), None),
        (AttackSpec::Joint(joint), Some(9.)),
    ] {
        let budget = levels.map(|levels| budget(Norm::Linf, levels, Unit::Pixel255));
        let with =
            Setup { budget, prompt: "polyp".into(), ..setup(7, 6, self::budget(Norm::Linf, 1., Unit::Pixel255)) };
        let problem = Problem::new(with, &Device::Cpu).unwrap();
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut guard = Guard { cancels, ..Guard::new(&problem) };
            (run(&spec, &problem, &mut guard, keeper), guard.asked)
        });
        assert!(resumed.contains(&true), "it never left anything to go on from: {spec:?}");
    }
}

#[test]
fn edits_that_change_nothing_are_blamed() {
    let with = Setup { budget: None, prompt: "polyp".into(), ..setup(5, 5, budget(Norm::Linf, 1., Unit::Pixel255)) };
    for edits in [Family::WordOrder, Family::Empty] {
        let spec = AttackSpec::Prompt(Prompt { edits: Edits::One(edits), ..Prompt::default() });
        let refused = attack(&spec, with.clone()).unwrap_err();
        assert!(matches!(refused, AttackError::Parameter { name: "edits", .. }), "{refused}");
    }
}

#[test]
fn parameters_of_texts_that_make_no_sense_are_refused() {
    let refusal = |json: &str| {
        let spec: AttackSpec = serde_json::from_str(json).unwrap();
        spec.attack().check().unwrap_err().to_string()
    };
    for (json, says) in [
        (r#"{"method":"hot_flip","flips":0}"#, "use 1 to 8"),
        (r#"{"method":"hot_flip","beam":17}"#, "use 1 to 16"),
        (r#"{"method":"hot_flip","candidates":65}"#, "use 1 to 64"),
        (r#"{"method":"prompt_embedding","radius":0}"#, "radius is 0"),
        (r#"{"method":"prompt_embedding","radius":4.5}"#, "at most 4"),
        (r#"{"method":"prompt_embedding","steps":0}"#, "at least one step"),
        (r#"{"method":"joint","rounds":9}"#, "use 1 to 8"),
        (r#"{"method":"joint","edits":"negation"}"#, "use keeping"),
        (r#"{"method":"joint","edits":"all"}"#, "use keeping"),
        (r#"{"method":"joint","texts":[" "]}"#, "a text has 1 to 1000 characters"),
        (r#"{"method":"joint","steps":0}"#, "at least one step"),
    ] {
        assert!(refusal(json).contains(says), "{json}: {}", refusal(json));
    }
}
