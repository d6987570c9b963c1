/** List of a document's spans, with a filter; only rows that changed are made anew. */

import { button, count, el, excerpt, score } from "./elements.js";

const DECISION_NAMES = { undecided: "undecided", accepted: "accepted", rejected: "rejected" };
const GROUP = 40; // rows
const ROW_HEIGHT = 34; // pixels, an estimate for rows that were never laid out
const DECISION_SIGNS = { undecided: "?", accepted: "✓", rejected: "✕" };

export class SpanList {
  /** `chosen(id)` is called when a row is pressed. */
  constructor(pane, labels, chosen) {
    this.labels = labels;
    this.chosen = chosen;
    this.filter = "all";
    this.rows = new Map(); // span id -> { row, span, isWaiting }
    this.drawn = [];
    this.heading = el("h2", {}, "Spans");
    this.filters = el("div", { className: "filters", role: "group", "aria-label": "Filter spans" });
    this.list = el("div", { className: "rows", id: "span-rows", role: "list" });
    this.nothing = el("p", { className: "none" });
    pane.append(el("div", { className: "pane-head" }, this.heading, this.filters), this.list, this.nothing);
  }

  /** Display spans; `waiting` holds the ids of those whose last action is not saved yet. */
  draw({ spans, offsets, selected, waiting }) {
    this.state = { spans, offsets, selected, waiting };
    const visible = spans.filter((span) => this.filter === "all" || span.decision === this.filter);
    const before = this.rows;
    this.rows = new Map();
    const rows = visible.map((span) => this.#row(span, before.get(span.id)));
    if (rows.length !== this.drawn.length || rows.some((row, at) => row !== this.drawn[at])) this.#place(rows);
    this.#drawHead(spans);
    this.nothing.textContent = rows.length
      ? ""
      : spans.length
        ? "No such span."
        : "No span yet. Select text to add one.";
    this.#showSelected(selected);
  }

  #drawHead(spans) {
    const numbers = { all: spans.length, undecided: 0, accepted: 0, rejected: 0 };
    for (const { decision } of spans) numbers[decision] += 1;
    if (!this.filters.children.length)
      this.filters.append(...Object.keys(numbers).map((filter) => this.#filter(filter)));
    for (const press of this.filters.children) {
      const { filter } = press.dataset;
      press.setAttribute("aria-pressed", String(filter === this.filter));
      press.setAttribute("aria-label", `${filter}: ${count(numbers[filter], "span")}`);
      press.lastChild.textContent = String(numbers[filter]);
    }
  }

  #filter(filter) {
    const press = button(DECISION_SIGNS[filter] ?? "All", () => this.#setFilter(filter), {
      kind: "tab",
      title: filter,
    });
    press.dataset.filter = filter;
    press.append(el("span", { className: "amount" }));
    return press;
  }

  #setFilter(filter) {
    this.filter = filter;
    this.draw(this.state);
  }

  /** Put rows into the list; where few changed, only those are touched. */
  #place(rows) {
    const before = this.drawn;
    this.drawn = rows;
    const isSameLength = rows.length === before.length;
    const changed = isSameLength ? rows.flatMap((row, at) => (row === before[at] ? [] : [at])) : [];
    if (isSameLength && changed.length <= GROUP) {
      for (const at of changed) before[at].replaceWith(rows[at]);
      return;
    }
    let head = 0;
    while (head < rows.length && rows[head] === before[head]) head += 1;
    let tail = 0;
    while (tail < Math.min(rows.length, before.length) - head && rows.at(-1 - tail) === before.at(-1 - tail))
      tail += 1;
    const [added, removed] = [rows.slice(head, rows.length - tail), before.slice(head, before.length - tail)];
    const next = before[before.length - tail];
    if (!next || added.length + removed.length > GROUP) return this.#placeAll(rows);
    for (const row of removed) row.remove();
    next.before(...added);
    return undefined;
  }

  /** Put all rows into the list anew, in groups that the browser lays out only where they are in view. */
  #placeAll(rows) {
    const groups = [];
    for (let at = 0; at < rows.length; at += GROUP) {
      const group = el("div", { className: "group" }, rows.slice(at, at + GROUP));
      group.style.setProperty("contain-intrinsic-block-size", `auto ${group.children.length * ROW_HEIGHT}px`);
      groups.push(group);
    }
    this.list.replaceChildren(...groups);
  }

  #row(span, known) {
    const isWaiting = this.state.waiting.has(span.id);
    if (known?.span === span && known.isWaiting === isWaiting) {
      this.rows.set(span.id, known);
      return known.row;
    }
    const text = excerpt(this.state.offsets.slice(span.start, span.end)) || "white space";
    const name = [
      text,
      span.label,
      span.origin === "model" && span.score !== null ? `score ${score(span.score)}` : span.origin,
      DECISION_NAMES[span.decision],
      span.problem,
      isWaiting ? "not saved yet" : null,
    ]
      .filter(Boolean)
      .join(", ");
    const press = el(
      "button",
      {
        type: "button",
        className: `row ${span.decision}`,
        "aria-label": name,
        on: { click: () => this.chosen(span.id) },
      },
      el("span", { className: "sign" }, isWaiting ? "…" : DECISION_SIGNS[span.decision]),
      el("bdi", { className: "words" }, text),
      this.labels.chip(span.label),
      el("span", { className: "score" }, score(span.score)),
      span.problem || span.suggested
        ? el("span", { className: "problem" }, span.problem ?? "Another span is suggested")
        : null,
    );
    const row = el("div", { role: "listitem", data: { span: span.id } }, press);
    this.rows.set(span.id, { row, span, isWaiting });
    return row;
  }

  #showSelected(selected) {
    const press = this.rows.get(selected)?.row.firstChild ?? null;
    if (press === this.current) return;
    this.current?.removeAttribute("aria-current");
    this.current = press;
    press?.setAttribute("aria-current", "true");
    press?.scrollIntoView({ block: "nearest" });
  }
}

/** Return a sentence about a span, for announcements. */
export function describeSpan(span, offsets) {
  const text = excerpt(offsets.slice(span.start, span.end), 80);
  const score_ = span.origin === "model" && span.score !== null ? `, score ${score(span.score)}` : "";
  return `${text}, ${span.label}${score_}, ${DECISION_NAMES[span.decision]}${span.problem ? `, ${span.problem}` : ""}`;
}

/** Return the number of undecided spans. */
export function countUndecided(spans) {
  return spans.filter(({ decision }) => decision === "undecided").length;
}

/** Return the span before or after the selected one, or else the caret; the last is followed by the first. */
export function neighbour(spans, selected, caret, direction) {
  const at = spans.findIndex(({ id }) => id === selected);
  if (at >= 0) return spans[(at + direction + spans.length) % spans.length];
  if (direction > 0) return spans.find(({ start }) => start >= caret) ?? spans[0];
  return spans.findLast(({ start }) => start < caret) ?? spans.at(-1);
}

/** Return the next undecided span after the selected one, from the end on to the first. */
export function nextUndecided(spans, selected) {
  const at = spans.findIndex(({ id }) => id === selected);
  return [...spans.slice(at + 1), ...spans.slice(0, at + 1)].find(({ decision }) => decision === "undecided");
}

/** Return how many spans are undecided, in words. */
export function describeOpen(spans) {
  const open = countUndecided(spans);
  return open ? `${count(open, "span")} undecided` : "all spans decided";
}
