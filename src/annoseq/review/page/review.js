/** The review of one document: what is selected, and what the commands do to it. */

import { announce, byId, count } from "./elements.js";
import { Dock } from "./dock.js";
import { askAboutUndecided, askNote, askStartAgain } from "./document_dialogs.js";
import { DocumentHead } from "./document_head.js";
import { DocumentSession, findCrossing } from "./document_session.js";
import { pickLabel } from "./label_picker.js";
import { SpanEdges } from "./span_edges.js";
import { countUndecided, describeOpen, describeSpan, neighbour, nextUndecided, SpanList } from "./span_list.js";
import { TextCaret } from "./text_caret.js";
import { TextOffsets } from "./text_offsets.js";
import { TextView } from "./text_view.js";

export class Review {
  /** `listeners`: `changed(session)`, `saved(session)`, `next(id)`. */
  constructor(api, labels, listeners) {
    this.api = api;
    this.labels = labels;
    this.listeners = listeners;
    this.sessions = new Map(); // those with actions on their way, and the open one
    this.session = null;
    this.selected = null;
    this.preview = null;
    const run = (command, argument) => this.run(command, argument);
    this.view = new TextView(byId("text"), labels.styleOf);
    this.caret = new TextCaret(this.view, { moved: () => this.#caretMoved(), pressed: (ids) => this.#pressed(ids) });
    this.edges = new SpanEdges(this.view, this.caret, {
      previewed: (span, crossed) => this.#showPreview(span, crossed),
      resized: (span, start, end) => this.#act({ type: "resize", span, start, end }, "Edges changed"),
      refused: (crossed) => announce(`Not changed: it would cross a ${crossed.label}. Spans may nest or touch.`),
    });
    this.list = new SpanList(byId("spans"), labels, (id) => this.select(id, { focusText: true }));
    this.head = new DocumentHead(byId("document-head"), run);
    this.dock = new Dock(byId("dock"), labels, run);
    byId("text").addEventListener("keydown", (event) => this.#takeTextKey(event));
  }

  get offsets() {
    return this.view.offsets;
  }

  get spans() {
    return this.session?.shown.spans ?? [];
  }

  get span() {
    return this.spans.find(({ id }) => id === this.selected) ?? null;
  }

  get waiting() {
    let number = 0;
    for (const session of this.sessions.values()) number += session.waiting;
    return number;
  }

  /** Open a document. */
  async open(id) {
    const asked = (this.asked = {});
    const document = await this.api.get(`documents/${id}`);
    if (asked !== this.asked) return;
    if (this.edges.isActive) this.edges.cancel();
    for (const [key, session] of this.sessions) if (!session.waiting) this.sessions.delete(key);
    this.session = this.sessions.get(id) ?? this.#newSession(document);
    this.sessions.set(id, this.session);
    this.selected = this.preview = null;
    this.view.open(new TextOffsets(document.text, document.tokens), this.spans);
    this.caret.reset();
    byId("empty").hidden = true;
    byId("scroller").scrollTop = 0;
    byId("text").setAttribute("aria-label", `Text of ${document.name}`);
    this.draw();
    announce(`${document.name}, ${describeOpen(this.spans)}`, { visibly: false });
  }

  #newSession(document) {
    return new DocumentSession(this.api, document, {
      changed: (session, renamed) => {
        if (renamed && session === this.session && this.selected === renamed.from) this.selected = renamed.to;
        if (session === this.session) this.draw();
        this.listeners.changed(session);
      },
      refused: (message) => announce(message),
      sent: (session, action, reply) => this.#sent(session, action, reply),
    });
  }

  #sent(session, action, reply) {
    if (action.type === "apply_everywhere") {
      announce(`Applied in ${count(reply.changed_documents, "document")}. Undo takes it back everywhere.`);
    }
    this.listeners.saved(session, action);
  }

  /** Close the document; nothing is open. */
  close(message) {
    this.session = null;
    this.head.element.hidden = true;
    this.view.container.replaceChildren();
    this.view.offsets = null;
    this.list.draw({ spans: [], offsets: null, selected: null, waiting: new Set() });
    this.dock.draw({ offsets: null, snaps: this.caret.snaps });
    byId("empty").hidden = false;
    byId("empty").replaceChildren(el("p", {}, message));
  }

  /** Display the state, once after all that the event at hand changes. */
  draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    queueMicrotask(() => {
      this.isDrawing = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { session, preview } = this;
    if (!session) return;
    if (this.selected && !this.span) this.selected = null;
    const spans = preview ? this.spans.map((span) => (span.id === preview.id ? preview : span)) : this.spans;
    this.view.update(spans);
    this.view.select(this.selected);
    this.caret.refresh();
    this.list.draw({
      spans: this.spans,
      offsets: this.offsets,
      selected: this.selected,
      waiting: session.waitingSpans,
    });
    this.head.draw(session, this.api.isOnline);
    this.#drawDock();
    if (this.revealed) this.view.marks.get(this.revealed)?.[0]?.scrollIntoView({ block: "nearest" });
    this.revealed = null;
  }

  #drawDock() {
    const selection =
      this.caret.isSelecting && !this.preview ? { exact: this.caret.exact, target: this.caret.target } : null;
    const open = countUndecided(this.spans);
    const { offsets, span, preview, crossed } = this;
    this.dock.draw({
      offsets,
      span,
      selection,
      preview,
      crossed: crossed ?? null,
      snaps: this.caret.isSnapping,
      open,
    });
  }

  #showPreview(span, crossed) {
    this.preview = span;
    this.crossed = crossed ? { label: crossed.label } : null;
    if (span) this.selected = span.id;
    this.draw();
    if (span)
      announce(`${describeSpan(span, this.offsets)}${crossed ? `, would cross a ${crossed.label}` : ""}`, {
        visibly: false,
      });
  }

  /** Select a span, and show it. */
  select(id, { focusText = false } = {}) {
    this.selected = id;
    const { span } = this;
    if (span) this.caret.moveTo(span.start, { reveal: false });
    this.selected = id; // the caret may stand in a span within it
    this.draw();
    if (!span) return;
    this.revealed = id;
    announce(describeSpan(span, this.offsets), { visibly: false });
    if (focusText) byId("text").focus({ preventScroll: true });
    document.body.dataset.pane = "document";
  }

  #caretMoved() {
    if (!this.session || this.edges.isActive) return;
    if (this.caret.isSelecting) {
      this.selected = null;
      const target = this.caret.target ?? this.caret.exact;
      announce(`selected: ${this.offsets.slice(...target).slice(0, 200)}`, { visibly: false });
    } else {
      const { focus } = this.caret;
      const around = this.spans.filter((span) => span.start <= focus && focus < span.end);
      this.selected = around.at(-1)?.id ?? null;
      const token = this.offsets.snap(focus, focus + 1);
      const words = token ? this.offsets.slice(...token) : "white space";
      announce(around.length ? `${words}, in ${describeSpan(around.at(-1), this.offsets)}` : words, {
        visibly: false,
      });
    }
    this.draw();
  }

  /** A press on nested spans selects the innermost; another one the span around it. */
  #pressed(ids) {
    if (!ids.length || this.edges.isActive) return;
    const again = ids.indexOf(this.lastPressed) >= 0 && this.lastPressed === this.pressedSelection;
    const at = again ? (ids.indexOf(this.lastPressed) + 1) % ids.length : 0;
    this.lastPressed = this.pressedSelection = ids[at];
    this.selected = ids[at];
    this.draw();
    announce(describeSpan(this.span, this.offsets), { visibly: false });
  }

  #takeTextKey(event) {
    if (!this.session || event.defaultPrevented) return;
    const taken = this.edges.isActive ? this.edges.takeKey(event) : !event.altKey && this.caret.takeKey(event);
    if (!taken) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #act(action, told) {
    const temporary = this.session.act(action);
    if (told) announce(told);
    return temporary;
  }

  /** Carry out a command; false if there is nothing that it could be done to. */
  run(command, argument) {
    const commands = {
      next: () => this.#step(1),
      previous: () => this.#step(-1),
      nextOpen: () => this.#nextOpen(),
      accept: () => this.#decide("accept", "Accepted"),
      reject: () => this.#decide("reject", "Rejected"),
      reopen: () => this.#reopen(),
      relabel: () => this.#chooseLabel(),
      label: () => this.giveLabel(argument),
      add: () => this.giveLabel(argument),
      edges: () => this.span && this.#beginEdges(),
      moveEdge: () => this.edges.move(argument.edge, argument.direction),
      keepEdges: () => this.edges.finish(),
      dropEdges: () => this.edges.cancel(),
      suggestion: () =>
        this.span?.suggested && this.#act({ type: "take_suggestion", span: this.span.id }, "Suggestion taken"),
      occurrences: () => this.#applyEverywhere("document"),
      occurrencesEverywhere: () => this.#applyEverywhere("project"),
      snapping: () => this.#toggleSnapping(),
      focusText: () => byId("text").focus(),
      undo: () => this.session.undo(),
      redo: () => this.session.redo(),
      acceptAll: () => this.#acceptAll(),
      startAgain: () => this.#startAgain(),
      note: () => this.#editNote(),
      done: () => this.#finish(),
      skip: () => this.#leave({ type: "skip" }, "Skipped"),
    };
    if (!this.session || !commands[command]) return false;
    if (!this.edges.isActive) this.caret.takeSelection();
    if (this.edges.isActive && !["moveEdge", "keepEdges", "dropEdges", "snapping"].includes(command))
      this.edges.cancel();
    commands[command]();
    return true;
  }

  /** Give up what is selected. */
  escape() {
    if (this.edges.isActive) this.edges.cancel();
    else if (this.session && this.caret.isSelecting) this.caret.collapse();
    else if (this.session) {
      this.selected = null;
      this.draw();
    }
  }

  #step(direction) {
    const next = neighbour(this.spans, this.selected, this.caret.focus, direction);
    if (next) this.select(next.id, { focusText: true });
  }

  #nextOpen() {
    const open = nextUndecided(this.spans, this.selected);
    if (open) this.select(open.id, { focusText: true });
    else announce("All spans are decided. D finishes the document.");
  }

  #decide(type, told) {
    const { span } = this;
    if (!span) return;
    this.#act({ type, span: span.id });
    announce(`${told}: ${describeSpan(span, this.offsets).split(",")[0]}`);
    if (countUndecided(this.spans)) this.#nextOpen();
  }

  #reopen() {
    const { span } = this;
    if (!span) return;
    if (span.origin === "reviewer") this.#act({ type: "remove", span: span.id }, "Removed");
    else if (span.decision !== "undecided") this.#act({ type: "reopen", span: span.id }, "Undecided again");
  }

  /** Give a label: to the selected text as a new span, or else to the selected span. */
  giveLabel(label) {
    const { target } = this.caret;
    if (this.caret.isSelecting && target) this.#add(...target, label);
    else if (this.span) this.#act({ type: "relabel", span: this.span.id, label }, `Now ${label}`);
  }

  #add(start, end, label) {
    const crossed = findCrossing(this.spans, start, end);
    if (crossed) {
      announce(`Not added: it would cross a ${crossed.label}. Spans may nest or touch.`);
      return;
    }
    const temporary = this.#act({ type: "add", start, end, label }, `Added ${label}`);
    this.caret.moveTo(start);
    this.selected = temporary;
    this.draw();
  }

  async #chooseLabel() {
    const { span } = this;
    if (!this.caret.isSelecting && !span) return;
    const { anchor, focus } = this.caret;
    const title = this.caret.isSelecting ? "Label of the new span" : "New label";
    const near = this.caret.isSelecting
      ? this.view.rangeOf(...this.caret.exact).getBoundingClientRect()
      : this.view.marks.get(span.id)?.at(-1)?.getBoundingClientRect();
    const label = await pickLabel(this.labels, { title, current: span?.label, near });
    // The search field took the selection: it is what it was.
    this.caret.anchor = anchor;
    this.caret.focus = focus;
    if (label) this.giveLabel(label);
  }

  #beginEdges() {
    this.edges.begin(this.span);
    byId("text").focus({ preventScroll: true });
  }

  #applyEverywhere(scope) {
    const { span } = this;
    if (span) this.#act({ type: "apply_everywhere", span: span.id, scope });
  }

  #toggleSnapping() {
    this.caret.toggleSnapping();
    announce(this.caret.snaps ? "Selections snap to tokens" : "Selections are exact");
    this.draw();
  }

  #acceptAll() {
    const open = countUndecided(this.spans);
    if (open) this.#act({ type: "accept_all" }, `Accepted ${count(open, "span")}`);
  }

  async #startAgain() {
    if (await askStartAgain()) this.#act({ type: "start_again" }, "Started again");
  }

  async #editNote() {
    const text = await askNote(this.session.shown.note ?? "");
    if (text !== null) this.#act({ type: "note", text }, "Note kept");
  }

  async #finish() {
    const open = countUndecided(this.spans);
    const answer = open ? await askAboutUndecided(open) : "done";
    if (answer === "done") this.#leave({ type: "done" }, "Done");
    else if (answer === "look") this.#nextOpen();
    else if (answer === "reject") this.#leave({ type: "done", reject_open: true }, "Done");
  }

  #leave(action, told) {
    this.#act(action, told);
    this.listeners.next(this.session.id);
  }
}
