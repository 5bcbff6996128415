// Form fields from a JSON Schema: an attack that the service learns shows up here without a change.

import { UNITS } from "./budget.js";
import { element } from "./dom.js";
import { field } from "./fields.js";

const POINTER = "/spec/attack";

/**
 * The fields of a method's parameters.
 * @param {{parameters: object, defaults: Object<string, unknown>}} method as `GET /attack-methods` has it
 * @returns {{elements: HTMLElement[], read: () => {values: Object<string, unknown>, errors: object[]}}}
 *   `read` answers the parameters that differ from their defaults; what is left out is the protocol's choice
 */
export function parameterFields(method) {
  const root = method.parameters;
  const parts = Object.entries(root.properties ?? {})
    .filter(([name]) => name !== "method")
    .map(([name, schema]) => ({
      name,
      initial: method.defaults?.[name] ?? null,
      ...control(resolve(schema, root), root),
    }));

  for (const part of parts) {
    part.write(part.initial);
    const hint = part.schema.description ?? "";
    const label = part.name.replaceAll("_", " ");
    part.element = field(`${POINTER}/${part.name}`, label, part.input, hint);
    part.element.classList.toggle("check", part.input.type === "checkbox");
  }
  return { elements: parts.map((part) => part.element), read: () => read(parts) };
}

function read(parts) {
  const values = {};
  const errors = [];
  for (const { name, initial, value } of parts) {
    try {
      const now = value();
      if (JSON.stringify(now) !== JSON.stringify(initial)) values[name] = now;
    } catch (error) {
      errors.push({ pointer: `${POINTER}/${name}`, detail: error.message });
    }
  }
  return { values, errors };
}

/** Follows `$ref` and looks through "this or null". */
function resolve(schema, root) {
  const description = schema.description;
  let found = schema;
  if (found.$ref) found = at(root, found.$ref);
  const choices = found.oneOf ?? found.anyOf;
  const some = choices?.filter((choice) => choice.type !== "null");
  if (choices?.length > some?.length && some.length === 1) {
    found = { ...resolve(some[0], root), optional: true };
  } else if (some?.length && some.every((choice) => "const" in choice || choice.enum)) {
    found = { ...found, enum: some.flatMap((choice) => choice.enum ?? [choice.const]) };
  }
  if (Array.isArray(found.type)) {
    const [type] = found.type.filter((name) => name !== "null");
    found = { ...found, type, optional: found.type.includes("null") };
  }
  return { ...found, description: description ?? found.description };
}

function at(root, pointer) {
  const keys = pointer.split("/").slice(1);
  return keys.reduce((node, key) => node?.[key], root) ?? {};
}

/** The input for a schema, and how to write and read its value; `value` throws with a sentence for people. */
function control(schema, root) {
  if (schema.type === "boolean") return checkbox(schema);
  if (schema.enum) return choice(schema);
  if (schema.type === "integer" || schema.type === "number") return number(schema);
  if (schema.type === "string") return text(schema);
  const keys = Object.keys(schema.properties ?? {});
  if (keys.length === 2 && keys.includes("value") && keys.includes("unit")) return epsilon(schema, root);
  return anything(schema);
}

function checkbox(schema) {
  const input = element("input", { type: "checkbox" });
  return { schema, input, write: (on) => (input.checked = on === true), value: () => input.checked };
}

function choice(schema, labels = {}) {
  const none = schema.optional ? [element("option", { value: "" }, "auto")] : [];
  const input = element(
    "select",
    {},
    ...none,
    ...schema.enum.map((name) => element("option", { value: name }, labels[name] ?? name)),
  );
  return { schema, input, write: (name) => (input.value = name ?? ""), value: () => input.value || null };
}

function number(schema) {
  const whole = schema.type === "integer";
  const placeholder = schema.optional ? "auto" : "";
  const input = element("input", {
    type: "number",
    step: whole ? 1 : "any",
    min: schema.minimum,
    max: schema.maximum,
    placeholder,
  });
  const value = () => {
    if (input.validity.badInput) throw new Error("give a number");
    if (input.value !== "") return Number(input.value);
    if (schema.optional) return null;
    throw new Error("give a number");
  };
  return { schema, input, write: (now) => (input.value = now ?? ""), value };
}

function text(schema) {
  const input = element("input", { type: "text", autocomplete: "off" });
  return {
    schema,
    input,
    write: (now) => (input.value = now ?? ""),
    value: () => input.value || (schema.optional ? null : ""),
  };
}

function epsilon(schema, root) {
  const length = number({ ...resolve(schema.properties.value, root), optional: schema.optional });
  const unit = choice(resolve(schema.properties.unit, root), UNITS);
  unit.input.setAttribute("aria-label", "Unit");
  const value = () => {
    const now = length.value();
    return now === null ? null : { value: now, unit: unit.value() };
  };
  const write = (now) => {
    length.write(now?.value);
    if (now) unit.write(now.unit);
  };
  return { schema, input: element("div", { className: "joined" }, length.input, unit.input), write, value };
}

/** What has no field of its own is written as JSON. */
function anything(schema) {
  const input = element("textarea", { rows: 2, spellcheck: false });
  const value = () => {
    if (input.value.trim() === "") return null;
    try {
      return JSON.parse(input.value);
    } catch {
      throw new Error("this is not JSON");
    }
  };
  return { schema, input, write: (now) => (input.value = now === null ? "" : JSON.stringify(now)), value };
}
