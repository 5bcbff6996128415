// Puts the parts together: which job is shown, which tab is open, what to do when the service is away.

import { connection, hasKey, json, knock, sentence, setKey } from "./api.js";
import { byId, element } from "./dom.js";
import { loadForm, startForm } from "./form.js";
import { JobPage } from "./job.js";
import { JobList } from "./jobs.js";

const KNOCK_MS = 3000;

const page = byId("page");
const jobs = new JobList();
/** The names of the files of the jobs submitted from this page, for commands to copy. */
const fileNames = new Map();
let shown = null;

function route() {
  const [, id] = /^#\/attacks\/([\w-]+)$/.exec(location.hash) ?? [];
  shown?.close();
  shown = null;
  jobs.mark(id ?? null);
  if (!id) {
    welcome();
    return;
  }
  shown = new JobPage(page, id, {
    changed: () => jobs.refresh(),
    gone: () => {
      location.hash = "#/";
      jobs.refresh();
    },
    names: fileNames.get(id) ?? {},
  });
  shown.open();
}

function welcome() {
  document.title = "Segprobe";
  const steps = [
    ["Choose a picture", "a sample, or an image of your own with its reference mask."],
    ["Say what to segment", "the prompt names the structure; the budget says how far the image may change."],
    ["Press Attack", "the picture is changed until the model fails or the budget is used up."],
  ];
  page.replaceChildren(
    element(
      "div",
      { className: "empty welcome" },
      element("h1", {}, "How easily does the model break?"),
      element("ol", {}, ...steps.map(([title, text]) => element("li", {}, element("b", {}, title), `: ${text}`))),
      element(
        "p",
        { className: "muted" },
        "You get the adversarial image, the masks before and after, all scores, and files to keep. ",
        "An attack that fails is no proof that the model is safe.",
      ),
    ),
  );
}

async function start() {
  const box = byId("form-error");
  try {
    await loadForm();
    box.hidden = true;
  } catch (error) {
    box.textContent = sentence(error);
    box.hidden = error.status === 401;
  }
  jobs.refresh();
  route();
  json("/version").then(
    ({ version }) => (byId("version").textContent = `Version ${version}`),
    () => {},
  );
}

function startTabs() {
  const tabs = [byId("tab-new"), byId("tab-jobs")];
  const open = (tab) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", one === tab);
      one.tabIndex = one === tab ? 0 : -1;
      byId(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
    if (tab === byId("tab-jobs")) jobs.refresh();
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const other = tabs.find((one) => one !== tab);
      open(other);
      other.focus();
    });
  }
}

function startKeys() {
  const form = byId("key-form");
  const input = byId("key");
  const forget = byId("forget-key");
  const show = () => (forget.hidden = !hasKey());
  connection.addEventListener("key-needed", () => {
    byId("key-error").textContent = hasKey() ? "The service does not accept this key." : "";
    if (!form.hidden) return;
    form.hidden = false;
    input.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value.trim());
    input.value = "";
    form.hidden = true;
    show();
    start();
  });
  forget.addEventListener("click", () => {
    setKey(null);
    show();
    start();
  });
  show();
}

function startConnection() {
  let knocking = null;
  connection.addEventListener("lost", () => {
    byId("offline").hidden = false;
    knocking = setInterval(knock, KNOCK_MS);
  });
  connection.addEventListener("found", () => {
    byId("offline").hidden = true;
    clearInterval(knocking);
    if (!byId("method").options.length) start();
    else jobs.refresh();
  });
  byId("retry").addEventListener("click", knock);
}

addEventListener("hashchange", route);
startTabs();
startKeys();
startConnection();
startForm((job, names) => {
  fileNames.set(job.id, names);
  location.hash = `#/attacks/${job.id}`;
  jobs.refresh();
});
start();
