// The page of one job: follows it while it runs, then shows what came of it.

import { Problem, downloadable, hasKey, json, send, sentence } from "./api.js";
import { curl } from "./curl.js";
import { Curve } from "./curve.js";
import { announce, confirm, element, showText } from "./dom.js";
import { follow, isFinal } from "./events.js";
import { loadPictures } from "./pictures.js";
import { ProgressPanel } from "./progress.js";
import { findings, verdict } from "./result.js";
import { Viewer } from "./viewer.js";
import { inShort, shortId } from "./words.js";

const QUEUE_POLL_MS = 2000;

/** One job on the page, from loading it to leaving it. */
export class JobPage {
  /**
   * @param {HTMLElement} root
   * @param {string} id
   * @param {{changed: () => void, gone: () => void, names: Object<string, string>}} surroundings `changed` is
   *   called when a list of jobs would look different, `gone` when the job is deleted; `names` are those of its files
   */
  constructor(root, id, surroundings) {
    this.root = root;
    this.id = id;
    this.surroundings = surroundings;
    this.ended = new AbortController();
    this.releases = [];
  }

  /** Shows the job as it is, and stays with it until its end. */
  async open() {
    this.root.replaceChildren(element("div", { className: "loading", role: "status" }, "Loading the job…"));
    try {
      this.job = await json(`/attacks/${this.id}`, { signal: this.ended.signal });
      this.#layOut();
      await this.#run();
    } catch (error) {
      if (!this.ended.signal.aborted) this.#fail(error);
    }
  }

  /** Leaves the job: stops listening and gives memory back. */
  close() {
    this.ended.abort();
    this.releases.forEach((release) => release());
  }

  #layOut() {
    const { job } = this;
    document.title = `${job.spec.prompt}: ${inShort(job.spec)} – Segprobe`;
    this.message = element("p", { className: "problem", role: "alert", hidden: true });
    this.actions = element("div", { className: "actions" });
    this.headline = element("div", { className: "headline" });
    this.progress = new ProgressPanel();
    this.body = element("div", { className: "job-body" });
    const curve = element("section", { className: "panel curve-panel", "aria-label": "DSC per point" });
    this.curve = new Curve(curve);
    const { dsc_below: below } = job.spec.success ?? job.result?.success.criterion ?? { dsc_below: 0.5 };
    if (below && (job.spec.goal ?? "untargeted") === "untargeted") this.curve.setCriterion(below);
    this.curvePanel = curve;
    this.root.replaceChildren(
      element(
        "div",
        { className: "job-head" },
        element(
          "div",
          { className: "job-title" },
          element("h1", {}, job.spec.prompt),
          element(
            "span",
            { className: "muted" },
            `${inShort(job.spec)}, model ${job.model}, `,
            element("span", { title: job.id }, `job ${shortId(job.id)}`),
          ),
          job.rerun_of
            ? element(
                "span",
                { className: "muted" },
                " repeats ",
                element("a", { href: `#/attacks/${job.rerun_of}` }, shortId(job.rerun_of)),
              )
            : null,
        ),
        this.actions,
      ),
      this.message,
      this.headline,
      this.body,
    );
  }

  async #run() {
    if (!isFinal(this.job.state)) {
      this.#showRunning();
      const polling = setInterval(() => this.#askForQueue(), QUEUE_POLL_MS);
      this.releases.push(() => clearInterval(polling));
      await follow(
        this.job.links.events,
        (kind, data) => this.#hear(kind, data),
        (on) => this.progress.connected(on),
        this.ended.signal,
      );
      clearInterval(polling);
      if (this.ended.signal.aborted) return;
      this.job = await json(`/attacks/${this.id}`, { signal: this.ended.signal });
      this.surroundings.changed();
    }
    await this.#showEnd();
  }

  #showRunning() {
    this.#offer(["curl", "cancel"]);
    this.progress.show(this.job);
    this.headline.replaceChildren(this.progress.root);
    this.body.replaceChildren(this.curvePanel);
  }

  #hear(kind, data) {
    if (kind === "progress") {
      this.job.progress = data;
      this.curve.add(data);
    } else if (kind === "state") {
      if (data.state !== this.job.state) this.surroundings.changed();
      // Another attempt begins at the first point again.
      if (data.attempt !== this.job.attempt) this.curve.set([]);
      Object.assign(this.job, { state: data.state, attempt: data.attempt });
    }
    this.progress.show(this.job);
  }

  /** The position in the queue is not an event: it changes with the jobs of others. */
  async #askForQueue() {
    if (this.job.state !== "queued") return;
    const now = await json(`/attacks/${this.id}`, { signal: this.ended.signal }).catch(() => null);
    if (!now || this.job.state !== "queued") return;
    Object.assign(this.job, { queue: now.queue, eta_seconds: now.eta_seconds });
    this.progress.show(this.job);
  }

  async #showEnd() {
    const { job } = this;
    if (job.state !== "succeeded") {
      this.#offer(["curl", "delete"]);
      this.progress.show(job);
      this.headline.replaceChildren(this.progress.root);
      this.body.replaceChildren(...(this.curve.points.length ? [this.curvePanel] : []));
      return;
    }
    this.#offer(["rerun", "curl", "zip", "delete"]);
    const line = verdict(job);
    announce(line.textContent.slice(1));
    this.headline.replaceChildren(line);
    const place = element("div", { className: "viewer-place", role: "status" }, "Loading the pictures…");
    this.body.replaceChildren(
      element(
        "div",
        { className: "result" },
        element("div", { className: "result-main" }, place, this.curvePanel),
        findings(job, (error) => this.#say(error)),
      ),
    );
    const { signal } = this.ended;
    const [loaded] = await Promise.all([loadPictures(job, signal), this.#completeCurve(signal)]);
    if (signal.aborted) return loaded.release();
    const viewer = new Viewer(job.result.image, loaded.pictures, loaded.masks);
    this.releases.push(loaded.release, () => viewer.dispose());
    place.replaceWith(viewer.root);
  }

  /** All points stand in `result.json`; of the events one may have seen only the last. */
  async #completeCurve(signal) {
    const file = fileOf(this.job, "result.json");
    if (file) this.curve.set((await json(file.href, { signal })).steps.map(({ dsc }) => dsc));
  }

  #offer(names) {
    const { job } = this;
    const button = (text, act, className = "") =>
      element("button", { type: "button", className, onclick: (event) => this.#act(event.currentTarget, act) }, text);
    const all = {
      cancel: () => button("Cancel", () => this.#cancel(), "danger"),
      rerun: () => button("Run again", () => this.#rerun()),
      curl: () => button("Copy as curl", () => this.#copyCurl()),
      zip: () =>
        downloadable(
          element(
            "a",
            { className: "button", href: job.links.artifacts, download: `segprobe-${job.id}.zip` },
            "Download",
          ),
          (error) => this.#say(error),
        ),
      delete: () => button("Delete", () => this.#delete(), "danger"),
    };
    this.actions.replaceChildren(...names.map((name) => all[name]()));
  }

  async #act(button, act) {
    this.message.hidden = true;
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      this.#say(error);
    } finally {
      button.disabled = false;
    }
  }

  async #cancel() {
    Object.assign(this.job, await json(this.job.links.cancel, { method: "POST" }));
    this.progress.show(this.job);
  }

  async #rerun() {
    const { id } = await json(this.job.links.rerun, { method: "POST" });
    this.surroundings.changed();
    location.hash = `#/attacks/${id}`;
  }

  async #copyCurl() {
    const command = curl(this.job, this.surroundings.names, hasKey());
    try {
      await navigator.clipboard.writeText(command);
      announce("Copied");
      const button = [...this.actions.children].find((one) => one.textContent === "Copy as curl");
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy as curl"), 1500);
    } catch {
      showText(command);
    }
  }

  async #delete() {
    if (!(await confirm("Delete this job and its files? This cannot be undone.", "Delete"))) return;
    await send(this.job.links.self, { method: "DELETE" });
    this.surroundings.gone();
  }

  #say(error) {
    this.message.textContent = sentence(error);
    this.message.hidden = false;
  }

  #fail(error) {
    const missing = error instanceof Problem && error.status === 404;
    const words = missing
      ? "There is no such job. It may have been deleted, or it belongs to another caller."
      : sentence(error);
    const again = element("button", { type: "button", onclick: () => this.open() }, "Try again");
    this.root.replaceChildren(
      element(
        "div",
        { className: "empty", role: "alert" },
        element("h1", {}, missing ? "No such job" : "The job cannot be shown"),
        element("p", {}, words),
        element(
          "p",
          { className: "actions" },
          missing ? null : again,
          element("a", { className: "button", href: "#/" }, "New attack"),
        ),
      ),
    );
  }
}

function fileOf(job, name) {
  return job.artifacts.find((file) => file.name === name);
}
