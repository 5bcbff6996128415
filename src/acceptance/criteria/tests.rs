use figment::providers::{Format, Toml};

use super::*;
use crate::attack::{AttackSpec, Epsilon, Fgsm, GoalSpec, Norm, Pgd, Unit};

fn read(text: &str) -> Result<Criteria, CriteriaError> {
    Criteria::from_figment(Figment::from(Toml::string(text)))
}

fn grid() -> Grid {
    let planned = |attack, epsilon| {
        let budget = Budget { norm: Norm::Linf, epsilon: Epsilon::new(epsilon, Unit::Pixel255).unwrap() };
        Planned::bounded(attack, budget, epsilon)
    };
    let pgd = AttackSpec::Pgd(Pgd::default());
    Grid {
        attacks: vec![planned(pgd.clone(), 2.), planned(pgd, 4.), planned(AttackSpec::Fgsm(Fgsm {}), 2.)],
        ..Grid::default()
    }
}

#[test]
fn the_page_that_explains_criteria_has_some_that_can_be_read() {
    let page = include_str!("../../../docs/acceptance.md");
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let criteria = read(text).unwrap();
    assert!(criteria.require.len() >= 3);
    let all = [Measure::DscAtLeast, Measure::DscDropAtMost, Measure::SuccessAtMost];
    assert!(all.iter().all(|measure| criteria.require.iter().any(|one| one.limits.contains_key(measure))));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_name() {
    let one = "[[require]]\nname = 'a'\nattack = 'pgd'\ndsc_at_least = 0.5\n";
    for (text, says) in [
        ("", "ask nothing"),
        ("images_at_leas = 3", "images_at_leas"),
        ("images_at_least = 0", "use 1 or more"),
        ("[[require]]\nattack = 'pgd'", "name"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'", "\"a\" has no limit"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'\ndsc_at_leas = 0.5", "dsc_at_least"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'\ndsc_at_least = 80", "between 0 and 1"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'\ndsc_at_least = nan", "between 0 and 1"),
        ("[[require]]\nname = 'a'\nattack = 'pgx'\ndsc_at_least = 1", "use none or one of"),
        ("[[require]]\nname = 'a'\nattack = 'none'\ndsc_drop_at_most = 0.1", "name an attack"),
        ("[[require]]\nname = 'a'\nattack = 'none'\nvariant = 'x'\ndsc_at_least = 0.1", "no variant"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'\nover = 'images'\ndsc_at_least = 0.1", "each_image"),
        (&format!("{one}{one}"), "there twice"),
        ("[[require]]\nname = 'a'\nattack = 'pgd'\nbudget = 4\ndsc_at_least = 0.1", "budget"),
    ] {
        let refusal = read(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
    let absent = Criteria::read(Path::new("absent.toml")).unwrap_err().to_string();
    assert!(absent.contains("absent.toml"), "{absent}");
}

#[test]
fn what_an_evaluation_cannot_answer_is_told_before_it_begins() {
    let against = |more: &str, grid: &Grid| {
        read(&format!("[[require]]\nname = 'a'\n{more}")).unwrap().check_against(grid, &["polyps", "lungs"])
    };
    let at = |norm: &str, value: f64, unit: &str| {
        format!(
            "dsc_at_least = 0\nattack = 'pgd'\nbudget = {{ norm = '{norm}', epsilon = {{ value = {value}, unit = '{unit}' }} }}"
        )
    };
    against(&at("linf", 4., "pixel255"), &grid()).unwrap();
    against("attack = 'none'\ndsc_at_least = 0.5\nsets = ['lungs']", &grid()).unwrap();
    for (more, says) in [
        (at("linf", 3., "pixel255"), "pgd at 3 pixel255 in linf, which is not measured"),
        (at("l2", 4., "pixel255"), "not measured"),
        (at("linf", 4., "normalised"), "not measured"),
        ("attack = 'apgd'\niou_at_least = 0".into(), "is about apgd, which is not measured"),
        ("attack = 'pgd'\nvariant = 'on other'\niou_at_least = 0".into(), "pgd on other"),
        ("attack = 'pgd'\nsets = ['skin']\niou_at_least = 0".into(), "there are polyps, lungs"),
        ("attack = 'pgd'\ndsc_to_target_at_most = 0".into(), "give a --goal"),
    ] {
        let refusal = against(&more, &grid()).unwrap_err().to_string();
        assert!(refusal.contains(says), "{more}: {refusal}");
    }
    let erase = Grid { goal: GoalSpec::Erase, ..grid() };
    against("attack = 'pgd'\ndsc_to_target_at_most = 0.2", &erase).unwrap();
}
