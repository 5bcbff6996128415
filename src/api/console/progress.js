// Where a job stands: waiting, running with so many steps to go, or ended without a result.

import { announce, element } from "./dom.js";
import { isFinal } from "./events.js";
import { duration } from "./words.js";

const HEADLINES = {
  queued: "Waiting",
  running: "Attacking",
  failed: "The attack failed",
  cancelled: "Cancelled",
  succeeded: "Done",
};

/** Where the job stands in a line, over a bar. */
export class ProgressPanel {
  constructor() {
    this.title = element("h2");
    this.facts = element("p", { className: "progress-facts" });
    this.lost = element("p", { className: "progress-lost", role: "status" });
    this.bar = element("progress", { max: 1, value: 0, "aria-label": "Points visited" });
    this.root = element("div", { className: "progress" }, this.title, this.facts, this.lost, this.bar);
    this.announced = "";
  }

  /**
   * Shows the job as it stands now.
   * @param {object} job
   */
  show(job) {
    const { step, steps } = job.progress;
    const stopping = job.cancel_requested && job.state === "running";
    this.root.dataset.state = job.state;
    this.title.textContent = stopping ? "Stopping" : HEADLINES[job.state];
    this.bar.value = steps ? step / steps : 0;
    this.bar.hidden = isFinal(job.state);
    this.facts.textContent = facts(job).join(" · ");
    const quarter = steps ? Math.floor((4 * step) / steps) * 25 : 0;
    const news =
      job.state === "running"
        ? `${this.title.textContent}: ${quarter} percent`
        : `${this.title.textContent}. ${this.facts.textContent}`;
    if (news !== this.announced) announce((this.announced = news));
  }

  /** @param {boolean} on whether progress is being received */
  connected(on) {
    this.lost.textContent = on ? "" : "The connection was lost; taking it up again…";
  }
}

function facts(job) {
  const { step, steps, dsc, best_dsc: best, step_seconds: pace } = job.progress;
  if (job.state === "failed")
    return [job.failure?.detail ?? "no reason was given", `attempt ${job.attempt} of ${job.max_attempts}`];
  if (job.state === "cancelled") return ["somebody asked to stop it; there is no result"];
  if (job.state === "queued") {
    const ahead = job.queue?.jobs_ahead;
    const place =
      ahead === undefined
        ? "in the queue"
        : ahead === 0
          ? "next in the queue"
          : `${ahead} ${ahead === 1 ? "job" : "jobs"} ahead`;
    return [place, ...(job.eta_seconds === null ? [] : [`about ${duration(job.eta_seconds)} to the result`])];
  }
  const left = pace === null ? job.eta_seconds : (steps - step) * pace;
  const score = (value) => (value === null ? "–" : value.toFixed(3));
  return [
    `point ${step} of ${steps}`,
    `DSC ${score(dsc)}`,
    `best ${score(best)}`,
    ...(left === null ? [] : [`about ${duration(left)} left`]),
    ...(job.attempt > 1 ? [`attempt ${job.attempt} of ${job.max_attempts}`] : []),
  ];
}
