/**
 * Stretching and shrinking a span: by dragging one of its edges, or by keys. While it goes on, the
 * span is displayed as it would be; only when it ends is there one action.
 */

import { findCrossing } from "./document_session.js";

export class SpanEdges {
  /** `listeners`: `previewed(span)` with the span as it would be or null, `resized(id, start, end)`, `refused(span)`. */
  constructor(view, caret, listeners) {
    this.view = view;
    this.caret = caret;
    this.listeners = listeners;
    this.span = null; // as it was before
    this.start = this.end = 0;
    this.isDragging = false;
    view.container.addEventListener("pointerdown", (event) => this.#startDrag(event));
    view.container.addEventListener("pointermove", (event) => this.#drag(event));
    view.container.addEventListener("pointerup", () => this.isDragging && this.finish());
    view.container.addEventListener("pointercancel", () => this.isDragging && this.cancel());
  }

  get isActive() {
    return this.span !== null;
  }

  /** Begin with a span. */
  begin(span) {
    this.span = span;
    this.start = span.start;
    this.end = span.end;
    this.#preview();
  }

  /** Move an edge by a key: left and right move the end, with Shift the start. False for other keys. */
  takeKey(event) {
    if (event.key === "Enter") this.finish();
    else if (event.key === "Escape") this.cancel();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const line = this.view.marks.get(this.span.id)?.[0]?.closest(".line");
      const isForward = (event.key === "ArrowRight") !== (line && getComputedStyle(line).direction === "rtl");
      this.move(event.shiftKey ? "start" : "end", isForward ? 1 : -1);
    } else return false;
    return true;
  }

  /** Move an edge to the next border of a token, or by a character if snapping is off. */
  move(edge, direction) {
    const { offsets } = this.view;
    const from = edge === "start" ? this.start : this.end;
    const to = this.caret.isSnapping
      ? offsets.nextBorder(from, direction, edge)
      : offsets.nextGrapheme(from, direction);
    this.#set(edge, to);
  }

  #set(edge, point) {
    const start = edge === "start" ? point : this.start;
    const end = edge === "end" ? point : this.end;
    if (start >= end) return;
    this.start = start;
    this.end = end;
    this.#preview();
  }

  #preview() {
    const crossed = findCrossing(this.view.spans, this.start, this.end, this.span.id);
    this.listeners.previewed({ ...this.span, start: this.start, end: this.end }, crossed);
  }

  #startDrag(event) {
    const handle = event.target.closest?.(".handle");
    if (!handle || event.button > 0) return;
    event.preventDefault(); // the text is not to be selected
    const id = handle.closest("mark").dataset.span;
    const span = this.view.spans.find((one) => one.id === id);
    this.edge = handle.dataset.edge;
    this.isDragging = true;
    this.view.container.setPointerCapture(event.pointerId);
    this.begin(span);
  }

  #drag(event) {
    if (!this.isDragging) return;
    const point = this.view.pointUnder(event.clientX, event.clientY);
    if (point === null) return;
    this.#set(this.edge, this.caret.isSnapping ? this.view.offsets.nearestBorder(point, this.edge) : point);
  }

  /** Keep the edges as they are displayed. */
  finish() {
    const { span, start, end } = this;
    const crossed = findCrossing(this.view.spans, start, end, span.id);
    this.#end();
    if (crossed) this.listeners.refused(crossed);
    else if (start !== span.start || end !== span.end) this.listeners.resized(span.id, start, end);
  }

  /** Give up, and display the span as it was. */
  cancel() {
    this.#end();
  }

  #end() {
    this.span = null;
    this.isDragging = false;
    this.listeners.previewed(null, undefined);
  }
}
