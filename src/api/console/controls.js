// The bars above and below the compared pictures: what is shown, how, and how large.

import { element, svg } from "./dom.js";

const ZOOM_STEP = 1.5;

/**
 * Which pictures, side by side or not, and which masks.
 * @param {import("./viewer.js").Viewer} viewer
 * @param {{name: string, label: string}[]} pictures
 * @param {{name: string, label: string}[]} masks
 * @returns {HTMLElement}
 */
export function comparisonBar(viewer, pictures, masks) {
  const legend = element("span", { className: "legend" }, ...masks.map((mask) => maskToggle(viewer, mask)));
  legend.append(
    toggle(["fill"], "Fill the masks", (on) => viewer.setStyle("filled", on)),
    toggle(["on both"], "Show both predictions on both pictures, not each on its own", (on) =>
      viewer.setStyle("everywhere", on),
    ),
  );
  const which = element("span", { className: "compared" }, pictureChoice(viewer, pictures, 0), "|");
  which.append(pictureChoice(viewer, pictures, 1));
  return element("div", { className: "toolbar" }, which, modeChoice(viewer), legend);
}

/**
 * The keys, and the magnification.
 * @param {import("./viewer.js").Viewer} viewer
 * @returns {{root: HTMLElement, magnification: HTMLElement}}
 */
export function zoomBar(viewer) {
  const magnification = element("output", { className: "zoom-label", "aria-label": "Magnification" });
  const button = (text, title, onclick) => {
    return element("button", { type: "button", "aria-label": title, title, onclick }, text);
  };
  const zoom = element("span", { className: "zoom" });
  zoom.append(
    button("−", "Zoom out", () => viewer.zoom(1 / ZOOM_STEP)),
    magnification,
    button("+", "Zoom in", () => viewer.zoom(ZOOM_STEP)),
    button("Fit", "Show all", () => viewer.reset()),
  );
  const keys = element("p", { className: "hint" });
  const key = (name) => element("kbd", {}, name);
  keys.append(key("←"), " ", key("→"), " divide; ", key("Shift"), ": move; wheel, ");
  keys.append(key("+"), " ", key("−"), " ", key("0"), ": zoom");
  return { root: element("div", { className: "toolbar under" }, keys, zoom), magnification };
}

function pictureChoice(viewer, pictures, side) {
  const options = pictures.map(({ name, label }, at) =>
    element("option", { value: name, selected: at === side }, label),
  );
  const onchange = (event) => viewer.choose(side, event.target.value);
  return element("select", { "aria-label": side ? "Right picture" : "Left picture", onchange }, ...options);
}

function modeChoice(viewer) {
  const modes = [
    ["Slider", false],
    ["Side by side", true],
  ];
  const buttons = modes.map(([text, beside]) => {
    const onclick = (event) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", button === event.target));
      viewer.setBeside(beside);
    };
    return element("button", { type: "button", "aria-pressed": !beside, onclick }, text);
  });
  return element("span", { className: "segments", role: "group", "aria-label": "View" }, ...buttons);
}

function maskToggle(viewer, { name, label }) {
  const line = svg("path", { d: "M0 5H18", class: `mask-line mask-${name}` });
  const swatch = svg("svg", { viewBox: "0 0 18 10", class: "swatch", "aria-hidden": "true" }, line);
  const title = name === "reference" ? "The reference mask" : `What the model says about the ${label} image`;
  const made = toggle([swatch, label], title, (on) => viewer.showMask(name, on));
  made.firstChild.checked = true;
  return made;
}

function toggle(words, title, set) {
  const input = element("input", { type: "checkbox", onchange: (event) => set(event.target.checked) });
  return element("label", { className: "toggle", title }, input, ...words);
}
