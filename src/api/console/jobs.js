// The list of jobs, newest first.

import { json, sentence } from "./api.js";
import { byId, element } from "./dom.js";
import { isFinal } from "./events.js";
import { ago, inShort } from "./words.js";

const PAGE = 20;
const BUSY_MS = 3000;
const IDLE_MS = 30_000;

/** Keeps the list in the side panel up to date while it is seen. */
export class JobList {
  constructor() {
    this.list = byId("job-list");
    this.state = byId("job-list-state");
    this.more = byId("more-jobs");
    this.items = new Map();
    this.current = null;
    this.pages = 1;
    byId("state-filter").addEventListener("change", () => {
      this.pages = 1;
      this.refresh();
    });
    byId("refresh-jobs").addEventListener("click", () => this.refresh());
    this.more.addEventListener("click", () => {
      this.pages += 1;
      this.refresh();
    });
  }

  /** @param {string|null} id of the job that is shown beside the list */
  mark(id) {
    this.current = id;
    for (const [name, item] of this.items) setCurrent(item, name === id);
  }

  /** Fetches the list again, as many pages of it as were asked for. */
  async refresh() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    if (!this.items.size) this.state.textContent = "Loading the jobs…";
    try {
      const { jobs, next } = await this.#fetch(signal);
      this.#show(jobs);
      this.more.hidden = next === null;
      this.#schedule(jobs.every((job) => isFinal(job.state)) ? IDLE_MS : BUSY_MS);
    } catch (error) {
      if (signal.aborted) return;
      this.state.textContent = sentence(error);
      this.#schedule(IDLE_MS);
    }
  }

  async #fetch(signal) {
    const jobs = [];
    let next = null;
    for (let page = 0; page < this.pages; page++) {
      const query = new URLSearchParams({ limit: PAGE });
      if (byId("state-filter").value) query.set("state", byId("state-filter").value);
      if (next) query.set("cursor", next);
      const answer = await json(`/attacks?${query}`, { signal });
      jobs.push(...answer.items);
      next = answer.next_cursor;
      if (next === null) break;
    }
    return { jobs, next };
  }

  #schedule(wait) {
    this.timer = setTimeout(
      () => (document.hidden || byId("panel-jobs").hidden ? this.#schedule(wait) : this.refresh()),
      wait,
    );
  }

  /** Changes the items in place, so that the focus stays where it is. */
  #show(jobs) {
    const filtered = byId("state-filter").value !== "";
    this.state.textContent = jobs.length
      ? ""
      : filtered
        ? "No job is in this state."
        : "No job yet. The first attack will show up here.";
    const wanted = new Set(jobs.map((job) => job.id));
    for (const [id, item] of this.items) {
      if (wanted.has(id)) continue;
      item.remove();
      this.items.delete(id);
    }
    jobs.forEach((job, index) => {
      if (!this.items.has(job.id))
        this.items.set(job.id, element("li", {}, element("a", { href: `#/attacks/${job.id}` })));
      const item = this.items.get(job.id);
      item.firstChild.replaceChildren(...summary(job));
      setCurrent(item, job.id === this.current);
      if (this.list.children[index] !== item) this.list.insertBefore(item, this.list.children[index] ?? null);
    });
  }
}

function setCurrent(item, on) {
  if (on) item.firstChild.setAttribute("aria-current", "page");
  else item.firstChild.removeAttribute("aria-current");
}

function summary(job) {
  const { scores, state, progress } = job;
  const dsc = scores
    ? `DSC ${scores.clean_dsc.toFixed(2)} → ${scores.adversarial_dsc.toFixed(2)}`
    : state === "running" && progress.steps
      ? `${progress.step} of ${progress.steps}`
      : "";
  return [
    element(
      "span",
      { className: "job-line" },
      element("b", {}, job.spec.prompt),
      element("span", { className: `chip ${state}` }, state),
    ),
    element("span", { className: "job-line muted" }, element("span", {}, inShort(job.spec)), element("span", {}, dsc)),
    element(
      "span",
      { className: "job-line muted" },
      element("time", { dateTime: job.created_at }, ago(job.created_at)),
      element("span", {}, job.rerun_of ? "rerun" : ""),
    ),
  ];
}
