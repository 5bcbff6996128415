//! The flags that describe an attack, shared by the commands that attack one image and many.

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Deserialize;
use serde_json::{Value, json};

use super::corruption_args::CorruptionArgs;
use super::defence_arg;
use super::prompt_args::PromptArgs;
use crate::attack::{AttackSpec, Budget, Epsilon, Norm, Protocol, Unit, catalogue};
use crate::loss::Loss;
use crate::oracle::defended::Defence;

/// How to attack, apart from method and epsilon.
#[derive(Debug, Clone, Args)]
pub struct AttackArgs {
    /// Unit of --epsilon and --alpha: pixel255 (levels of an 8-bit image), unit01 (fractions of full scale) or
    /// normalised (values after the network's normalisation).
    #[arg(long, default_value_t = Unit::Pixel255)]
    unit: Unit,
    /// How the perturbation is measured: by the largest change of any channel of any pixel, the root of the sum of all
    /// squared changes, or the sum of all absolute changes.
    #[arg(long, default_value = Norm::Linf.name(), value_parser = norm())]
    norm: Norm,
    /// Length of a step, in the same unit; the method's choice unless given (PGD: epsilon / 4, or 2.5 epsilon / steps
    /// if that is more; in L1 epsilon).
    #[arg(long)]
    alpha: Option<f64>,
    /// Number of steps; the method's choice unless given (PGD: 40).
    #[arg(long)]
    steps: Option<usize>,
    /// How often the attack begins anew; the best is kept.
    #[arg(long)]
    restarts: Option<usize>,
    /// Begin at the clean image rather than at a random point within the budget.
    #[arg(long)]
    no_random_start: bool,
    /// Any other parameter of the method, as in a request: decay=0.9, members=[{"method":"pgd"}]. May be given several times.
    #[arg(long = "parameter", value_name = "NAME=JSON", value_parser = parameter)]
    parameters: Vec<(String, Value)>,
    /// Loss that the attack works with; the protocol's unless given.
    #[arg(long, value_parser = loss_names())]
    loss: Option<String>,
    /// What stands between the image and the model, as KIND[:PARAMETER=VALUE,...]: jpeg, bit_depth, median, gaussian,
    /// resize, total_variation, random_resize, smoothing, prompt_ensemble. Then the attack runs twice: knowing the defence, and not.
    #[arg(long, value_name = "DEFENCE", value_parser = defence_arg::parse)]
    pub defence: Option<Defence>,
    /// Named set of choices: default, paper-2505.02971, corrected.
    #[arg(long, default_value_t)]
    pub protocol: Protocol,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    corruption: CorruptionArgs,
    #[command(flatten)]
    prompt: PromptArgs,
}

/// The names of the methods, with what they are.
pub fn method_names() -> PossibleValuesParser {
    PossibleValuesParser::new(catalogue::methods().iter().map(|m| PossibleValue::new(m.method).help(m.title)))
}

fn loss_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Loss::ALL.map(Loss::name))
}

/// A parameter as written on the command line. What is no JSON is a text.
fn parameter(text: &str) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').context("use NAME=JSON, for example decay=0.9")?;
    Ok((name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// The names of the norms.
fn norm() -> impl TypedValueParser<Value = Norm> {
    let named =
        |name: String| Norm::ALL.into_iter().find(|norm| norm.name() == name).expect("one of the possible values");
    PossibleValuesParser::new(Norm::ALL.map(Norm::name)).map(named)
}

impl AttackArgs {
    /// The unit of every epsilon.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The loss, if one was asked for.
    pub fn loss(&self) -> Option<Loss> {
        self.loss.as_deref().and_then(|name| name.parse().ok())
    }

    /// A budget in the unit and norm of these flags.
    ///
    /// # Errors
    /// An epsilon that is negative or not finite.
    pub fn budget(&self, epsilon: f64) -> Result<Budget> {
        Ok(Budget { norm: self.norm, epsilon: Epsilon::new(epsilon, self.unit).context("--epsilon")? })
    }

    /// A method with those of its parameters that were given, the rest as the protocol has it.
    ///
    /// # Errors
    /// Flags that name several attacks, a parameter that makes no sense or departs from a frozen protocol.
    pub fn spec(&self, method: &str) -> Result<AttackSpec> {
        let written = match method {
            "pgd" => serde_json::to_value(self.protocol.choices().pgd())?,
            "corruption" => serde_json::to_value(self.corruption.one()?)?,
            _ => defaults(method),
        };
        self.completed(written, method)
    }

    /// Each of a method's attacks: one, but every kind of corruption at every severity that was asked for.
    ///
    /// # Errors
    /// As [`Self::spec`].
    pub fn specs(&self, method: &str) -> Result<Vec<AttackSpec>> {
        match method {
            "corruption" => {
                let each = self.corruption.all().into_iter();
                each.map(|one| self.completed(serde_json::to_value(one)?, method)).collect()
            }
            _ => Ok(vec![self.spec(method)?]),
        }
    }

    /// A method with the parameters that stand in `written`, but for those that were given.
    fn completed(&self, mut written: Value, method: &str) -> Result<AttackSpec> {
        for (_, name, value) in self.given() {
            if written.get(&name).is_some() {
                written[name] = value;
            }
        }
        written["method"] = method.into();
        let spec = AttackSpec::deserialize(written).with_context(|| format!("--method {method}"))?;
        spec.attack().check()?;
        self.protocol.check(&spec)?;
        Ok(spec)
    }

    /// Refuses parameters and flags that none of the methods has.
    ///
    /// # Errors
    /// The flag of such a parameter.
    pub fn refuse_foreign(&self, methods: &[&str]) -> Result<()> {
        for (flag, name, _) in self.given() {
            if methods.iter().all(|method| defaults(method).get(&name).is_none()) {
                let methods =
                    if methods.is_empty() { "an evaluation without attacks".into() } else { methods.join(", ") };
                bail!("{flag} is no parameter of {methods}: leave it out");
            }
        }
        if !methods.contains(&"corruption") {
            self.corruption.refuse()?;
        }
        Ok(())
    }

    /// The parameters that were given: the flag, the name in requests and the value.
    fn given(&self) -> Vec<(String, String, Value)> {
        let alpha = self.alpha.map(|alpha| json!({"value": alpha, "unit": self.unit}));
        let flags = [
            ("--alpha", "alpha", alpha),
            ("--steps", "steps", self.steps.map(Value::from)),
            ("--restarts", "restarts", self.restarts.map(Value::from)),
            ("--no-random-start", "random_start", self.no_random_start.then_some(Value::Bool(false))),
        ];
        let flags = flags.into_iter().chain(self.prompt.given());
        let flags = flags.filter_map(|(flag, name, value)| Some((flag.into(), name.into(), value?)));
        let others = self.parameters.iter().map(|(name, value)| {
            let flag = format!("--parameter {name}");
            (flag, name.clone(), value.clone())
        });
        flags.chain(others).collect()
    }
}

/// The parameters of a method and their defaults; an empty object for an unknown one.
fn defaults(method: &str) -> Value {
    let known = catalogue::methods().into_iter().find(|known| known.method == method);
    known.map_or_else(|| json!({}), |known| known.defaults)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::attack::{Member, MemberMethod, MiFgsm, Pgd, Strongest};

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        attack: AttackArgs,
    }

    fn parse(flags: &str) -> AttackArgs {
        Flags::parse_from(["segprobe"].into_iter().chain(flags.split_whitespace())).attack
    }

    #[test]
    fn without_flags_pgd_is_the_protocols() {
        assert_eq!(parse("").spec("pgd").unwrap(), AttackSpec::Pgd(Pgd::default()));
        let paper = Protocol::Paper250502971.choices().pgd();
        assert_eq!(parse("--protocol paper-2505.02971").spec("pgd").unwrap(), AttackSpec::Pgd(paper));
    }

    #[test]
    fn alpha_has_the_unit_of_epsilon() {
        let args = parse("--unit unit01 --alpha 0.01 --steps 7 --no-random-start");
        let alpha = Some(Epsilon::new(0.01, Unit::Unit01).unwrap());
        let wanted = Pgd { steps: 7, alpha, random_start: false, restarts: 1 };
        assert_eq!(args.spec("pgd").unwrap(), AttackSpec::Pgd(wanted));
        assert_eq!(args.budget(0.03).unwrap().epsilon, Epsilon::new(0.03, Unit::Unit01).unwrap());
        assert!(args.budget(-1.).is_err());
    }

    #[test]
    fn every_method_of_the_catalogue_can_be_asked_for() {
        for method in catalogue::methods() {
            assert_eq!(parse("").spec(method.method).unwrap().method(), method.method);
        }
        let args = parse(r#"--steps 30 --parameter members=[{"method":"pgd"}] --parameter starts=2 --loss cos_pgd"#);
        let pgd = Member { method: MemberMethod::Pgd, loss: None, radius_reduction: false };
        let wanted = Strongest { members: vec![pgd], steps: 30, starts: 2 };
        assert_eq!(args.spec("strongest").unwrap(), AttackSpec::Strongest(wanted));
        assert_eq!(args.loss(), Some(Loss::CosPgd));
        let mi = AttackSpec::MiFgsm(MiFgsm { decay: 0.5, ..MiFgsm::default() });
        assert_eq!(parse("--parameter decay=0.5").spec("mi_fgsm").unwrap(), mi);
    }

    #[test]
    fn flags_without_effect_are_refused() {
        let refusal = |flags: &str, method| format!("{:#}", parse(flags).spec(method).unwrap_err());
        assert!(refusal("--protocol corrected --steps 7", "pgd").contains("fixes steps"));
        assert!(refusal("--steps 0", "pgd").contains("at least one step"));
        assert!(refusal(r#"--parameter members=[{"method":"hinge"}]"#, "strongest").contains("hinge"));
        assert!(refusal("--protocol corrected", "apgd").contains("fgsm and pgd only"));
        let foreign = |flags: &str, methods: &[&str]| parse(flags).refuse_foreign(methods).map_err(|e| e.to_string());
        assert!(foreign("--restarts 2", &["fgsm"]).unwrap_err().contains("--restarts is no parameter of fgsm"));
        assert!(foreign("--parameter decay=1", &["fgsm", "pgd"]).unwrap_err().contains("--parameter decay"));
        foreign("--restarts 2", &["fgsm", "pgd"]).unwrap();
        foreign("--seed 3", &["fgsm"]).unwrap();
        assert!(foreign("--steps 3", &[]).is_err());
        assert!(foreign("--kind hair", &["pgd"]).unwrap_err().contains("--kind"));
        assert!(foreign("--beam 2", &["corruption"]).unwrap_err().contains("--beam"));
        foreign("--edits typo --beam 2", &["prompt"]).unwrap();
        assert!(refusal("--rounds 9", "prompt").contains("use 1 to 4"));
    }

    #[test]
    fn every_corruption_is_an_attack_of_its_own() {
        let args = parse("--kind hair,jpeg --severity 1,5");
        let variants: Vec<_> = args.specs("corruption").unwrap().iter().filter_map(AttackSpec::variant).collect();
        assert_eq!(variants, ["hair 1", "hair 5", "jpeg 1", "jpeg 5"]);
        assert!(args.spec("corruption").is_err());
        let given = parse("--parameter kind=hair --parameter severity=2").spec("corruption").unwrap();
        assert_eq!(given.variant().as_deref(), Some("hair 2"));
    }
}
