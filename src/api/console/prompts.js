// How much the text matters to the model.

import { element } from "./dom.js";

/**
 * One line for every family of edits, and the two numbers over them.
 * @param {object | undefined} sensitivity `prompt_sensitivity` of a result
 * @returns {HTMLElement | null}
 */
export function promptTable(sensitivity) {
  if (!sensitivity) return null;
  const head = ["Edit", "Prompts", "Lowest DSC", "Same mask, mean", "lowest", "Farthest prompt"];
  const rows = sensitivity.families.map((family) => {
    const name = family.family.replaceAll("_", " ");
    const cells = [
      family.prompts,
      family.lowest_dsc.toFixed(3),
      family.mean_consistency.toFixed(3),
      family.lowest_consistency.toFixed(3),
      family.farthest_prompt || "(empty)",
    ];
    const title = family.keeps_meaning ? "asks for the same: the mask should stay" : "asks for something else";
    const label = element("abbr", { title }, family.keeps_meaning ? name : `${name} *`);
    return element("tr", {}, element("th", { scope: "row" }, label), ...cells.map((cell) => element("td", {}, cell)));
  });
  const { fragility, use_of_text: use } = sensitivity;
  const number = (value) => (value === null ? "none" : value.toFixed(3));
  return element(
    "details",
    { className: "files" },
    element("summary", {}, `Prompts: fragility ${number(fragility)}, use of the text ${number(use)}`),
    element(
      "table",
      { className: "scores" },
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows),
    ),
    element("p", { className: "hint" }, "* asks for something else: the mask should change."),
  );
}
