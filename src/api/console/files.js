// Pictures that are chosen, dropped or taken from a sample, each with a preview.

import { element } from "./dom.js";

/** A place for one file. It says `chosen` on its element when a person picks or removes a file. */
export class FilePlace {
  /** @param {HTMLElement} root has the name in `data-file`, and `data-label` and `data-hint` */
  constructor(root) {
    const { file: name, label, hint } = root.dataset;
    this.root = root;
    this.hint = hint;
    this.file = null;
    this.input = element("input", { type: "file", id: `file-${name}`, className: "hidden-visually" });
    this.preview = element("img", { alt: "", width: 44, height: 44, hidden: true });
    this.title = element("span", { className: "file-name" });
    this.note = element("span", { className: "muted" });
    this.remove = element(
      "button",
      { type: "button", className: "quiet remove", hidden: true, onclick: () => this.#pick(null) },
      "×",
    );
    this.remove.setAttribute("aria-label", `Remove the ${label.toLowerCase()}`);
    const words = element("span", { className: "file-words" }, element("b", {}, label), this.title, this.note);
    const drop = element("label", { htmlFor: this.input.id, className: "drop" }, this.preview, words);
    root.append(this.input, drop, this.remove);
    this.#listen(drop);
    this.set(null);
  }

  /**
   * Puts a file here without telling anybody.
   * @param {File|null} file
   * @param {string} [note] shown instead of the size
   */
  set(file, note) {
    this.file = file;
    this.input.value = "";
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.preview.removeAttribute("src");
    this.preview.hidden = true;
    this.remove.hidden = file === null;
    this.root.classList.toggle("filled", file !== null);
    this.title.title = file?.name ?? "";
    this.title.textContent = file ? file.name : "choose or drop";
    this.note.textContent = note ?? (file ? size(file.size) : this.hint);
    if (file) this.#show(file);
  }

  #show(file) {
    const url = URL.createObjectURL(file);
    this.preview.onload = () => (this.preview.hidden = false);
    // Browsers show neither DICOM nor TIFF; the service reads them all the same.
    this.preview.onerror = () => (this.note.textContent = `${size(file.size)}, no preview`);
    this.preview.src = url;
  }

  #pick(file) {
    this.set(file);
    this.root.dispatchEvent(new CustomEvent("chosen", { bubbles: true, detail: file }));
  }

  #listen(drop) {
    this.input.addEventListener("change", () => this.input.files[0] && this.#pick(this.input.files[0]));
    const over = (on) => (event) => {
      event.preventDefault();
      drop.classList.toggle("over", on);
    };
    drop.addEventListener("dragover", over(true));
    drop.addEventListener("dragleave", over(false));
    drop.addEventListener("drop", (event) => {
      over(false)(event);
      if (event.dataTransfer.files[0]) this.#pick(event.dataTransfer.files[0]);
    });
  }
}

/**
 * The samples as a row of pictures to choose from.
 * @param {{name: string, image: string}[]} samples as `GET /samples` has them
 * @param {(sample: object) => void} choose
 * @returns {HTMLElement[]}
 */
export function sampleChoices(samples, choose) {
  return samples.map((sample) => {
    const input = element("input", {
      type: "radio",
      name: "sample",
      value: sample.name,
      className: "hidden-visually",
      onchange: () => choose(sample),
    });
    const name = sample.name.replaceAll("-", " ");
    const picture = element("img", { src: sample.image, alt: "", width: 76, height: 58 });
    return element("label", { className: "sample" }, input, picture, element("span", {}, name));
  });
}

/**
 * A number of bytes for people.
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
