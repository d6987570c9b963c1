/**
 * A document under review: the state that the server has confirmed, and the one displayed, which
 * has the actions still on their way in it. Actions are sent one after the other, each with a key
 * of its own, so that one that is sent again after an interruption is carried out once.
 */

import { Refusal } from "./api.js";

const STARTS = new Set(["accept", "reject", "relabel", "resize", "add", "remove", "accept_all", "take_suggestion"]);

export class DocumentSession {
  #queue = [];
  #pumping = null;
  #lastTemporary = 0;

  /** `listeners`: `changed(session, selectId)`, `refused(message)`, `sent(session, action, reply)`. */
  constructor(api, document, listeners) {
    this.api = api;
    this.confirmed = document;
    this.shown = document;
    this.listeners = listeners;
  }

  get id() {
    return this.confirmed.id;
  }

  /** Number of actions that the server has not confirmed yet. */
  get waiting() {
    return this.#queue.length;
  }

  /** Ids of the spans whose last action is not confirmed yet. */
  get waitingSpans() {
    return new Set(this.#queue.map(({ action, temporary }) => temporary ?? action.span).filter(Boolean));
  }

  /** Wait until nothing is on its way. */
  async settled() {
    while (this.#queue.length) await this.#pumping;
  }

  /** Display an action at once, and send it. */
  act(action) {
    const temporary = action.type === "add" ? `new-${(this.#lastTemporary += 1)}` : null;
    this.#enqueue({ path: "actions", action, temporary });
    return temporary;
  }

  undo() {
    this.#enqueue({ path: "undo", action: { type: "undo" } });
  }

  redo() {
    this.#enqueue({ path: "redo", action: { type: "redo" } });
  }

  #enqueue(entry) {
    this.#queue.push({ ...entry, key: makeKey() });
    this.#show();
    this.#pumping ??= this.#pump();
  }

  #show(select = null) {
    this.shown = this.#queue.reduce(
      (state, entry) => applyAction(state, entry.action, entry.temporary),
      this.confirmed,
    );
    this.listeners.changed(this, select);
  }

  async #pump() {
    while (this.#queue.length) await this.#sendFirst(this.#queue[0]);
    this.#pumping = null;
  }

  async #sendFirst(entry) {
    const body = { revision: this.confirmed.revision, key: entry.key };
    if (entry.path === "actions") body.action = entry.action;
    try {
      const reply = await this.api.post(`documents/${this.id}/${entry.path}`, body);
      this.#queue.shift();
      this.#confirm(entry, reply);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#queue.shift();
      this.#takeRefusal(error);
    }
  }

  #confirm(entry, reply) {
    const before = new Set(this.confirmed.spans.map((span) => span.id));
    this.confirmed = { ...this.confirmed, ...reply, spans: keepSame(this.shown.spans, reply.spans) };
    let added = null;
    if (entry.temporary) {
      const { start, end, label } = entry.action;
      const same = reply.spans.filter((span) => span.start === start && span.end === end && span.label === label);
      // One of the model's that has these edges is accepted instead.
      added = same.find((span) => !before.has(span.id)) ?? same.find((span) => span.decision === "accepted");
      for (const later of this.#queue) if (later.action.span === entry.temporary) later.action.span = added?.id;
    }
    this.#show(added ? { from: entry.temporary, to: added.id } : null);
    this.listeners.sent(this, entry.action, reply);
  }

  #takeRefusal(error) {
    let message = error.message;
    if (error.status === 409 && error.body?.document) {
      // Someone else, or another tab, changed the document: what waited was meant for another state.
      this.confirmed = { ...this.confirmed, ...error.body.document };
      this.#queue = [];
      message = "The document was changed elsewhere. It is displayed as it is now; your last action was not saved.";
    }
    this.#show();
    this.listeners.refused(message);
  }
}

/** Return a string that no other action has; `randomUUID` exists only on secure origins. */
function makeKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

/** Return a document's state after an action, as far as it can be told without the server. */
export function applyAction(state, action, temporary = null) {
  const spans = applyToSpans(state.spans, action, temporary);
  const next = { ...state, spans };
  if (action.type === "note") next.note = action.text;
  if (action.type === "skip") next.state = "skipped";
  else if (action.type === "done") next.state = "done";
  else if (STARTS.has(action.type)) next.state = "started";
  return next;
}

function applyToSpans(spans, action, temporary) {
  const change = (changed) => spans.map((span) => (span.id === action.span ? { ...span, ...changed } : span));
  switch (action.type) {
    case "accept":
      return change({ decision: "accepted" });
    case "reject":
      return change({ decision: "rejected" });
    case "reopen":
      return change({ decision: "undecided" });
    case "relabel":
      return change({ label: action.label, decision: "accepted" });
    case "resize":
      return inOrder(change({ start: action.start, end: action.end, decision: "accepted" }));
    case "take_suggestion": {
      const suggested = spans.find((span) => span.id === action.span)?.suggested;
      return suggested ? inOrder(change({ ...suggested, decision: "accepted", suggested: null })) : spans;
    }
    case "remove":
      return spans.filter((span) => span.id !== action.span);
    case "accept_all":
      return decideOpen(spans, "accepted");
    case "done":
      return action.reject_open ? decideOpen(spans, "rejected") : spans;
    case "add":
      return inOrder([
        ...spans,
        {
          id: temporary,
          start: action.start,
          end: action.end,
          label: action.label,
          score: null,
          decision: "accepted",
          origin: "reviewer",
          problem: null,
          suggested: null,
        },
      ]);
    default:
      return spans; // undo, redo, apply_everywhere, start_again: the server's answer tells
  }
}

/** Return the new spans, with the objects of those that did not change: only others are drawn again. */
function keepSame(before, after) {
  const known = new Map(before.map((span) => [span.id, span]));
  return after.map((span) => {
    const old = known.get(span.id);
    return old && Object.keys(span).every((key) => isSame(old[key], span[key])) ? old : span;
  });
}

function isSame(one, other) {
  return one === other || (one && other && JSON.stringify(one) === JSON.stringify(other));
}

function decideOpen(spans, decision) {
  return spans.map((span) => (span.decision === "undecided" ? { ...span, decision } : span));
}

function inOrder(spans) {
  return spans.sort((one, other) => one.start - other.start || other.end - one.end);
}

/** Return an accepted span that another would cross: they overlap, and neither contains the other. */
export function findCrossing(spans, start, end, except = null) {
  return spans.find(
    (span) =>
      span.id !== except &&
      span.decision === "accepted" &&
      span.start < end &&
      start < span.end &&
      !(span.start <= start && end <= span.end) &&
      !(start <= span.start && span.end <= end),
  );
}
