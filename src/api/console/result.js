// The result of an attack: verdict, pictures, scores, notes and files.

import { downloadable } from "./api.js";
import { NORMS, inAllUnits } from "./budget.js";
import { element } from "./dom.js";
import { size } from "./files.js";
import { promptTable } from "./prompts.js";
import { changeTable, scoreTable } from "./scores.js";
import { criterionWords, goalWords, shortId } from "./words.js";

/**
 * What came of it in one line, and what it rests on in another.
 * @param {object} job
 * @returns {HTMLElement}
 */
export function verdict(job) {
  const { success, clean, adversarial_file: adversarial, reference, within_budget: within } = job.result;
  const [mark, words, kind] = success.met_by_clean_image
    ? ["?", "Not conclusive", "open"]
    : success.met
      ? ["!", "The attack succeeded", "broken"]
      : ["✓", "The attack did not succeed", "held"];
  const basis = [
    `Criterion: ${criterionWords(success.criterion)}`,
    reference === "given" ? "reference: the mask that was given" : "reference: the model's own clean prediction",
    ...(within === null ? [] : [within ? "the file keeps the budget" : "the file does not keep the budget"]),
    ...(job.result.worst ? [`the worst of what was tried: ${job.result.worst}`] : []),
  ];
  const targeted = "dsc_to_target_at_least" in success.criterion;
  const [measure, key] = targeted ? ["DSC to the target", "dsc_to_target"] : ["DSC", "dsc"];
  const headline = `${words}: ${measure} ${clean[key].toFixed(2)} → ${adversarial[key].toFixed(2)}`;
  return element(
    "div",
    { className: `verdict ${kind}` },
    element("span", { className: "mark", "aria-hidden": "true" }, mark),
    element("div", {}, element("h2", {}, headline), element("p", {}, `${basis.join("; ")}.`)),
  );
}

/**
 * Scores, budget, notes, files: what stands beside the pictures.
 * @param {object} job
 * @param {(error: Error) => void} onError is told when a download fails
 * @returns {HTMLElement}
 */
export function findings(job, onError) {
  const { result } = job;
  const { request, queries } = result;
  const facts = [
    ["Budget", budget(request.budget)],
    ...(result.defence === undefined ? [] : [["Defence", defence(result.defence)]]),
    ...(result.adversarial_prompt === undefined ? [] : [["Adversarial prompt", `“${result.adversarial_prompt}”`]]),
    ...(result.patch ? [["Patch", patch(result.patch)]] : []),
    ...(result.adversarial_file_original_prompt === undefined
      ? []
      : [["Under the original prompt", `DSC ${result.adversarial_file_original_prompt.dsc.toFixed(3)}`]]),
    ...(result.transfer ?? []).map((other) => [`Shown to ${other.model}`, transfer(other)]),
    ...(result.certificate ? [["Certificate", certificate(result.certificate)]] : []),
    ["Choices", `protocol ${request.protocol}, loss ${request.loss}, goal ${goalWords(request.goal)}, seed ${request.seed}`],
    ["Queries", `${queries.gradient} gradients, ${queries.loss} losses, ${queries.logits} predictions`],
    ["Best point", best(result.adversarial_file.at)],
    ["Size", `${result.image.width} × ${result.image.height} px`],
    ["Perturbation", result.perturbation_picture.caption],
  ];
  return element(
    "div",
    { className: "findings" },
    scoreTable(result),
    comparison(job),
    notes([...result.notes, ...Object.values(job.inputs).flatMap((input) => input?.notes ?? [])]),
    promptTable(result.prompt_sensitivity),
    files(job, onError),
    changeTable(result.perturbation),
    element(
      "dl",
      { className: "facts" },
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    ),
  );
}

function budget(given) {
  return given ? `${inAllUnits(given)}, ${NORMS[given.norm]?.label ?? given.norm}` : "none: the method decides";
}

function patch({ pixels, share_of_image: share, grey_dsc: grey, noise_dsc: noise, dsc }) {
  const scores = `DSC outside ${dsc.toFixed(2)}, with grey in its place ${grey.toFixed(2)}, with noise ${noise.toFixed(2)}`;
  return `${pixels} px, ${(100 * share).toFixed(1)} % of the image; ${scores}`;
}

function defence({ defence: { kind }, adaptive_dsc: adaptive, oblivious_dsc: oblivious }) {
  const name = kind.replaceAll("_", " ");
  return `${name}: DSC ${adaptive.toFixed(3)} if the attack knows it, ${oblivious.toFixed(3)} if it does not`;
}

function certificate({ radius_l2: radius, abstained_share: abstained, certified_dsc: certified, smoothed_dsc: smoothed }) {
  const share = `${(100 * abstained).toFixed(1)} % of the pixels abstained from`;
  return `L2 ${radius.toFixed(3)} of full scale: DSC at least ${certified.toFixed(3)}, smoothed ${smoothed.toFixed(3)}; ${share}`;
}

function transfer({ clean, adversarial_file: adversarial, success }) {
  const verdict = success.met ? "the attack succeeds there too" : "the attack does not succeed there";
  return `DSC ${clean.dsc.toFixed(3)} → ${adversarial.dsc.toFixed(3)}: ${verdict}`;
}

function best(at) {
  if (!at) return "the clean image";
  return at.restart ? `step ${at.step} of restart ${at.restart + 1}` : `step ${at.step}`;
}

function comparison({ comparison: found }) {
  if (!found) return null;
  const original = element("a", { href: `#/attacks/${found.with}` }, shortId(found.with));
  return found.identical
    ? element("p", { className: "same" }, "Same bytes as ", original, ": the result was repeated exactly.")
    : element("p", { className: "differs" }, "Not the same bytes as ", original, `: ${found.different.join(", ")}.`);
}

function notes(sentences) {
  if (!sentences.length) return null;
  const items = sentences.map((sentence) => element("li", {}, sentence.charAt(0).toUpperCase() + sentence.slice(1)));
  return element(
    "div",
    { className: "notes" },
    element("h3", {}, "Before you trust these numbers"),
    element("ul", {}, ...items),
  );
}

function files(job, onError) {
  const link = (href, name, text) => downloadable(element("a", { href, download: name }, text), onError);
  const items = job.artifacts.map((file) =>
    element(
      "li",
      {},
      link(`${file.href}?download`, file.name, file.name),
      element("span", { className: "muted", title: `SHA-256 ${file.sha256}` }, size(file.bytes)),
    ),
  );
  const zip = link(job.links.artifacts, `segprobe-${job.id}.zip`, "Download all (zip)");
  zip.className = "button";
  zip.id = "zip";
  return element(
    "details",
    { className: "files" },
    element("summary", {}, `Files (${job.artifacts.length})`),
    zip,
    element("ul", {}, ...items),
  );
}
