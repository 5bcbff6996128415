// The scores as a table: clean, adversarial, and what changed.

import { element } from "./dom.js";

/** Whether more is better, worse, or neither: a change for the worse is what an attack is after. */
const SCORES = [
  {
    key: "dsc",
    label: "DSC",
    digits: 3,
    better: 1,
    about:
      "Dice similarity coefficient: twice the common area over the sum of both. 1 is perfect, 0 nothing in common.",
  },
  {
    key: "dsc_to_target",
    label: "DSC to target",
    digits: 3,
    better: -1,
    about: "How much the prediction looks like what the attack is after. 1 is exactly that.",
  },
  {
    key: "iou",
    label: "IoU",
    digits: 3,
    better: 1,
    about: "Intersection over union: the common area over the area of either. 1 is perfect.",
  },
  {
    key: "precision",
    label: "Precision",
    digits: 3,
    better: 1,
    about: "The share of the predicted pixels that are right.",
  },
  {
    key: "recall",
    label: "Recall",
    digits: 3,
    better: 1,
    about: "The share of the reference's pixels that were found.",
  },
  {
    key: "pixel_accuracy",
    label: "Pixel accuracy",
    digits: 3,
    better: 1,
    about: "The share of all pixels that are labelled right, background included.",
  },
  {
    key: "hd95_px",
    label: "HD95",
    unit: "px",
    digits: 1,
    better: -1,
    about: "95th percentile of the Hausdorff distance: how far the outlines are apart, without the worst 5 %.",
  },
  {
    key: "hd_px",
    label: "HD",
    unit: "px",
    digits: 1,
    better: -1,
    about: "Hausdorff distance: the largest distance from one outline to the other.",
  },
  {
    key: "nsd",
    label: "NSD",
    digits: 3,
    better: 1,
    about: "Normalised surface Dice: the share of the outlines that lie within a small tolerance of each other.",
  },
  {
    key: "area_change_percent",
    label: "Area change",
    unit: "%",
    digits: 1,
    better: 0,
    about: "How much larger or smaller the predicted area is than the reference's.",
  },
  {
    key: "centroid_shift_px",
    label: "Centre shift",
    unit: "px",
    digits: 1,
    better: -1,
    about: "Distance between the centres of mass of prediction and reference.",
  },
  { key: "components", label: "Parts", digits: 0, better: 0, about: "Number of connected parts of the prediction." },
];

const CHANGES = [
  {
    key: "linf_levels",
    label: "Largest change",
    unit: "of 255",
    digits: 0,
    about: "The largest change of any channel of any pixel.",
  },
  {
    key: "mean_abs_levels",
    label: "Mean change",
    unit: "of 255",
    digits: 2,
    about: "Mean absolute change over all channels of all pixels.",
  },
  {
    key: "l2_levels",
    label: "L2 norm",
    unit: "of 255",
    digits: 0,
    about: "Root of the sum of all squared changes; it grows with the size of the image.",
  },
  {
    key: "l1_levels",
    label: "L1 norm",
    unit: "of 255",
    digits: 0,
    about: "Sum of all absolute changes; it grows with the size of the image.",
  },
  { key: "l0_pixels", label: "Changed pixels", digits: 0, about: "Number of pixels with any channel changed." },
  {
    key: "psnr_db",
    label: "PSNR",
    unit: "dB",
    digits: 1,
    about: "Peak signal-to-noise ratio; above about 40 dB a change is hard to see.",
  },
  { key: "ssim", label: "SSIM", digits: 3, about: "Structural similarity to the original; 1 is the same." },
];

/**
 * The table of a result.
 * @param {object} result as it stands in `result.json`
 * @returns {HTMLElement}
 */
export function scoreTable(result) {
  const { clean, adversarial_file: adversarial } = result;
  const deltas = { ...result.deltas, dsc_to_target: adversarial.dsc_to_target - clean.dsc_to_target };
  const rows = SCORES.filter(({ key }) => key in adversarial).map((score) => {
    const harm = -Math.sign(deltas[score.key] ?? 0) * score.better;
    const verdict = harm > 0 ? "worse" : harm < 0 ? "improved" : "";
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name(score)),
      element("td", {}, number(clean, score)),
      element("td", {}, number(adversarial, score)),
      element("td", { className: verdict }, number(deltas, score, true)),
    );
  });
  const head = ["Score", "clean", "adversarial", "change"].map((title) => element("th", { scope: "col" }, title));
  return element(
    "table",
    { className: "scores" },
    element("caption", { className: "hidden-visually" }, "Scores before and after the attack"),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

/**
 * What was done to the image.
 * @param {object} perturbation
 * @returns {HTMLElement}
 */
export function changeTable(perturbation) {
  const rows = CHANGES.map((change) =>
    element("tr", {}, element("th", { scope: "row" }, name(change)), element("td", {}, number(perturbation, change))),
  );
  return element(
    "table",
    { className: "scores changes" },
    element("caption", {}, "What was done to the image"),
    element("tbody", {}, ...rows),
  );
}

function name({ label, unit, about }) {
  return element(
    "span",
    {},
    element("abbr", { title: about }, label),
    unit ? element("span", { className: "muted" }, ` ${unit}`) : null,
  );
}

function number(scores, { key, digits }, signed = false) {
  const value = scores[key];
  if (value === null || value === undefined) {
    const why = scores.reasons?.[key]?.replaceAll("_", " ") ?? "it has no value";
    return element("abbr", { title: why, className: "muted" }, "none");
  }
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const zero = Number(text.replaceAll(",", "")) === 0;
  const sign = zero ? "" : value < 0 ? "−" : signed ? "+" : "";
  return sign + text;
}
