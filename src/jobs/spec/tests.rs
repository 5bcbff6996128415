//! Specs that are read, and the field that a refusal names.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::attack::{Corruption, Fgsm, Norm, Pgd, catalogue};
use crate::corruption::{Kind, Kinds, Severity};

fn minimal() -> Value {
    json!({"prompt": "polyp", "attack": {"method": "pgd"}, "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}}})
}

fn with(change: Value) -> Result<JobSpec, SpecError> {
    let mut spec = minimal();
    let (Value::Object(fields), Value::Object(changes)) = (&mut spec, change) else { panic!("objects") };
    fields.extend(changes);
    JobSpec::from_json(spec.to_string().as_bytes())
}

fn refused(change: Value) -> (String, String) {
    let error = with(change).expect_err("to be refused");
    (error.pointer, error.detail)
}

#[test]
fn what_is_left_out_is_the_protocols() {
    let attack = |protocol: &str| with(json!({"protocol": protocol})).unwrap().attack;
    assert_eq!(attack("default"), AttackSpec::Pgd(Pgd::default()));
    for protocol in Protocol::ALL {
        assert_eq!(attack(protocol.name()), AttackSpec::Pgd(protocol.choices().pgd()));
    }
    let some = with(json!({"attack": {"method": "pgd", "steps": 3}})).unwrap().attack;
    assert_eq!(some, AttackSpec::Pgd(Pgd { steps: 3, ..Pgd::default() }));
    assert_eq!(with(json!({"attack": {"method": "fgsm"}})).unwrap().attack, AttackSpec::Fgsm(Fgsm {}));
    let corruption = with(json!({"attack": {"method": "corruption", "kind": "hair"}, "budget": null})).unwrap();
    let wanted = Corruption { kind: Kinds::One(Kind::Hair), severity: Severity::default() };
    assert_eq!((corruption.attack, corruption.budget), (AttackSpec::Corruption(wanted), None));
}

#[test]
fn every_method_is_read_with_the_defaults_of_the_catalogue() {
    for method in catalogue::methods() {
        let mut wanted = method.defaults;
        wanted["method"] = method.method.into();
        let mut change = json!({"attack": {"method": method.method}});
        if !method.norms.contains(&Norm::Linf) {
            let budget = json!({"norm": "l2", "epsilon": {"value": 8, "unit": "pixel255"}});
            change["budget"] = if method.norms.is_empty() { Value::Null } else { budget };
        }
        let found = with(change).unwrap().attack;
        assert_eq!(serde_json::to_value(found).unwrap(), wanted);
    }
}

#[test]
fn pgd_apgd_and_their_control_take_a_budget_in_l1() {
    for method in ["pgd", "apgd", "noise"] {
        let budget = json!({"norm": "l1", "epsilon": {"value": 3000, "unit": "pixel255"}});
        let spec = with(json!({"attack": {"method": method}, "budget": budget})).unwrap();
        assert_eq!(spec.budget.unwrap().norm, Norm::L1);
    }
}

#[test]
fn what_was_read_is_read_again() {
    let spec = with(json!({"labels": {"model": "v3"}, "success": {"dsc_below": 0.2}, "priority": -3})).unwrap();
    assert_eq!(JobSpec::from_json(&serde_json::to_vec(&spec).unwrap()).unwrap(), spec);
    assert_eq!(serde_json::from_slice::<JobSpec>(&serde_json::to_vec(&spec).unwrap()).unwrap(), spec);
}

#[test]
fn a_field_of_the_wrong_shape_is_pointed_at() {
    for (change, pointer) in [
        (json!({"attack": {"method": "pgd", "steps": -1}}), "/spec/attack/steps"),
        (json!({"attack": {"method": "pgd", "step": 1}}), "/spec/attack/step"),
        (json!({"attack": {"method": "pgd", "alpha": {"value": 1, "unit": "mm"}}}), "/spec/attack/alpha/unit"),
        (json!({"attack": {"method": "fgsm", "steps": 1}}), "/spec/attack/steps"),
        (json!({"attack": {"method": "bim", "restarts": 2}}), "/spec/attack/restarts"),
        (
            json!({"attack": {"method": "strongest", "members": [{"method": "apgd", "loss": "hinge"}]}}),
            "/spec/attack/members/0/loss",
        ),
        (json!({"loss": "hinge"}), "/spec/loss"),
        (json!({"attack": {"method": "magic"}}), "/spec/attack/method"),
        (json!({"attack": {}}), "/spec/attack/method"),
        (json!({"attack": "pgd"}), "/spec/attack"),
        (json!({"budget": {"norm": "linf"}}), "/spec/budget/epsilon"),
        (json!({"budget": {"norm": "l7", "epsilon": {"value": 8, "unit": "pixel255"}}}), "/spec/budget/norm"),
        (json!({"budget": {"norm": "l2", "epsilon": {"value": -8, "unit": "pixel255"}}}), "/spec/budget/epsilon"),
        (json!({"prompt": 3}), "/spec/prompt"),
        (json!({"goal": "harm"}), "/spec/goal"),
        (json!({"goal": {"shift": {"dx": 3}}}), "/spec/goal/shift/dx"),
        (json!({"goal": {"shift": {"dy_px": 1.5}}}), "/spec/goal/shift/dy_px"),
        (json!({"goal": {"grow": {}}}), "/spec/goal/grow/percent"),
        (json!({"goal": {"grow": {"percent": "20"}}}), "/spec/goal/grow/percent"),
        (json!({"protocol": "paper"}), "/spec/protocol"),
        (json!({"seed": -1}), "/spec/seed"),
        (json!({"labels": {"a": 1}}), "/spec/labels/a"),
        (json!({"labels": {"a/b": 1}}), "/spec/labels/a~1b"),
        (json!({"window": {"center": 1}}), "/spec/window/width"),
        (json!({"colour": "red"}), "/spec/colour"),
    ] {
        let found = refused(change.clone());
        assert_eq!(found.0, pointer, "{change}: {}", found.1);
    }
}

#[test]
fn a_value_that_makes_no_sense_is_pointed_at() {
    let labels: BTreeMap<String, String> = (0..17).map(|i| (i.to_string(), String::new())).collect();
    for (change, pointer, says) in [
        (json!({"prompt": " \n"}), "/spec/prompt", "polyp"),
        (json!({"prompt": "é".repeat(1001)}), "/spec/prompt", "1001"),
        (json!({"prompt": "a\u{0}b"}), "/spec/prompt", "U+0000"),
        (json!({"goal": "shift"}), "/spec/goal", "dx_px"),
        (json!({"goal": {"shift": {}}}), "/spec/goal/shift", "at least one pixel"),
        (json!({"goal": {"grow": {"percent": 0}}}), "/spec/goal/grow/percent", "more than 0"),
        (json!({"goal": {"shrink": {"percent": 100}}}), "/spec/goal/shrink/percent", "less than 100"),
        (json!({"goal": {"swap": {"prompt": " Polyp"}}, "prompt": "polyp"}), "/spec/goal/swap/prompt", "another"),
        (json!({"attack": {"method": "pgd", "steps": 0}}), "/spec/attack/steps", "at least one step"),
        (json!({"attack": {"method": "pgd", "restarts": 0}}), "/spec/attack/restarts", "1"),
        (json!({"attack": {"method": "pgd", "steps": 10_000}}), "/spec/attack/steps", "10001"),
        (json!({"attack": {"method": "pgd", "steps": u64::MAX}}), "/spec/attack/steps", "at most 10000"),
        (json!({"attack": {"method": "pgd", "steps": 7}, "protocol": "corrected"}), "/spec/protocol", "fixes steps"),
        (json!({"attack": {"method": "apgd"}, "protocol": "corrected"}), "/spec/protocol", "fgsm and pgd only"),
        (json!({"attack": {"method": "mi_fgsm", "decay": 2}}), "/spec/attack/decay", "0 (no momentum) to 1"),
        (json!({"attack": {"method": "strongest", "members": []}}), "/spec/attack/members", "at least one"),
        (json!({"attack": {"method": "strongest", "steps": 4000}}), "/spec/attack/steps", "40018"),
        (json!({"loss": "bce", "protocol": "corrected"}), "/spec/loss", "fixes the loss"),
        (json!({"attack": {"method": "square", "queries": 20_000}}), "/spec/attack/queries", "one for each question"),
        (json!({"attack": {"method": "nes", "queries": 3}}), "/spec/attack/queries", "at least four times"),
        (json!({"attack": {"method": "cw"}}), "/spec/budget/norm", "l2 only"),
        (
            json!({"attack": {"method": "square"}, "budget": {"norm": "l2", "epsilon": {"value": 8, "unit": "pixel255"}}}),
            "/spec/budget/norm",
            "linf only",
        ),
        (
            json!({"attack": {"method": "bim"}, "budget": {"norm": "l1", "epsilon": {"value": 3000, "unit": "pixel255"}}}),
            "/spec/budget/norm",
            "linf and l2 only",
        ),
        (
            json!({"budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "unit01"}}}),
            "/spec/budget/epsilon",
            "did you mean pixel255?",
        ),
        (json!({"attack": {"method": "seg_certify", "tau": 0.3}, "budget": null}), "/spec/attack/tau", "0.5 to 0.97"),
        (
            json!({"attack": {"method": "seg_certify", "samples": 3}, "budget": null}),
            "/spec/attack/samples",
            "needs 25",
        ),
        (
            json!({"attack": {"method": "seg_certify"}, "budget": null, "defence": {"kind": "jpeg"}}),
            "/spec/defence",
            "leave the defence out",
        ),
        (json!({"budget": null}), "/spec/budget", "needs a budget"),
        (json!({"attack": {"method": "corruption"}}), "/spec/budget", "has no budget"),
        (json!({"attack": {"method": "corruption", "kind": "fog"}, "budget": null}), "/spec/attack/kind", "hair"),
        (
            json!({"attack": {"method": "corruption", "severity": 6}, "budget": null}),
            "/spec/attack/severity",
            "1 (mild)",
        ),
        (json!({"defence": {"kind": "jpeg", "quality": 0}}), "/spec/defence/quality", "1 to 100"),
        (json!({"defence": {"kind": "magic"}}), "/spec/defence/kind", "bit_depth"),
        (
            json!({"defence": {"kind": "jpeg"}, "attack": {"method": "pgd", "steps": 6000}}),
            "/spec/attack/steps",
            "twice",
        ),
        (json!({"success": {"dsc_below": 1.5}}), "/spec/success", "threshold"),
        (json!({"success": {"dsc_to_target_at_least": 0.5}}), "/spec/success", "untargeted"),
        (json!({"priority": 10}), "/spec/priority", "-9 to 9"),
        (json!({"labels": labels}), "/spec/labels", "17"),
        (json!({"labels": {"": "x"}}), "/spec/labels", "1 to 64"),
        (json!({"labels": {"k": "x".repeat(257)}}), "/spec/labels", "256"),
        (json!({"window": {"center": 40, "width": 0.5}}), "/spec/window/width", "at least 1"),
    ] {
        let found = refused(change.clone());
        assert_eq!(found.0, pointer, "{change}: {}", found.1);
        assert!(found.1.contains(says), "{change}: {}", found.1);
    }
    with(json!({"prompt": "é".repeat(1000), "priority": 9, "attack": {"method": "pgd", "steps": 9_999}})).unwrap();
}

#[test]
fn what_is_no_object_is_refused_as_a_whole() {
    for text in ["", "{", "[]", "null", "{\"prompt\": \"a\"} x"] {
        assert_eq!(JobSpec::from_json(text.as_bytes()).unwrap_err().pointer, "/spec");
    }
    let absent = JobSpec::from_json(b"{}").unwrap_err();
    assert!(absent.detail.contains("missing field"), "{absent:?}");
    assert!(JobSpec::from_json("[".repeat(10_000).as_bytes()).is_err());
}

/// Any JSON, shallow.
fn any_json() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![Just("pgd"), Just("linf"), Just("pixel255"), Just("corrected"), Just("target")]
            .prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    plain.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,8}", inner, 0..3).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// A usable spec with one value replaced or one field added.
fn nearly_usable() -> impl Strategy<Value = Value> {
    let places = [
        "/prompt",
        "/attack",
        "/attack/method",
        "/attack/steps",
        "/attack/alpha",
        "/attack/restarts",
        "/budget",
        "/budget/norm",
        "/budget/epsilon",
        "/budget/epsilon/value",
        "/budget/epsilon/unit",
        "/goal",
        "/success",
        "/protocol",
        "/loss",
        "/seed",
        "/model",
        "/priority",
        "/labels",
        "/frame",
        "/window",
        "/unknown",
    ];
    (prop::sample::select(places.to_vec()), any_json()).prop_map(|(place, value)| {
        let mut spec = json!({
            "prompt": "polyp",
            "attack": {"method": "pgd", "steps": 5},
            "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}},
        });
        let (parent, field) = place.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[field] = value;
        spec
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused_with_a_pointer_into_the_spec(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = JobSpec::from_json(&bytes) {
            prop_assert!(error.pointer.starts_with("/spec"), "{}", error.pointer);
        }
    }

    #[test]
    fn what_is_accepted_reads_the_same_when_it_is_sent_again(spec in nearly_usable()) {
        match JobSpec::from_json(spec.to_string().as_bytes()) {
            Err(error) => prop_assert!(error.pointer.starts_with("/spec") && !error.detail.is_empty(), "{:?}", error),
            Ok(read) => {
                let again = serde_json::to_vec(&read).unwrap();
                prop_assert_eq!(JobSpec::from_json(&again).unwrap(), read);
            }
        }
    }
}
