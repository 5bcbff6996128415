// The form of a new attack: from the service's lists to a request, and from its refusal to the fields.

import { Offline, json, send, sentence } from "./api.js";
import { NORMS, equivalents } from "./budget.js";
import { byId, element } from "./dom.js";
import { clearErrors, showErrors } from "./fields.js";
import { FilePlace, sampleChoices } from "./files.js";
import { readGoal, startGoal } from "./goal.js";
import { parameterFields } from "./schema.js";
import { methodTitle } from "./words.js";

const form = byId("panel-new");
const places = Object.fromEntries(
  [...form.querySelectorAll("[data-file]")].map((root) => [root.dataset.file, new FilePlace(root)]),
);

let models = [];
let methods = [];
let parameters = { elements: [], read: () => ({ values: {}, errors: [] }) };
let sampleRequest = new AbortController();

/**
 * Makes the form work.
 * @param {(job: object, names: Object<string, string>) => void} submitted is told the new job and its files' names
 */
export function startForm(submitted) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(submitted);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey && !form.hidden && !byId("dialog").open) form.requestSubmit();
  });
  form.addEventListener("chosen", (event) => {
    const own = event.target.dataset.file;
    if (own !== "image") return;
    // Another image: the sample's mask would not fit it.
    const sample = form.querySelector("[name=sample]:checked");
    if (sample) {
      sample.checked = false;
      places.mask.set(null);
    }
    sampleRequest.abort();
  });
  startGoal();
  byId("method").addEventListener("change", showMethod);
  byId("model").addEventListener("change", showPhrasings);
  for (const id of ["epsilon", "unit", "norm"]) byId(id).addEventListener("input", showEquivalents);
}

/**
 * Fills the form with what the service offers.
 * @returns {Promise<void>}
 */
export async function loadForm() {
  const [samples, offeredModels, offeredMethods] = await Promise.all(
    ["/samples", "/models", "/attack-methods"].map((path) => json(path)),
  );
  models = offeredModels.items;
  methods = offeredMethods.items;
  const options = (select, items) => byId(select).replaceChildren(...items);
  options(
    "model",
    models.map((model) =>
      element("option", { value: model.id, selected: model.default, disabled: model.ready === false }, model.id),
    ),
  );
  byId("transfer").size = Math.min(models.length, 4);
  byId("transfer-field").hidden = models.length < 2;
  options(
    "transfer",
    models.map((model) => element("option", { value: model.id }, model.id)),
  );
  options(
    "method",
    methods.map((method) =>
      element("option", { value: method.method, selected: method.method === "pgd" }, methodTitle(method.method)),
    ),
  );
  byId("samples").replaceChildren(...sampleChoices(samples.items, chooseSample));
  showPhrasings();
  showMethod();
  form.setAttribute("aria-busy", "false");
}

async function chooseSample(sample) {
  sampleRequest.abort();
  sampleRequest = new AbortController();
  const { signal } = sampleRequest;
  const fetchFile = async (path, name) => {
    const file = await (await send(path, { signal })).blob();
    return new File([file], name, { type: file.type });
  };
  byId("prompt").value = sample.prompt;
  clearErrors(form);
  try {
    const [image, mask] = await Promise.all([
      fetchFile(sample.image, `${sample.name}.png`),
      fetchFile(sample.mask, `${sample.name}-mask.png`),
    ]);
    places.image.set(image, "sample");
    places.mask.set(mask, "exact");
  } catch (error) {
    if (!signal.aborted) showProblem(error);
  }
}

function showPhrasings() {
  const model = models.find((one) => one.id === byId("model").value);
  const phrasings = (model?.structures ?? []).flatMap((structure) => structure.phrasings);
  byId("phrasings").replaceChildren(...phrasings.map((value) => element("option", { value })));
}

function showMethod() {
  const method = methods.find((one) => one.method === byId("method").value);
  if (!method) return;
  parameters = parameterFields(method);
  byId("parameters").replaceChildren(...parameters.elements);
  const { title, paper, threat_model: threat } = method;
  const link = element(
    "a",
    { href: `https://arxiv.org/abs/${paper.arxiv}`, rel: "noreferrer", target: "_blank", title: paper.title },
    `arXiv ${paper.arxiv}`,
  );
  byId("method-about").replaceChildren(`${title}, ${threat}, `, link);
  const norm = byId("norm").value;
  const labels = method.norms.map((name) =>
    element("option", { value: name, selected: name === norm }, NORMS[name]?.label ?? name),
  );
  byId("norm").replaceChildren(...labels);
  byId("budget").hidden = labels.length === 0;
  places.perturbation.root.hidden = !method.needs.includes("perturbation");
  showEquivalents();
}

function showEquivalents() {
  const epsilon = byId("epsilon");
  const value = epsilon.value === "" ? NaN : Number(epsilon.value);
  byId("equivalents").textContent = equivalents(value, byId("unit").value, byId("norm").value);
}

/** The request as the form stands, or what is missing. */
function read() {
  const chosen = (id) => byId(id).value;
  const { values, errors } = parameters.read();
  const missing = (pointer, detail) => errors.push({ pointer, detail });
  const bounded = !byId("budget").hidden;
  const epsilon = { value: Number(chosen("epsilon")), unit: chosen("unit") };
  const others = [...byId("transfer").selectedOptions].map((option) => option.value);
  const spec = {
    prompt: chosen("prompt").trim(),
    attack: { method: chosen("method"), ...values },
    ...(bounded && { budget: { norm: chosen("norm"), epsilon } }),
    goal: readGoal(missing),
    protocol: chosen("protocol"),
    seed: Number(chosen("seed")),
    ...(chosen("model") && { model: chosen("model") }),
    ...(others.length && { transfer_to: others }),
    ...(chosen("loss") && { loss: chosen("loss") }),
    ...(chosen("defence") && { defence: { kind: chosen("defence") } }),
  };
  if (!places.image.file) missing("/image", "choose a sample or an image of your own");
  const { root, file } = places.perturbation;
  if (!root.hidden && !file) missing("/perturbation", "choose a file that segprobe universal has written");
  if (!spec.prompt) missing("/spec/prompt", "name the structure, for example lungs");
  if (bounded && chosen("epsilon") === "") missing("/spec/budget/epsilon", "give a number");
  if (chosen("seed") === "") missing("/spec/seed", "give a whole number");
  return { spec, errors };
}

async function submit(submitted) {
  const button = byId("attack");
  if (button.disabled) return;
  clearErrors(form);
  byId("form-error").hidden = true;
  const { spec, errors } = read();
  if (errors.length) {
    showErrors(form, errors);
    return;
  }
  const body = new FormData();
  const names = {};
  for (const [name, { file, root }] of Object.entries(places)) {
    if (!file || root.hidden) continue;
    body.append(name, file);
    names[name] = file.name;
  }
  body.append("spec", JSON.stringify(spec));
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    submitted(await post(body), names);
  } catch (error) {
    showProblem(error);
  } finally {
    button.disabled = false;
    button.textContent = "Attack";
  }
}

/** Submits once, and once more if the answer got lost: the key makes both the same job. */
async function post(body) {
  const headers = {
    "Idempotency-Key": [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16)).join("-"),
  };
  const attempt = () => json("/attacks", { method: "POST", body, headers });
  return attempt().catch((error) => {
    if (error instanceof Offline) return attempt();
    throw error;
  });
}

function showProblem(error) {
  const homeless = error.errors?.length ? showErrors(form, error.errors) : [sentence(error)];
  if (!homeless.length) return;
  const box = byId("form-error");
  box.textContent = homeless.join(" ");
  box.hidden = false;
  box.focus();
}
