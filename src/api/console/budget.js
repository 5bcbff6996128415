// What an epsilon is in other units, before the service is asked.

/** What a change from black to white is worth in each unit; the last one is a mean over ImageNet's channels. */
const FULL_SCALE = { pixel255: 255, unit01: 1, normalised: 3 / (0.229 + 0.224 + 0.225) };

/** The units by the names that requests use. */
export const UNITS = { pixel255: "of 255", unit01: "of 1", normalised: "normalised" };

/** The norms by the names that requests use. */
export const NORMS = {
  linf: { label: "L∞", about: "no channel of any pixel changes by more" },
  l2: { label: "L2", about: "the root of all squared changes in the image" },
  l1: { label: "L1", about: "the sum of all changes in the image" },
};

/**
 * The epsilon in the other units, as a sentence.
 * @param {number} value
 * @param {string} unit
 * @param {string} norm
 * @returns {string}
 */
export function equivalents(value, unit, norm) {
  if (!Number.isFinite(value) || value < 0) return "Give a number that is not negative.";
  const share = value / FULL_SCALE[unit];
  const about = NORMS[norm]?.about;
  const all = Object.fromEntries(Object.entries(FULL_SCALE).map(([name, full]) => [name, share * full]));
  return `= ${inAllUnits(all)}${about ? `; ${about}` : ""}.`;
}

/**
 * A budget in all units.
 * @param {{pixel255: number, unit01: number, normalised: number}} budget
 * @returns {string}
 */
export function inAllUnits({ pixel255, unit01, normalised }) {
  return `${short(pixel255)} of 255 = ${short(unit01)} of 1 ≈ ${short(normalised)} normalised`;
}

function short(value) {
  return String(Number(value.toPrecision(4)));
}
