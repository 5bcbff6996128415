//! `segprobe certify`: which pixels of a mask no small change can turn.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::attack::progress_bar;
use super::model_args::ModelArgs;
use crate::certify::Certification;
use crate::engine::{Engine, EngineConfig};
use crate::evaluation::segment;
use crate::imaging::decode::{self, Limits};
use crate::imaging::encode;
use crate::metric::Confusion;
use crate::report::manifest::{Code, ModelIdentity};

/// Certify the mask of one image under normal noise (SegCertify): a bound that holds against every attack.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    /// The image: PNG, JPEG, TIFF or DICOM.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The reference mask, of the image's size.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// The text that names what to segment.
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Standard deviation of the noise, as a share of full scale.
    #[arg(long, default_value_t = 0.25)]
    sigma: f64,
    /// Samples that decide on the class of a pixel.
    #[arg(long, value_name = "N", default_value_t = 10)]
    choose: usize,
    /// Samples that test it.
    #[arg(long, value_name = "N", default_value_t = 100)]
    samples: usize,
    /// The probability that a class needs, from 0.5 to 0.97: the higher, the larger the radius.
    #[arg(long, default_value_t = 0.75)]
    tau: f64,
    /// The probability that any pixel is certified wrongly.
    #[arg(long, default_value_t = 0.001)]
    alpha: f64,
    /// Seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Samples at once, sharing the batches of the model.
    #[arg(long, value_name = "N", default_value_t = 8)]
    jobs: usize,
    #[command(flatten)]
    model: ModelArgs,
    /// Folder for mask.png, abstained.png and certificate.json; made if it is absent.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

/// What `certificate.json` holds.
#[derive(Serialize)]
struct Document<'a> {
    code: Code,
    model: ModelIdentity,
    prompt: &'a str,
    certification: Certification,
    /// L2, in units of full scale over all values of the image.
    radius_l2: f64,
    abstained_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores>,
}

/// DSC against the reference.
#[derive(Serialize)]
struct Scores {
    /// Of the model itself on the clean image.
    clean_dsc: f64,
    /// Of the smoothed model, all pixels taken at their word.
    smoothed_dsc: f64,
    /// The lower bound: every pixel without a certificate counts as wrong.
    certified_dsc: f64,
}

/// Runs the command.
///
/// # Errors
/// Flags, files or a model that cannot be used.
pub fn run(args: &CertifyArgs) -> Result<()> {
    let image = decode::open(&args.image, &Limits::default())?.image;
    let reference = args.mask.as_deref().map(|path| decode::open_mask(path, &Limits::default())).transpose()?;
    reference.iter().try_for_each(|mask| mask.check_fits(&image))?;
    let Certification { choose, test, .. } = args.certification();
    args.certification().check(image.width() * image.height())?;
    let (model, source) = args.model.open()?;
    let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;

    let bar = progress_bar((choose + test) as u64, "{elapsed} {wide_bar} sample {pos} of {len}");
    let certificate = args.certification().run(&engine, (&image, &args.prompt), args.jobs, &|| bar.inc(1))?;
    bar.finish_and_clear();

    let scores = reference.as_ref().map(|reference| -> Result<Scores> {
        Ok(Scores {
            clean_dsc: Confusion::between(&segment(&engine, &image, &args.prompt)?, reference)?.dsc(),
            smoothed_dsc: Confusion::between(&certificate.mask, reference)?.dsc(),
            certified_dsc: certificate.against(reference)?.dsc(),
        })
    });
    let document = Document {
        code: Code::this(),
        model: ModelIdentity::new(engine.name(), &source, args.model.adapter.as_deref())?,
        prompt: &args.prompt,
        certification: args.certification(),
        radius_l2: certificate.radius,
        abstained_share: certificate.abstained_share(),
        scores: scores.transpose()?,
    };
    std::fs::create_dir_all(&args.out).with_context(|| format!("--out: cannot create {}", args.out.display()))?;
    encode::write(&args.out.join("mask.png"), &encode::mask_png(&certificate.mask)?)?;
    encode::write(&args.out.join("abstained.png"), &encode::mask_png(&certificate.abstained)?)?;
    let json = format!("{}\n", serde_json::to_string_pretty(&document)?);
    encode::write(&args.out.join("certificate.json"), json.as_bytes())?;
    println!("certified within an L2 distance of {:.4} of full scale", certificate.radius);
    println!("abstained from {:.1} % of the pixels", 100. * certificate.abstained_share());
    if let Some(Scores { clean_dsc, smoothed_dsc, certified_dsc }) = &document.scores {
        println!("DSC: model {clean_dsc:.3}, smoothed {smoothed_dsc:.3}, certified at least {certified_dsc:.3}");
    }
    println!("wrote mask.png, abstained.png, certificate.json to {}", args.out.display());
    Ok(())
}

impl CertifyArgs {
    fn certification(&self) -> Certification {
        Certification {
            sigma: self.sigma,
            choose: self.choose,
            test: self.samples,
            tau: self.tau,
            alpha: self.alpha,
            seed: self.seed,
        }
    }
}
