//! One image under one threat model: all that an attack needs besides the oracle.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::budget::{Budget, Epsilon, Norm, Unit};
use super::evaluation::{Evaluation, Judges};
use super::projection::Ball;
use super::quantise::Lattice;
use super::random::RandomSource;
use super::success::Criterion;
use crate::attack::protocol::{Choices, Clamp, Protocol, Resolution, SaveAs, Space};
use crate::attack::{Aim, AttackError, Goal, UniversalPerturbation};
use crate::imaging::{Container, Image, Mask};
use crate::loss::{Counted, Loss};
use crate::metric::{Confusion, DEFAULT_NSD_TOLERANCE_PX, MaskScores, MetricError};
use crate::model::{Preprocess, Resize};
use crate::oracle::{Measure, Oracle, Text, text};

/// A request, before it is checked. All images and masks have one size.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The clean image.
    pub image: Image,
    /// What the model should have answered; scores are taken at its size.
    pub reference: Mask,
    /// The text that the oracle answers under, for methods that change it; empty unless set.
    pub prompt: String,
    /// How far the image may be changed; `None` for a method that has no budget.
    pub budget: Option<Budget>,
    /// The network's input, for its mean, standard deviation and size.
    pub preprocess: Preprocess,
    /// The wrong answer that counts; untargeted unless set.
    pub goal: Goal,
    /// When the attack has succeeded; the goal's default unless set.
    pub criterion: Option<Criterion>,
    /// What the method `universal` adds to the image; nothing unless set.
    pub perturbation: Option<Arc<UniversalPerturbation>>,
    /// The pixels that may change; all unless set.
    pub region: Option<Mask>,
    /// Pixels that count neither in the loss nor in any score, such as those under a patch; none unless set.
    pub ignored: Option<Mask>,
    /// The seed of all random numbers; 0 unless set.
    pub seed: u64,
    /// The protocol's choices; [`Protocol::Default`] unless set.
    pub choices: Choices,
    /// The file format of the clean image; PNG unless set.
    pub original: Container,
}

impl Setup {
    /// A request in which all that has a default has it.
    pub fn new(image: Image, reference: Mask, budget: impl Into<Option<Budget>>, preprocess: Preprocess) -> Self {
        Self {
            image,
            reference,
            prompt: String::new(),
            budget: budget.into(),
            preprocess,
            goal: Goal::Untargeted,
            criterion: None,
            perturbation: None,
            region: None,
            ignored: None,
            seed: 0,
            choices: Protocol::Default.choices(),
            original: Container::Png,
        }
    }

    fn check_sizes(&self) -> Result<(), AttackError> {
        let (width, height) = (self.image.width(), self.image.height());
        let masks = [
            ("reference mask", Some(&self.reference)),
            ("allowed region", self.region.as_ref()),
            ("mask of ignored pixels", self.ignored.as_ref()),
        ];
        for (what, mask) in masks.into_iter().filter_map(|(what, mask)| Some((what, mask?))) {
            if (mask.width(), mask.height()) != (width, height) {
                let found = (mask.width(), mask.height());
                return Err(AttackError::Size { what, found, wanted: (width, height) });
            }
        }
        let network = (self.preprocess.width, self.preprocess.height);
        if self.choices.score_at == Resolution::Network && (width, height) != network {
            return Err(AttackError::Size { what: "image of this protocol", found: (width, height), wanted: network });
        }
        Ok(())
    }
}

/// A checked request on a device.
#[derive(Debug, Clone)]
pub struct Problem {
    setup: Setup,
    aim: Aim,
    criterion: Criterion,
    ball: Ball,
    random: RandomSource,
    /// The aim's mask at the network's output size.
    target: Tensor,
    /// The pixels of the network's output that count, if not all do.
    counted: Option<Counted>,
    /// From the network's output to the size of the scores.
    upsampling: Resize,
}

impl Problem {
    /// Checks a request and puts its tensors on `device`.
    ///
    /// # Errors
    /// Sizes that differ, a budget beyond full scale, a region without a pixel, a criterion that does
    /// not fit the goal.
    pub fn new(setup: Setup, device: &Device) -> Result<Self, AttackError> {
        setup.check_sizes()?;
        if let Some(budget) = setup.budget {
            budget.check(setup.image.rgb().len(), &setup.preprocess.std)?;
        }
        if setup.region.as_ref().is_some_and(|region| region.area() == 0) {
            return Err(AttackError::Parameter {
                name: "allowed region",
                value: "empty".into(),
                rule: "allow at least one pixel, or leave it out to allow all",
            });
        }
        // Where the region does not count, a structure that fills it would be none.
        let region = setup.region.as_ref().filter(|_| setup.ignored.is_none());
        let aim = setup.goal.aim(&setup.reference, region)?;
        let criterion = match setup.criterion {
            Some(criterion) => criterion,
            None => setup.goal.criterion(&aim, &setup.reference)?,
        };
        criterion.check(aim.towards)?;
        let clean = to_space(&setup, &setup.image, device)?;
        let (norm, radius) = match setup.budget {
            Some(budget) => (budget.norm, budget.epsilon.in_unit(space_unit(&setup), &setup.preprocess.std)),
            None => (Norm::Linf, f64::INFINITY),
        };
        let region = setup.region.as_ref().map(|region| region.to_tensor(device)).transpose()?;
        let range = match (setup.choices.space, setup.choices.clamp) {
            (Space::Pixel, Clamp::EveryStep) => Some((0., 1.)),
            _ => None,
        };
        let ball = Ball::new(&clean, (norm, radius), region.as_ref(), range)?;
        let random = RandomSource::new(setup.seed, &setup.image);
        let network = (setup.preprocess.height, setup.preprocess.width);
        let upsampling = Resize::new(network, size(&setup.reference), &Device::Cpu)?;
        let target = aim.mask.resize(network.1, network.0).to_tensor(device)?;
        let counted = match &setup.ignored {
            None => None,
            Some(ignored) => Some(
                Counted::outside(&ignored.resize(network.1, network.0), device)?
                    .ok_or_else(|| nothing_left(ignored.area()))?,
            ),
        };
        Ok(Self { setup, aim, criterion, ball, random, target, counted, upsampling })
    }

    /// The request.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The mask to leave or to reach.
    pub fn aim(&self) -> &Aim {
        &self.aim
    }

    /// When the attack has succeeded.
    pub fn criterion(&self) -> Criterion {
        self.criterion
    }

    /// The images within reach, in the space the attack works in; its radius is infinite without a budget.
    pub fn ball(&self) -> &Ball {
        &self.ball
    }

    /// The random numbers of this image.
    pub fn random(&self) -> &RandomSource {
        &self.random
    }

    /// A distance in the space the attack works in.
    pub fn length(&self, distance: Epsilon) -> f64 {
        distance.in_unit(space_unit(&self.setup), &self.setup.preprocess.std)
    }

    /// What distances between points are counted in.
    pub fn unit(&self) -> Unit {
        space_unit(&self.setup)
    }

    /// The budget in whole levels of the 8-bit file.
    pub fn lattice(&self) -> Lattice<'_> {
        let Setup { budget, preprocess, region, .. } = &self.setup;
        let (norm, levels) = match budget {
            Some(budget) => (budget.norm, budget.epsilon.in_unit(Unit::Pixel255, &preprocess.std)),
            None => (Norm::Linf, f64::INFINITY),
        };
        Lattice { norm, levels, region: region.as_ref() }
    }

    /// A change in fractions of full scale as one in the space the attack works in.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn change(&self, delta: &Tensor) -> Result<Tensor, AttackError> {
        match self.setup.choices.space {
            Space::Pixel => Ok(delta.clone()),
            Space::Normalised => {
                let shifted = self.setup.preprocess.normalise(delta)?;
                Ok((shifted - self.setup.preprocess.normalise(&delta.zeros_like()?)?)?)
            }
        }
    }

    /// An 8-bit image of the problem's size as a point of the attack's space.
    ///
    /// # Errors
    /// A device that failed.
    pub fn to_point(&self, image: &Image) -> Result<Tensor, AttackError> {
        to_space(&self.setup, image, self.ball.clean().device())
    }

    /// `x` of the attack's space as values of full scale 1; outside [0, 1] where nothing was clamped.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn to_unit01(&self, x: &Tensor) -> Result<Tensor, AttackError> {
        match self.setup.choices.space {
            Space::Pixel => Ok(x.clone()),
            Space::Normalised => Ok(self.setup.preprocess.denormalise(x)?),
        }
    }

    /// The 8-bit image of `x`: rounded within the budget if the protocol clamps every step, otherwise
    /// rounded and clamped only.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn to_image(&self, x: &Tensor) -> Result<Image, AttackError> {
        let unit01 = self.to_unit01(x)?;
        Ok(match self.setup.choices.clamp {
            Clamp::EveryStep => self.lattice().round(&self.setup.image, &unit01)?,
            Clamp::OnSaving => Image::from_tensor(&unit01)?,
        })
    }

    /// The point of the 8-bit image near `x` that lies within `levels` of 255 around the clean one.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn on_lattice(&self, x: &Tensor, levels: f64) -> Result<Tensor, AttackError> {
        let lattice = Lattice { levels, ..self.lattice() };
        let image = lattice.round(&self.setup.image, &self.to_unit01(x)?)?;
        to_space(&self.setup, &image, x.device())
    }

    /// The file format of the adversarial image.
    pub fn container(&self) -> Container {
        match self.setup.choices.container {
            SaveAs::Png => Container::Png,
            SaveAs::AsOriginal => self.setup.original.saved_as(),
        }
    }

    /// Asks the model about an 8-bit image.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn evaluate(&self, image: &Image, oracle: &mut dyn Oracle) -> Result<Evaluation, AttackError> {
        let (loss, logits) = oracle.loss(&self.to_point(image)?)?;
        self.score(loss, &logits)
    }

    /// As [`Self::evaluate`], under another text if there is one.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_under(
        &self,
        text: Option<&Text>,
        image: &Image,
        oracle: &mut dyn Oracle,
    ) -> Result<Evaluation, AttackError> {
        let (loss, logits) = text::loss(oracle, text, &self.to_point(image)?, &Measure::default())?;
        self.score(loss, &logits)
    }

    /// A difference of two images in units of full scale, in the space of the attack.
    ///
    /// # Errors
    /// A device that failed.
    pub fn scaled(&self, difference: &Tensor) -> Result<Tensor, AttackError> {
        match self.setup.choices.space {
            Space::Pixel => Ok(difference.clone()),
            Space::Normalised => {
                let std = Tensor::new(&self.setup.preprocess.std, difference.device())?.reshape((3, 1, 1))?;
                Ok(difference.broadcast_div(&std)?)
            }
        }
    }

    /// A mask of the image's size as the target of a question, `[h, w]` at the network's output size.
    ///
    /// # Errors
    /// A device that failed.
    pub fn target(&self, mask: &Mask) -> Result<Tensor, AttackError> {
        let (height, width) = self.target.dims2()?;
        Ok(mask.resize(width, height).to_tensor(self.target.device())?)
    }

    /// The pixels of the network's output that count, if not all do.
    pub fn counted(&self) -> Option<&Counted> {
        self.counted.as_ref()
    }

    /// The pixels of the network's output outside of a mask of the image's size; `None` if there are none.
    ///
    /// # Errors
    /// A device that failed.
    pub fn counted_outside(&self, ignored: &Mask) -> Result<Option<Counted>, AttackError> {
        let (height, width) = self.target.dims2()?;
        Ok(Counted::outside(&ignored.resize(width, height), self.target.device())?)
    }

    /// The plain cross-entropy of logits `[h, w]` against the aim's mask, negated if that is to be reached: high is
    /// good for the attacker. Unlike an objective it compares points of different losses and steps.
    ///
    /// # Errors
    /// A tensor of another rank.
    pub fn tracked(&self, logits: &Tensor) -> Result<f32, AttackError> {
        let (height, width) = logits.dims2()?;
        let target = if (height, width) == self.target.dims2()? {
            self.target.clone()
        } else {
            self.aim.mask.resize(width, height).to_tensor(logits.device())?
        };
        let value = match &self.setup.ignored {
            None => Loss::Bce.value(logits, &target)?,
            Some(ignored) => Counted::outside(&ignored.resize(width, height), logits.device())?
                .ok_or_else(|| nothing_left(ignored.area()))?
                .value(Loss::Bce.into(), logits, &target)?,
        };
        let value = value.to_scalar::<f32>()?;
        Ok(if self.aim.towards { -value } else { value })
    }

    /// Scores the mask that logits are thresholded to, and nothing else of them.
    ///
    /// # Errors
    /// Logits of another rank.
    pub fn decide(&self, logits: &Tensor) -> Result<Evaluation, AttackError> {
        self.score(0., logits)?.by_mask()
    }

    /// Pixel counts of a mask against another, where pixels count.
    ///
    /// # Errors
    /// Masks of another size than the image.
    pub fn confusion(&self, prediction: &Mask, reference: &Mask) -> Result<Confusion, MetricError> {
        match &self.setup.ignored {
            None => Confusion::between(prediction, reference),
            Some(ignored) => Confusion::outside(ignored, (prediction, reference)),
        }
    }

    /// Every score of a mask against another, where pixels count.
    ///
    /// # Errors
    /// Masks of another size than the image.
    pub fn mask_scores(&self, prediction: &Mask, reference: &Mask) -> Result<MaskScores, MetricError> {
        let tolerance = DEFAULT_NSD_TOLERANCE_PX;
        match &self.setup.ignored {
            None => MaskScores::between(prediction, reference, tolerance),
            Some(ignored) => MaskScores::outside(ignored, (prediction, reference), tolerance),
        }
    }

    /// Scores an answer of the oracle.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub fn score(&self, loss: f32, logits: &Tensor) -> Result<Evaluation, AttackError> {
        let Setup { reference, ignored, .. } = &self.setup;
        let judges = Judges { reference, aim: &self.aim, ignored: ignored.as_ref() };
        let from = logits.dims2()?;
        if from == self.upsampling.from() {
            return Evaluation::new(loss, logits, &self.upsampling, judges);
        }
        let upsampling = Resize::new(from, size(&self.setup.reference), &Device::Cpu)?;
        Evaluation::new(loss, logits, &upsampling, judges)
    }
}

fn nothing_left(pixels: usize) -> AttackError {
    AttackError::Parameter {
        name: "placement",
        value: format!("{pixels} pixels"),
        rule: "at the network's size nothing would be left to score: make the patch smaller",
    }
}

/// (height, width)
fn size(mask: &Mask) -> (usize, usize) {
    (mask.height(), mask.width())
}

fn space_unit(setup: &Setup) -> Unit {
    match setup.choices.space {
        Space::Pixel => Unit::Unit01,
        Space::Normalised => Unit::Normalised,
    }
}

fn to_space(setup: &Setup, image: &Image, device: &Device) -> Result<Tensor, AttackError> {
    let unit01 = image.to_tensor(device)?;
    match setup.choices.space {
        Space::Pixel => Ok(unit01),
        Space::Normalised => Ok(setup.preprocess.normalise(&unit01)?),
    }
}
