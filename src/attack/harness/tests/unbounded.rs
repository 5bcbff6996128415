//! Methods without a budget: corruptions and prompts.

use super::*;
use crate::attack::{Corruption, Prompt};
use crate::corruption::{Group, Kind, Kinds, Severity};
use crate::prompt::{Edits, Family};

fn natural(kind: Kinds, severity: Severity) -> AttackSpec {
    AttackSpec::Corruption(Corruption { kind, severity })
}

#[test]
fn the_worst_kind_of_a_group_is_kept_and_named() {
    let group = Kinds::Group(Group::Dermoscopy);
    let outcome = attack(&natural(group, Severity::ALL[4]), unbounded(16, 12)).unwrap();
    let names: Vec<_> = outcome.records.iter().map(|record| record.tried.as_deref().unwrap()).collect();
    assert_eq!(names, group.members().iter().map(|kind| kind.name()).collect::<Vec<_>>());
    let lowest = outcome.records.iter().map(|record| record.dsc).fold(1., f64::min);
    assert!(outcome.file.evaluation.dsc == lowest && lowest < outcome.clean.dsc);
    let worst = outcome.chosen().unwrap().tried.as_deref().unwrap();
    assert_eq!(outcome.records[outcome.file.at.step].tried.as_deref(), Some(worst));
    assert!(outcome.within_budget.is_none() && outcome.budget.is_none());
    assert!(outcome.records.iter().all(|record| record.budget_used.is_none() && record.zero_gradient_share.is_none()));

    let alone = attack(&natural(worst.parse().unwrap(), Severity::ALL[4]), unbounded(16, 12)).unwrap();
    assert_eq!(alone.file.bytes, outcome.file.bytes, "a kind draws the same numbers alone and in a group");
}

#[test]
fn a_corruption_keeps_to_the_region_and_to_the_protocol() {
    let kind = Kinds::One(Kind::GaussianNoise);
    let region = Mask::from_fn(16, 12, |x, _| x < 8);
    let within = |protocol: Protocol| {
        let choices = protocol.choices();
        let setup = Setup { region: Some(region.clone()), choices, ..unbounded(16, 12) };
        let clean = setup.image.clone();
        (attack(&natural(kind, Severity::ALL[2]), setup).unwrap().file.image, clean)
    };
    let (image, clean) = within(Protocol::Default);
    for (x, y) in (0..12).flat_map(|y| (0..16).map(move |x| (x, y))) {
        assert!(region.get(x, y) || image.pixel(x, y) == clean.pixel(x, y));
    }
    assert_ne!(image, clean);
    // in normalised values a level is not a power of two: still the same picture
    assert_eq!(within(Protocol::Paper250502971).0, image);
}

#[test]
fn a_budget_is_asked_for_by_those_who_have_one() {
    let with = budget(Norm::Linf, 8., Unit::Pixel255);
    let refusal = |spec: &AttackSpec, setup| match attack(spec, setup) {
        Err(AttackError::Parameter { name, rule, .. }) => (name, rule),
        other => panic!("{other:?}"),
    };
    let none = refusal(&pgd(), unbounded(4, 4));
    assert!(none.0 == "budget" && none.1.contains("needs a budget"));
    let superfluous = refusal(&natural(Kinds::default(), Severity::default()), setup(4, 4, with));
    assert!(superfluous.0 == "budget" && superfluous.1.contains("leave it out"));
}

fn with_prompt(prompt: &str) -> Setup {
    Setup { prompt: prompt.into(), ..unbounded(16, 12) }
}

#[test]
fn the_worst_prompt_that_keeps_the_meaning_is_found_on_the_unchanged_image() {
    let setup = with_prompt("polyp");
    let edits = Prompt { texts: vec!["polypous lesion".into()], ..Prompt::default() };
    let outcome = attack(&AttackSpec::Prompt(edits.clone()), setup.clone()).unwrap();
    assert_eq!(outcome.file.image, setup.image);
    assert_eq!(outcome.file.container, Container::Png);
    let tried: Vec<_> = outcome.records.iter().map(|record| record.prompt.as_ref().unwrap()).collect();
    assert!(tried.iter().any(|tried| tried.family == Some(Family::Given)) && tried.len() as u64 <= edits.points());
    let chosen = outcome.chosen().unwrap();
    let keeps = |record: &StepRecord| record.prompt.as_ref().unwrap().family.unwrap().keeps_meaning();
    assert!(keeps(chosen));
    let keeping = outcome.records.iter().filter(|record| keeps(record));
    let lowest = keeping.map(|record| record.dsc).fold(1., f64::min);
    assert!(outcome.file.evaluation.dsc == lowest && lowest < outcome.clean.dsc);
    // the reference is the answer to the original prompt
    assert!(outcome.records.iter().all(|record| record.dsc == record.prompt.as_ref().unwrap().consistency));
    assert!(
        outcome.notes.iter().any(|note| note.contains("refuses a prompt of the family empty")),
        "{:?}",
        outcome.notes
    );
    let sensitivity = outcome.prompt_sensitivity().unwrap();
    assert!(sensitivity.families.iter().all(|family| family.family != Family::Empty));
    assert!(sensitivity.use_of_text.unwrap() > 0. && sensitivity.fragility.unwrap() > 0.);
    assert_eq!((outcome.queries.gradient, outcome.within_budget), (0, None));
}

#[test]
fn more_rounds_find_no_better_prompt_and_ask_about_no_text_twice() {
    let run = |rounds| {
        let edits = Prompt { edits: Edits::One(Family::Typo), rounds, beam: 2, ..Prompt::default() };
        (edits.points(), attack(&AttackSpec::Prompt(edits), with_prompt("polyp")).unwrap())
    };
    let (one, three) = (run(1).1, run(3));
    assert!(three.1.file.evaluation.dsc < one.file.evaluation.dsc, "more letters are worse for the toy");
    let texts: Vec<_> = three.1.records.iter().map(|record| &record.prompt.as_ref().unwrap().text).collect();
    let different: std::collections::BTreeSet<_> = texts.iter().collect();
    assert!(different.len() == texts.len() && texts.len() as u64 <= three.0);
    assert_eq!(
        texts[..one.records.len()],
        one.records.iter().map(|r| &r.prompt.as_ref().unwrap().text).collect::<Vec<_>>()
    );
}

#[test]
fn what_changes_the_meaning_is_chosen_only_where_nothing_else_was_asked_for() {
    let edits = Prompt { edits: Edits::One(Family::Negation), ..Prompt::default() };
    let outcome = attack(&AttackSpec::Prompt(edits), with_prompt("polyp")).unwrap();
    assert_eq!(outcome.chosen().unwrap().tried.as_deref(), Some("negation"));
    assert!(
        outcome.notes.iter().any(|note| note.contains("all edits change what is asked for")),
        "{:?}",
        outcome.notes
    );
}

#[test]
fn prompt_parameters_that_make_no_sense_are_refused() {
    let refusal = |edits: Prompt| match AttackSpec::Prompt(edits).attack().check() {
        Err(AttackError::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let default = Prompt::default;
    assert_eq!(refusal(Prompt { rounds: 0, ..default() }), "rounds");
    assert_eq!(refusal(Prompt { rounds: 2, edits: Edits::Changing, ..default() }), "rounds");
    assert_eq!(refusal(Prompt { beam: 17, ..default() }), "beam");
    for text in [" ", "a\0b", "polyp <|endoftext|>"] {
        assert_eq!(refusal(Prompt { texts: vec![text.into()], ..default() }), "texts", "{text:?}");
    }
    assert_eq!(refusal(Prompt { texts: vec!["a".into(); 101], ..default() }), "texts");
    assert_eq!(refusal(Prompt { edits: Edits::One(Family::Given), ..default() }), "texts");
}
