/** Dock below the text: what can be done with the selected text, with the selected span, or now. */

import { button, el, excerpt, score } from "./elements.js";
import { keyOf } from "./keys.js";

const SHOWN_LABELS = 9;

export class Dock {
  /** `run(command, argument)` carries out a command. */
  constructor(element, labels, run) {
    this.element = element;
    this.labels = labels;
    this.run = run;
    this.signature = null;
  }

  #button(name, command, options = {}) {
    return button(name, () => this.run(command), { keys: keyOf(command), ...options });
  }

  /** Display the actions of a state: `{offsets, span, selection, preview, crossed, snaps, open}`. */
  draw(state) {
    const { offsets, span, selection, preview, snaps } = state;
    const signature = JSON.stringify([span, selection, preview, state.crossed, snaps, state.open, this.labels.names]);
    if (signature === this.signature) return;
    this.signature = signature;
    this.snaps = snaps;
    const held = this.element.contains(document.activeElement) ? document.activeElement.dataset.command : null;
    if (!offsets) this.element.replaceChildren();
    else if (preview) this.#drawPreview(state);
    else if (selection) this.#drawSelection(state);
    else if (span) this.#drawSpan(state);
    else this.#drawHint(state);
    if (held) (this.element.querySelector(`[data-command="${held}"]`) ?? document.getElementById("text")).focus();
  }

  #words(offsets, start, end) {
    return el("bdi", { className: "quoted" }, excerpt(offsets.slice(start, end), 48) || "white space");
  }

  #snapSwitch() {
    const { snaps } = this;
    const name = "Snap to tokens";
    return button(name, () => this.run("snapping"), {
      keys: keyOf("snapping"),
      kind: "quiet",
      pressed: String(snaps),
      title: "Snap selections and edges to whole tokens",
    });
  }

  #row(told, ...actions) {
    const line = el("div", { className: "dock-told" }, told, this.#snapSwitch());
    this.element.replaceChildren(line, el("div", { className: "dock-actions" }, actions));
  }

  #drawHint({ open }) {
    this.#row(
      [
        el(
          "span",
          { className: "hint" },
          open
            ? `${open} undecided. Press a span, or select text to add one.`
            : "Everything is decided. Select text to add a span.",
        ),
      ],
      open ? this.#button("Next undecided", "nextOpen") : null,
    );
  }

  #drawSelection({ offsets, selection }) {
    const { exact, target } = selection;
    const isSnapped = target && (target[0] !== exact[0] || target[1] !== exact[1]);
    const told = [
      target
        ? this.#words(offsets, ...target)
        : el("span", { className: "hint" }, "White space alone. Turn snapping off to mark it."),
    ];
    if (isSnapped)
      told.push(el("span", { className: "snapped", id: "snapped" }, "snapped from ", this.#words(offsets, ...exact)));
    const labels = target ? this.labels.names.slice(0, SHOWN_LABELS) : [];
    this.#row(
      told,
      labels.map((label, at) => {
        const one = button("", () => this.run("add", label), { kind: "label", keys: String(at + 1) });
        one.prepend(this.labels.chip(label));
        one.setAttribute("aria-label", `Add ${label}`);
        return one;
      }),
      target ? this.#button(this.labels.names.length > SHOWN_LABELS ? "All labels…" : "Search…", "relabel") : null,
    );
  }

  #drawSpan({ offsets, span }) {
    const isOwn = span.origin === "reviewer";
    const told = [this.#words(offsets, span.start, span.end), this.labels.chip(span.label)];
    told.push(
      el(
        "span",
        { className: "hint" },
        span.origin === "model" && span.score !== null ? `score ${score(span.score)}` : `from ${span.origin}`,
      ),
    );
    if (span.problem) told.push(el("span", { className: "problem" }, span.problem));
    if (span.suggested) told.push(this.#suggested(offsets, span.suggested));
    const isDecided = span.decision !== "undecided";
    this.#row(
      told,
      this.#button("Accept", "accept", { kind: "accept", pressed: String(span.decision === "accepted") }),
      this.#button("Reject", "reject", { kind: "reject", pressed: String(span.decision === "rejected") }),
      this.#button("Relabel…", "relabel"),
      this.#button("Edges", "edges"),
      span.suggested ? this.#button("Take suggestion", "suggestion") : null,
      this.#button("All here", "occurrences", { title: "Same label for all occurrences in this document" }),
      this.#button("All in project", "occurrencesEverywhere", {
        title: "Same label for all occurrences in the project",
      }),
      isOwn ? this.#button("Remove", "reopen") : isDecided ? this.#button("Undecide", "reopen") : null,
    );
  }

  #suggested(offsets, { start, end, label }) {
    return el(
      "span",
      { className: "suggested" },
      "suggested: ",
      this.#words(offsets, start, end),
      this.labels.chip(label),
    );
  }

  #drawPreview({ offsets, preview, crossed }) {
    const told = [this.#words(offsets, preview.start, preview.end), this.labels.chip(preview.label)];
    if (crossed)
      told.push(el("span", { className: "problem" }, `would cross a ${crossed.label}; spans may nest or touch`));
    const move = (name, edge, direction) =>
      button(name, () => this.run("moveEdge", { edge, direction }), { kind: "edge" });
    this.#row(
      told,
      el(
        "span",
        { className: "edge-group", role: "group", "aria-label": "Start" },
        "Start",
        named(move("←", "start", -1), "Start earlier"),
        named(move("→", "start", 1), "Start later"),
      ),
      el(
        "span",
        { className: "edge-group", role: "group", "aria-label": "End" },
        "End",
        named(move("←", "end", -1), "End earlier"),
        named(move("→", "end", 1), "End later"),
      ),
      button("Keep", () => this.run("keepEdges"), { keys: "Enter", kind: "accept" }),
      button("Give up", () => this.run("dropEdges"), { keys: "Esc" }),
    );
  }
}

function named(element, name) {
  element.setAttribute("aria-label", name);
  return element;
}
