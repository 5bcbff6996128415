// Numbers, times and states in words.

import { NORMS } from "./budget.js";

/**
 * A duration for people.
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/**
 * How long ago something was.
 * @param {string} time RFC 3339
 * @returns {string}
 */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  return seconds < 5 ? "just now" : `${duration(Math.round(seconds)).replace(".0", "")} ago`;
}

/**
 * What a job does, in a few words: `PGD, 8 of 255, L∞`, or `CORRUPTION, hair, 3`.
 * @param {object} spec
 * @returns {string}
 */
export function inShort(spec) {
  const goal = spec.goal && spec.goal !== "untargeted" ? `, ${goalWords(spec.goal)}` : "";
  const { method, ...parameters } = spec.attack;
  const strength = spec.budget ? budgetWords(spec.budget) : Object.values(parameters).filter((value) => typeof value !== "object").join(", ");
  return `${[methodTitle(method), strength].filter(Boolean).join(", ")}${goal}`;
}

function budgetWords({ norm, epsilon: { value, unit } }) {
  const epsilon = { pixel255: `${value} of 255`, unit01: `${value} of 1` }[unit] ?? `${value} ${unit}`;
  return `${epsilon}, ${NORMS[norm]?.label ?? norm}`;
}

/**
 * A goal in words: `erase`, or `shift by 20, 0 px`.
 * @param {string | Object<string, object>} goal as a request has it
 * @returns {string}
 */
export function goalWords(goal) {
  if (typeof goal === "string") return goal;
  const [[name, { dx_px: dx, dy_px: dy, percent, prompt }]] = Object.entries(goal);
  if (name === "shift") return `shift by ${dx ?? 0}, ${dy ?? 0} px`;
  return percent === undefined ? `${name} to “${prompt}”` : `${name} by ${percent} %`;
}

/**
 * A success criterion in words.
 * @param {Object<string, number>} criterion with one key
 * @returns {string}
 */
export function criterionWords(criterion) {
  const [[name, threshold]] = Object.entries(criterion);
  const words = {
    dsc_below: "DSC below",
    drop_at_least: "DSC falls by at least",
    dsc_to_target_at_least: "DSC to the target at least",
  };
  return `${words[name] ?? name.replaceAll("_", " ")} ${threshold}`;
}

/**
 * As much of a job's name as people need: its end, since its beginning is a time.
 * @param {string} id
 * @returns {string}
 */
export function shortId(id) {
  return `…${id.slice(-8)}`;
}

const SPELLED = { padam: "PAdam", cw: "C&W", hot_flip: "HotFlip", seg_certify: "SegCertify", alma_prox: "ALMA prox" };
const ACRONYM = /^(fgsm|bim|mi|ni|di|ti|pgd|apgd|dct|dag|nes|spsa)$/;

/** A method's name for people: `MI-FGSM` for `mi_fgsm`, `Square mask` for `square_mask`. */
export function methodTitle(method) {
  if (SPELLED[method]) return SPELLED[method];
  const words = method.split("_");
  if (words.every((word) => ACRONYM.test(word))) return words.join("-").toUpperCase();
  return words.join(" ").replace(/^./, (letter) => letter.toUpperCase());
}
