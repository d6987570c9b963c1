/** Head of the page: progress, the estimate so far, what the last retraining gained, and retraining. */

import { announce, byId, el, score } from "./elements.js";
import { Refusal } from "./api.js";

const POLL = 1500; // milliseconds between looks at a retraining

export class ProjectHead {
  /** `listeners`: `changed(project)` after every answer about the project, `retrained()` after a retraining. */
  constructor(api, listeners) {
    this.api = api;
    this.listeners = listeners;
    this.project = null;
    this.timer = 0;
    byId("retrain").addEventListener("click", () => this.#retrain());
  }

  /** Ask for the project's state, and display it. */
  async refresh() {
    const before = this.project?.retraining.state;
    this.project = await this.api.get("project");
    this.#draw();
    this.listeners.changed(this.project);
    const { state, message } = this.project.retraining;
    clearTimeout(this.timer);
    if (state === "running") this.timer = setTimeout(() => this.refresh(), POLL);
    if (before === "running" && state !== "running") {
      announce(`${state === "done" ? "Retraining is done" : "Retraining failed"}: ${message}`);
      this.listeners.retrained();
    }
    return this.project;
  }

  /** Refresh soon; several calls make one request. */
  refreshSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.refresh(), 400);
  }

  async #retrain() {
    try {
      await this.api.post("retrain", {});
      announce("Retraining has begun. You can go on reviewing.");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      announce(error.message);
    }
    await this.refresh();
  }

  #draw() {
    const { title, documents, estimate, retraining, can_retrain: canRetrain } = this.project;
    byId("project-title").textContent = title;
    document.title = `${title} · annoseq review`;
    byId("facts").replaceChildren(...[progress(documents), f1(estimate), gain(retraining.gain)].filter(Boolean));
    const retrain = byId("retrain");
    const isRunning = retraining.state === "running";
    retrain.disabled = isRunning || !canRetrain;
    const hint = isRunning || canRetrain ? retraining.message : "Needs documents that are done, and a model folder.";
    retrain.title = hint || "Learn from the decided documents, in the background";
    retrain.classList.toggle("running", isRunning);
    const share = Math.round(100 * (retraining.progress ?? 0));
    retrain.style.setProperty("--share", `${isRunning ? share : 0}%`);
    retrain.textContent = isRunning ? `Retraining ${share} %` : "Retrain";
  }
}

function fact(name, value, note, title) {
  return el(
    "div",
    { className: "fact", title },
    el("span", { className: "fact-name" }, name),
    el("span", { className: "fact-value" }, value),
    note ? el("span", { className: "fact-note" }, note) : null,
  );
}

function progress({ total, done, started, skipped }) {
  const bar = el("progress", { max: total || 1, value: done, "aria-label": "Documents done" });
  const notes = [started ? `${started} started` : null, skipped ? `${skipped} skipped` : null]
    .filter(Boolean)
    .join(", ");
  const element = fact("Done", `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`, notes, null);
  element.append(bar);
  return element;
}

function f1(estimate) {
  if (!estimate) return fact("F1 so far", "–", "needs reviewed documents of the random share", null);
  const { f1: value, low, high, documents } = estimate;
  return fact(
    "F1 so far",
    score(value),
    low === null ? `${documents} random` : `${score(low)} to ${score(high)}, ${documents} random`,
    "Span F1 of the model on the reviewed random share, with its interval",
  );
}

function gain(found) {
  if (!found) return null;
  const { before, after, difference, p_value: p } = found;
  const sign = difference > 0 ? "+" : "";
  const chance =
    p === null || p === undefined ? "" : p < 0.001 ? ", p < .001" : `, p = ${p.toFixed(3).replace(/^0/, "")}`;
  return fact(
    "Last retraining",
    `${sign}${score(difference)}`.replace("-", "−"),
    `F1 ${score(before)} to ${score(after)}${chance}`,
    "Difference of span F1 on the reviewed random share, with its significance",
  );
}
