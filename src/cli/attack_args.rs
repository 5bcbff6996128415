//! The flags that describe an attack, shared by the commands that attack one image and many.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::corruption_args::CorruptionArgs;
use super::defence_arg;
use super::prompt_args::PromptArgs;
use crate::attack::{AttackSpec, Budget, Epsilon, Fgsm, Norm, Protocol, Unit};
use crate::loss::Loss;
use crate::oracle::defended::Defence;

/// How to attack, apart from method and epsilon.
#[derive(Debug, Clone, Args)]
pub struct AttackArgs {
    /// Unit of --epsilon and --alpha: levels of an 8-bit image, fractions of full scale, or values after
    /// the network's normalisation.
    #[arg(long, value_enum, default_value = "pixel255")]
    unit: UnitArg,
    /// How the perturbation is measured.
    #[arg(long, value_enum, default_value = "linf")]
    norm: NormArg,
    /// Length of a step of PGD, in the same unit; epsilon / 4, or 2.5 epsilon / steps if that is more, unless given.
    #[arg(long)]
    alpha: Option<f64>,
    /// Steps of PGD; 40 unless given.
    #[arg(long)]
    steps: Option<usize>,
    /// How often PGD begins anew; the best is kept.
    #[arg(long)]
    restarts: Option<usize>,
    /// Begin PGD at the clean image (BIM) rather than at a random point within the budget.
    #[arg(long)]
    no_random_start: bool,
    /// Loss that the attack works with (dice_ce, dice_ce_paper, bce, soft_dice); the protocol's unless given.
    #[arg(long)]
    loss: Option<Loss>,
    /// What stands between the image and the model, as KIND[:PARAMETER=VALUE,...]: jpeg, bit_depth, median, gaussian,
    /// resize, total_variation, random_resize, smoothing. Then the attack runs twice: knowing the defence, and not.
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

/// An attack method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Many projected steps (Madry et al. 2018).
    Pgd,
    /// One step (Goodfellow et al. 2015).
    Fgsm,
    /// What happens to pictures by nature: see --kind and --severity; it has no epsilon.
    Corruption,
    /// Edits of the prompt, the image unchanged: see --edits; it has no epsilon.
    Prompt,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnitArg {
    /// Levels of an 8-bit image: full scale is 255.
    Pixel255,
    /// Fractions of full scale.
    Unit01,
    /// After the network's normalisation.
    Normalised,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NormArg {
    /// The largest change of any channel of any pixel.
    Linf,
    /// The root of the sum of all squared changes.
    L2,
}

impl AttackArgs {
    /// The unit of every epsilon.
    pub fn unit(&self) -> Unit {
        match self.unit {
            UnitArg::Pixel255 => Unit::Pixel255,
            UnitArg::Unit01 => Unit::Unit01,
            UnitArg::Normalised => Unit::Normalised,
        }
    }

    /// The unit's name as it is written on the command line.
    pub fn unit_name(&self) -> &'static str {
        match self.unit {
            UnitArg::Pixel255 => "pixel255",
            UnitArg::Unit01 => "unit01",
            UnitArg::Normalised => "normalised",
        }
    }

    /// The loss, if one was asked for.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// A budget in the unit and norm of these flags.
    ///
    /// # Errors
    /// An epsilon that is negative or not finite.
    pub fn budget(&self, epsilon: f64) -> Result<Budget> {
        let norm = match self.norm {
            NormArg::Linf => Norm::Linf,
            NormArg::L2 => Norm::L2,
        };
        Ok(Budget { norm, epsilon: Epsilon::new(epsilon, self.unit()).context("--epsilon")? })
    }

    /// A method with the parameters of these flags, the rest as the protocol has it.
    ///
    /// # Errors
    /// Flags of another method, a parameter that makes no sense or departs from a frozen protocol.
    pub fn spec(&self, method: Method) -> Result<AttackSpec> {
        let spec = match method {
            Method::Fgsm => AttackSpec::Fgsm(Fgsm {}),
            Method::Pgd => {
                let mut pgd = self.protocol.choices().pgd();
                pgd.steps = self.steps.unwrap_or(pgd.steps);
                pgd.restarts = self.restarts.unwrap_or(pgd.restarts);
                pgd.random_start &= !self.no_random_start;
                if let Some(alpha) = self.alpha {
                    pgd.alpha = Some(Epsilon::new(alpha, self.unit()).context("--alpha")?);
                }
                AttackSpec::Pgd(pgd)
            }
            Method::Corruption => self.corruption.one()?,
            Method::Prompt => self.prompt.spec(),
        };
        spec.attack().check()?;
        self.protocol.check(&spec)?;
        Ok(spec)
    }

    /// Each of a method's attacks: one, but every kind of corruption at every severity that was asked for.
    ///
    /// # Errors
    /// As [`Self::spec`].
    pub fn specs(&self, method: Method) -> Result<Vec<AttackSpec>> {
        match method {
            Method::Corruption => Ok(self.corruption.all()),
            Method::Pgd | Method::Fgsm | Method::Prompt => Ok(vec![self.spec(method)?]),
        }
    }

    /// Refuses the flags of methods that are not used.
    ///
    /// # Errors
    /// The name of such a flag.
    pub fn refuse_others(&self, used: &[Method]) -> Result<()> {
        if !used.contains(&Method::Pgd) {
            self.refuse_pgd_flags()?;
        }
        if !used.contains(&Method::Corruption) {
            self.corruption.refuse()?;
        }
        if !used.contains(&Method::Prompt) {
            self.prompt.refuse()?;
        }
        Ok(())
    }

    fn refuse_pgd_flags(&self) -> Result<()> {
        let given = [
            ("--alpha", self.alpha.is_some()),
            ("--steps", self.steps.is_some()),
            ("--restarts", self.restarts.is_some()),
            ("--no-random-start", self.no_random_start),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => bail!("{flag} belongs to pgd: leave it out, or add --method pgd"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::attack::Pgd;

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
        assert_eq!(parse("").spec(Method::Pgd).unwrap(), AttackSpec::Pgd(Pgd::default()));
        let paper = Protocol::Paper250502971.choices().pgd();
        assert_eq!(parse("--protocol paper-2505.02971").spec(Method::Pgd).unwrap(), AttackSpec::Pgd(paper));
    }

    #[test]
    fn alpha_has_the_unit_of_epsilon() {
        let args = parse("--unit unit01 --alpha 0.01 --steps 7 --no-random-start");
        let alpha = Some(Epsilon::new(0.01, Unit::Unit01).unwrap());
        let wanted = Pgd { steps: 7, alpha, random_start: false, restarts: 1 };
        assert_eq!(args.spec(Method::Pgd).unwrap(), AttackSpec::Pgd(wanted));
        assert_eq!(args.budget(0.03).unwrap().epsilon, Epsilon::new(0.03, Unit::Unit01).unwrap());
        assert!(args.budget(-1.).is_err());
    }

    #[test]
    fn flags_without_effect_are_refused() {
        let refusal = |flags: &str, method| parse(flags).spec(method).unwrap_err().to_string();
        assert!(refusal("--protocol corrected --steps 7", Method::Pgd).contains("fixes steps"));
        assert!(refusal("--steps 0", Method::Pgd).contains("at least one step"));
        let others = |flags: &str, used| parse(flags).refuse_others(&[used]);
        assert!(others("--restarts 2", Method::Fgsm).unwrap_err().to_string().contains("--restarts"));
        assert!(others("--kind hair", Method::Pgd).unwrap_err().to_string().contains("--kind"));
        assert!(others("--beam 2", Method::Corruption).unwrap_err().to_string().contains("--beam"));
        others("--edits typo --beam 2", Method::Prompt).unwrap();
        others("--seed 3", Method::Fgsm).unwrap();
        assert!(refusal("--rounds 9", Method::Prompt).contains("use 1 to 4"));
    }
}
