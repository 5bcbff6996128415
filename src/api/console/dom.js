// Building elements without markup in strings: data always becomes text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an HTML element. Properties that the element has are set as such, all others as attributes;
 * `onclick` and its like are listeners; a property of `null` or `undefined` is left out.
 * @param {string} tag
 * @param {Object<string, unknown>} [properties]
 * @param {...(Node|string|number|null|undefined)} children `null` and `undefined` are skipped
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map(asNode));
  return made;
}

/**
 * Makes an SVG element.
 * @param {string} tag
 * @param {Object<string, string|number>} [attributes]
 * @param {...(Node|string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map(asNode));
  return made;
}

/**
 * The element with this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Tells screen readers something that sighted people see anyway.
 * @param {string} text
 */
export function announce(text) {
  byId("announcer").textContent = text;
}

/**
 * Asks a yes-or-no question.
 * @param {string} question
 * @param {string} yes the label of the button that agrees
 * @returns {Promise<boolean>}
 */
export function confirm(question, yes) {
  const dialog = byId("dialog");
  const answer = (value) => () => dialog.close(value);
  dialog.replaceChildren(
    element("p", {}, question),
    element(
      "div",
      { className: "actions" },
      element("button", { type: "button", className: "danger", onclick: answer("yes") }, yes),
      element("button", { type: "button", autofocus: true, onclick: answer("no") }, "Keep it"),
    ),
  );
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/**
 * Shows a text to copy by hand, where the browser does not let a page use the clipboard.
 * @param {string} text
 */
export function showText(text) {
  const dialog = byId("dialog");
  const area = element("textarea", { readOnly: true, value: text, rows: 8, "aria-label": "Text to copy" });
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(area, element("div", { className: "actions" }, close));
  dialog.showModal();
  area.select();
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}
