// Two pictures of the same scene, one over the other or side by side, with the outlines of masks.

import { comparisonBar, zoomBar } from "./controls.js";
import { element, svg } from "./dom.js";
import { View } from "./view.js";

const ZOOM_STEP = 1.5;
const DIVIDER_STEP = 2;
const PAN_STEP = 40;

/**
 * Compares pictures. Everything is fixed when it is made; throw it away with {@link Viewer#dispose}.
 *
 * Keys on the stage: left and right move the divider, Shift with the arrows moves the picture, `+`, `-` and `0` zoom.
 */
export class Viewer {
  /**
   * @param {{width: number, height: number}} size of the pictures in pixels
   * @param {{name: string, label: string, url: string}[]} pictures the first two are shown at first;
   *   the prediction `clean` belongs to `original`, and `adversarial` to `adversarial`
   * @param {{name: string, label: string, path: string, width: number, height: number}[]} masks
   */
  constructor(size, pictures, masks) {
    this.view = new View(size);
    this.pictures = pictures;
    this.divider = 50;
    this.panes = [0, 1].map((index) => pane(size, pictures[index], masks));
    this.handle = element("div", { className: "divider" });
    this.stage = element("div", { className: "stage", tabIndex: 0 }, ...this.panes.map((one) => one.root), this.handle);
    const { root: below, magnification } = zoomBar(this);
    this.magnification = magnification;
    const above = comparisonBar(this, pictures, masks);
    this.root = element("section", { className: "viewer", "aria-label": "Pictures" }, above, this.stage, below);
    this.setBeside(false);
    this.#listen();
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.stage);
  }

  /** Stops watching the size. */
  dispose() {
    this.observer.disconnect();
  }

  /**
   * Shows another picture.
   * @param {number} side 0 for the left one, 1 for the right one
   * @param {string} name
   */
  choose(side, name) {
    const picture = this.pictures.find((one) => one.name === name);
    const { root, image, caption } = this.panes[side];
    root.dataset.picture = name;
    image.src = picture.url;
    image.alt = picture.label;
    caption.textContent = picture.label;
  }

  /** @param {boolean} beside whether the pictures are side by side rather than one over the other */
  setBeside(beside) {
    const { stage } = this;
    this.beside = beside;
    stage.classList.toggle("beside", beside);
    stage.setAttribute("role", beside ? "group" : "slider");
    stage.setAttribute("aria-label", beside ? "Pictures side by side" : "Divider between the two pictures");
    this.#draw();
  }

  /**
   * Shows or hides the outline of a mask.
   * @param {string} name
   * @param {boolean} on
   */
  showMask(name, on) {
    for (const { root } of this.panes) root.querySelector(`.mask-${name}`).classList.toggle("off", !on);
  }

  /**
   * Changes how masks are drawn.
   * @param {"filled"|"everywhere"} name
   * @param {boolean} on
   */
  setStyle(name, on) {
    this.stage.classList.toggle(name, on);
  }

  /**
   * Enlarges both pictures.
   * @param {number} factor
   * @param {{x: number, y: number}} [at] the point that stays where it is, in CSS pixels of a pane
   */
  zoom(factor, at) {
    this.view.enlarge(factor, at);
    this.#draw();
  }

  /** Shows all of the pictures. */
  reset() {
    this.view.reset();
    this.#draw();
  }

  #setDivider(percent) {
    this.divider = Math.min(100, Math.max(0, percent));
    this.#draw();
  }

  #draw() {
    const box = this.stage.getBoundingClientRect();
    this.view.resize({ width: this.beside ? box.width / 2 : box.width, height: box.height });
    const { transform, showsPixels, scale } = this.view;
    for (const { content } of this.panes) {
      content.style.transform = transform;
      content.style.setProperty("--pixel", 1 / scale);
      content.classList.toggle("pixels", showsPixels);
    }
    this.panes[1].root.style.clipPath = this.beside ? "none" : `inset(0 0 0 ${this.divider}%)`;
    this.handle.style.left = `${this.beside ? 50 : this.divider}%`;
    this.magnification.textContent = `${Math.round(100 * scale)} %`;
    this.#describe();
  }

  /** The stage is a slider while there is a divider to move. */
  #describe() {
    const percent = Math.round(this.divider);
    const text = `${this.panes[0].caption.textContent} on the left ${percent} %`;
    const values = { "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent, "aria-valuetext": text };
    for (const [name, value] of Object.entries(values)) {
      if (this.beside) this.stage.removeAttribute(name);
      else this.stage.setAttribute(name, value);
    }
  }

  #listen() {
    const { stage } = this;
    stage.addEventListener("keydown", (event) => this.#key(event));
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY / 400), this.#place(event));
      },
      { passive: false },
    );
    stage.addEventListener("dblclick", (event) => this.zoom(2, this.#place(event)));
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      const box = stage.getBoundingClientRect();
      const distance = Math.abs(event.clientX - box.left - (box.width * this.divider) / 100);
      // At fit there is nothing to pan, so the whole picture moves the divider.
      this.drag = !this.beside && (distance < 16 || this.view.zoom === 1) ? "divider" : "picture";
      if (this.drag === "divider") this.#setDivider(this.#percent(event));
      stage.classList.add("dragged");
    });
    stage.addEventListener("pointermove", (event) => {
      if (this.drag === "divider") this.#setDivider(this.#percent(event));
      else if (this.drag === "picture") this.#move(event.movementX, event.movementY);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, () => {
        this.drag = null;
        stage.classList.remove("dragged");
      });
    }
  }

  #key(event) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
    if (ctrlKey || metaKey || altKey) return;
    const ways = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const acts = {
      "+": () => this.zoom(ZOOM_STEP),
      "=": () => this.zoom(ZOOM_STEP),
      "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.reset(),
    };
    if (!this.beside) {
      Object.assign(acts, { Home: () => this.#setDivider(0), End: () => this.#setDivider(100) });
      acts.PageUp = () => this.#setDivider(this.divider + 5 * DIVIDER_STEP);
      acts.PageDown = () => this.#setDivider(this.divider - 5 * DIVIDER_STEP);
    }
    if (ways[key]) {
      const [right, down] = ways[key];
      const pans = shiftKey || this.beside;
      acts[key] = pans
        ? () => this.#move(right * PAN_STEP, down * PAN_STEP)
        : () => this.#setDivider(this.divider - (right - down) * DIVIDER_STEP);
    }
    if (!acts[key]) return;
    event.preventDefault();
    acts[key]();
  }

  #move(right, down) {
    this.view.move(right, down);
    this.#draw();
  }

  #percent(event) {
    const box = this.stage.getBoundingClientRect();
    return (100 * (event.clientX - box.left)) / box.width;
  }

  #place(event) {
    const box = this.stage.getBoundingClientRect();
    const x = event.clientX - box.left;
    return { x: this.beside ? x % (box.width / 2) : x, y: event.clientY - box.top };
  }
}

/** A picture with all masks over it; stylesheets decide which are seen. */
function pane(size, picture, masks) {
  const image = element("img", {
    src: picture.url,
    alt: picture.label,
    draggable: false,
    width: size.width,
    height: size.height,
  });
  const layers = masks.map((mask) =>
    svg(
      "svg",
      {
        viewBox: `0 0 ${mask.width} ${mask.height}`,
        width: size.width,
        height: size.height,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
      },
      svg("path", { d: mask.path, class: `mask-line mask-${mask.name}` }),
    ),
  );
  const content = element("div", { className: "content" }, image, ...layers);
  const caption = element("span", { className: "pane-caption" }, picture.label);
  const root = element("div", { className: "pane" }, content, caption);
  root.dataset.picture = picture.name;
  return { root, content, image, caption };
}
