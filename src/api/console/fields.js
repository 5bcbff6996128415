// Fields know the part of the request they stand for by a JSON pointer; this puts messages beside them.

import { element } from "./dom.js";

let count = 0;

/**
 * Makes a labelled field.
 * @param {string} pointer the part of the request it stands for
 * @param {string} label
 * @param {HTMLElement} control gets the label; it may be a group that holds the control
 * @param {string} [hint] shown when the pointer rests on it
 * @returns {HTMLElement}
 */
export function field(pointer, label, control, hint) {
  const target = control.matches("input, select, textarea") ? control : control.querySelector("input, select");
  target.id ||= `field-${++count}`;
  const made = element(
    "div",
    { className: "field" },
    element("label", { htmlFor: target.id, title: hint }, label),
    control,
  );
  made.dataset.pointer = pointer;
  return made;
}

/**
 * Takes all messages away.
 * @param {HTMLElement} form
 */
export function clearErrors(form) {
  for (const message of form.querySelectorAll(".field-error")) message.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-errormessage");
  }
}

/**
 * Puts messages at their fields and the focus on the first of them.
 * @param {HTMLElement} form
 * @param {{pointer?: string, detail: string}[]} errors
 * @returns {string[]} the messages that no field of the form is to blame for
 */
export function showErrors(form, errors) {
  const homeless = [];
  let first = null;
  for (const error of errors) {
    const home = error.pointer && nearest(form, error.pointer);
    if (!home) {
      homeless.push(error.pointer ? `${error.pointer}: ${error.detail}` : error.detail);
      continue;
    }
    const control = home.querySelector("input, select, textarea");
    const id = `error-${++count}`;
    home.append(element("p", { className: "field-error", id }, error.detail));
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-errormessage", id);
    const folded = home.closest("details");
    if (folded) folded.open = true;
    if (!first || first.compareDocumentPosition(control) & Node.DOCUMENT_POSITION_PRECEDING) first = control;
  }
  first?.focus();
  return homeless;
}

/** The field of the pointer, or of the longest beginning of it: `/a/b/c`, `/a/b`, `/a`. */
function nearest(form, pointer) {
  const fields = new Map([...form.querySelectorAll("[data-pointer]")].map((home) => [home.dataset.pointer, home]));
  for (let rest = pointer; rest; rest = rest.slice(0, rest.lastIndexOf("/"))) {
    if (fields.has(rest)) return fields.get(rest);
  }
  return null;
}
