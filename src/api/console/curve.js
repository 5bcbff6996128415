// The DSC of every step as a line.

import { svg } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 170;
const LEFT = 34;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 26;

/** A diagram of DSC over steps that grows while an attack runs. */
export class Curve {
  /** @param {HTMLElement} root gets the diagram, and a line of text that reads it out */
  constructor(root) {
    this.points = [];
    this.steps = 1;
    this.line = svg("path", { class: "curve-line" });
    this.lowest = svg("path", { class: "curve-lowest" });
    this.criterion = svg("path", { class: "curve-criterion" });
    this.criterionLabel = svg("text", { class: "curve-text curve-criterion-text", "text-anchor": "end" });
    this.marks = svg("g", { class: "curve-text", "text-anchor": "middle" });
    this.cursor = svg("circle", { class: "curve-cursor", r: 4, visibility: "hidden" });
    this.title = svg("title", {}, "DSC per step");
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img" },
      this.title,
      frame(),
      this.marks,
      this.criterion,
      this.criterionLabel,
      this.lowest,
      this.line,
      this.cursor,
    );
    this.readout = document.createElement("p");
    this.readout.className = "hint readout";
    picture.addEventListener("pointermove", (event) => this.#point(event, picture));
    picture.addEventListener("pointerleave", () => this.#rest());
    root.replaceChildren(picture, this.readout);
    this.#draw();
  }

  /**
   * Draws a level that the DSC has to fall below.
   * @param {number} dsc
   */
  setCriterion(dsc) {
    this.criterion.setAttribute("d", `M${LEFT} ${down(dsc)}H${WIDTH - RIGHT}`);
    this.criterionLabel.textContent = `criterion: below ${dsc}`;
    this.criterionLabel.setAttribute("x", WIDTH - RIGHT - 4);
    this.criterionLabel.setAttribute("y", down(dsc) - 4);
  }

  /**
   * Adds a point; one that is there already is left alone.
   * @param {{step: number, steps: number, dsc: number|null}} progress steps are counted from 1
   */
  add({ step, steps, dsc }) {
    if (steps) this.steps = steps;
    if (dsc === null || dsc === undefined || step <= (this.points.at(-1)?.step ?? 0)) return;
    this.points.push({ step, dsc });
    this.#draw();
  }

  /**
   * Shows other points instead.
   * @param {number[]} values the DSC of each point in turn
   */
  set(values) {
    this.points = values.map((dsc, index) => ({ step: index + 1, dsc }));
    this.steps = Math.max(1, values.length);
    this.#draw();
  }

  #across(step) {
    return LEFT + ((WIDTH - LEFT - RIGHT) * (step - 1)) / Math.max(1, this.steps - 1);
  }

  #draw() {
    const at = ({ step, dsc }) => `${this.#across(step).toFixed(1)} ${down(dsc).toFixed(1)}`;
    let lowest = Infinity;
    const best = this.points.map(({ step, dsc }) => ({ step, dsc: (lowest = Math.min(lowest, dsc)) }));
    const path = (points) => (points.length ? `M${points.map(at).join("L")}` : "");
    this.line.setAttribute("d", path(this.points));
    this.lowest.setAttribute("d", path(best));
    this.marks.replaceChildren(
      ...marks(this.steps).map((step) => svg("text", { x: this.#across(step), y: HEIGHT - BOTTOM + 13 }, step)),
    );
    this.#rest();
  }

  #rest() {
    this.cursor.setAttribute("visibility", "hidden");
    const last = this.points.at(-1);
    const lowest = this.points.reduce((least, point) => (least && least.dsc <= point.dsc ? least : point), null);
    this.readout.textContent = last ? this.#inWords(last, lowest) : "No point yet.";
    this.title.textContent = `DSC per step. ${this.readout.textContent}`;
  }

  #inWords(last, lowest) {
    const score = ({ dsc }) => dsc.toFixed(3);
    const now = `DSC ${score(this.points[0])} at the start, ${score(last)} at point ${last.step} of ${this.steps}`;
    return `${now}; lowest ${score(lowest)} at point ${lowest.step}.`;
  }

  #point(event, picture) {
    if (!this.points.length) return;
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const step = 1 + ((x - LEFT) / (WIDTH - LEFT - RIGHT)) * (this.steps - 1);
    const near = this.points.reduce((a, b) => (Math.abs(b.step - step) < Math.abs(a.step - step) ? b : a));
    this.cursor.setAttribute("cx", this.#across(near.step));
    this.cursor.setAttribute("cy", down(near.dsc));
    this.cursor.setAttribute("visibility", "visible");
    this.readout.textContent = `Point ${near.step} of ${this.steps}: DSC ${near.dsc.toFixed(3)}.`;
  }
}

function down(dsc) {
  return TOP + (HEIGHT - TOP - BOTTOM) * (1 - dsc);
}

/** The points that get a number below the axis: at most ten, round ones after the first. */
function marks(steps) {
  if (steps < 5) return [...new Set([1, steps])];
  const every = 5 * Math.ceil(steps / 45);
  return [1, ...Array.from({ length: Math.floor(steps / every) }, (_, index) => (index + 1) * every)];
}

/** Grid lines, their labels and the names of the axes. */
function frame() {
  const levels = [0, 0.25, 0.5, 0.75, 1];
  return svg(
    "g",
    { class: "curve-text" },
    ...levels.map((dsc) => svg("path", { class: "curve-grid", d: `M${LEFT} ${down(dsc)}H${WIDTH - RIGHT}` })),
    ...levels
      .filter((dsc) => (dsc * 2) % 1 === 0)
      .map((dsc) => svg("text", { x: LEFT - 6, y: down(dsc) + 4, "text-anchor": "end" }, dsc)),
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 3, "text-anchor": "end" }, "point"),
    svg("text", { x: 0, y: down(0.75) + 4 }, "DSC"),
  );
}
