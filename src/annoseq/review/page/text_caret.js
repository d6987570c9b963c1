/**
 * Caret and selection in the text, by mouse, touch and keyboard. Both are code point offsets; the
 * browser's own selection is what is displayed. With snapping on, the caret goes from token to
 * token and a selection grows to whole tokens; with snapping off, it goes by characters.
 */

import { el } from "./elements.js";

const HIGHLIGHT = "snapped";

export class TextCaret {
  /** `listeners`: `moved()` after any change, `pressed(spanIds)` after a click on spans. */
  constructor(view, listeners) {
    this.view = view;
    this.listeners = listeners;
    this.anchor = 0;
    this.focus = 0;
    this.snaps = true;
    this.altHeld = false;
    this.isPressed = false;
    this.isUntold = false; // the caret moved while pressed
    this.bar = el("div", { className: "caret", "aria-hidden": "true" });
    this.column = null; // horizontal place that moves up and down keep
    this.#listen();
  }

  #listen() {
    const { container } = this.view;
    document.addEventListener("selectionchange", () => this.takeSelection());
    container.addEventListener("pointerdown", (event) => (this.isPressed = event.button === 0));
    for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, () => this.#release());
    container.addEventListener("click", (event) => this.#press(event));
    container.addEventListener("copy", (event) => this.#copy(event));
    container.addEventListener("focus", () => this.#drawBar());
    container.addEventListener("blur", () => this.bar.remove());
    for (const type of ["keydown", "keyup", "pointermove"]) {
      document.addEventListener(type, (event) => this.#takeAlt(event.altKey), { passive: true });
    }
    new ResizeObserver(() => this.#drawBar()).observe(container);
  }

  /** Forget the place in the document before. */
  reset() {
    this.anchor = this.focus = 0;
    this.column = null;
    this.#highlight();
    this.bar.remove();
  }

  get isSelecting() {
    return this.anchor !== this.focus;
  }

  /** The selected code points as they are. */
  get exact() {
    return [Math.min(this.anchor, this.focus), Math.max(this.anchor, this.focus)];
  }

  /** The code points that a span would get: snapped to tokens, unless that is off. Null for none. */
  get target() {
    if (!this.isSelecting) return null;
    const [start, end] = this.exact;
    return this.isSnapping ? this.view.offsets.snap(start, end) : [start, end];
  }

  get isSnapping() {
    return this.snaps && !this.altHeld;
  }

  /** Turn snapping on or off. */
  toggleSnapping() {
    this.snaps = !this.snaps;
    this.#highlight();
    this.listeners.moved();
  }

  #takeAlt(held) {
    if (held === this.altHeld) return;
    this.altHeld = held;
    if (!this.isSelecting) return;
    this.#highlight();
    this.listeners.moved();
  }

  /** Take the browser's selection; its own event comes late, a key may be sooner. */
  takeSelection() {
    const selection = getSelection();
    if (!selection.anchorNode || !this.view.offsets) return;
    const anchor = this.view.pointAt(selection.anchorNode, selection.anchorOffset);
    const focus = this.view.pointAt(selection.focusNode, selection.focusOffset);
    if (anchor === null || focus === null || (anchor === this.anchor && focus === this.focus)) return;
    this.anchor = anchor;
    this.focus = focus;
    this.column = null;
    this.#drawBar();
    this.#highlight();
    // A press may begin a selection, which handles of the span under it would break.
    this.isUntold = this.isPressed && !this.isSelecting;
    if (!this.isUntold) this.listeners.moved();
  }

  #release() {
    this.isPressed = false;
    if (!this.isUntold) return;
    this.isUntold = false;
    this.listeners.moved();
  }

  #press(event) {
    if (this.isSelecting) return;
    const ids = [];
    for (let mark = event.target.closest?.("mark"); mark; mark = mark.parentElement.closest("mark"))
      ids.push(mark.dataset.span);
    this.listeners.pressed(ids);
  }

  /** Copy the text itself, and not the symbols that stand for control characters. */
  #copy(event) {
    if (!this.isSelecting) return;
    event.clipboardData.setData("text/plain", this.view.offsets.slice(...this.exact));
    event.preventDefault();
  }

  /** Put the caret at a place, or with `extend` the moving end of the selection. */
  moveTo(point, { extend = false, keepColumn = false, reveal = true } = {}) {
    const limit = this.view.offsets.length;
    this.focus = Math.max(0, Math.min(limit, point));
    if (!extend) this.anchor = this.focus;
    if (!keepColumn) this.column = null;
    this.#giveSelection();
    this.#drawBar();
    if (reveal) this.bar.scrollIntoView({ block: "nearest" });
    this.#highlight();
    this.listeners.moved();
  }

  #giveSelection() {
    const isBackward = this.focus < this.anchor;
    const from = this.view.placeOf(this.anchor, { atEnd: isBackward });
    const to = this.view.placeOf(this.focus, { atEnd: this.focus > this.anchor });
    getSelection().setBaseAndExtent(from.node, from.offset, to.node, to.offset);
  }

  /** Give up the selection; the caret stays. */
  collapse() {
    this.moveTo(this.focus);
  }

  /** Move by a key; false if it is not one that moves. Logical moves follow the line's direction. */
  takeKey(event) {
    const extend = event.shiftKey;
    const isJump = event.ctrlKey || event.metaKey;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowRight": {
        const forward = (event.key === "ArrowRight") !== this.#isRightToLeft();
        this.moveTo(this.#step(forward ? 1 : -1, extend), { extend });
        return true;
      }
      case "ArrowUp":
      case "ArrowDown":
        this.#moveByLine(event.key === "ArrowDown" ? 1 : -1, extend);
        return true;
      case "Home":
      case "End":
        this.moveTo(this.#edgeOfLine(event.key === "End", isJump), { extend });
        return true;
      default:
        return false;
    }
  }

  #isRightToLeft() {
    return getComputedStyle(this.#line()).direction === "rtl";
  }

  #line() {
    const { offsets, lineElements } = this.view;
    return lineElements[offsets.lineIndex(offsets.unit(this.focus))];
  }

  #step(direction, extend) {
    const { offsets } = this.view;
    if (!this.isSnapping) return offsets.nextGrapheme(this.focus, direction);
    // A selection grows to whole tokens: its last place is the end of one, its first the start.
    const isEnd = extend && (direction > 0 ? this.focus >= this.anchor : this.focus > this.anchor);
    const point = offsets.nextBorder(this.focus, direction, isEnd ? "end" : "start");
    return isEnd && direction < 0 ? Math.max(point, this.anchor) : point;
  }

  #moveByLine(direction, extend) {
    this.#drawBar();
    const place = this.bar.getBoundingClientRect();
    this.column ??= place.left;
    const line = place.height || 20;
    for (let distance = 1; distance <= 3; distance += 0.5) {
      const y = place.top + line / 2 + direction * distance * line;
      const point = this.view.pointUnder(this.column, y);
      if (point === null || (direction > 0 ? point <= this.focus : point >= this.focus)) continue;
      this.moveTo(point, { extend, keepColumn: true });
      return;
    }
    const { offsets } = this.view;
    const at = offsets.lineIndex(offsets.unit(this.focus)) + direction;
    const next = offsets.lines[Math.max(0, Math.min(offsets.lines.length - 1, at))];
    this.moveTo(at < 0 ? 0 : offsets.point(at < offsets.lines.length ? next.start : next.end), {
      extend,
      keepColumn: true,
    });
  }

  #edgeOfLine(isEnd, isWhole) {
    const { offsets } = this.view;
    if (isWhole) return isEnd ? offsets.length : 0;
    const { start, end } = offsets.lines[offsets.lineIndex(offsets.unit(this.focus))];
    if (!isEnd) return offsets.point(start);
    return offsets.point(end - /\r?\n?$/.exec(offsets.text.slice(start, end))[0].length);
  }

  #isText(node) {
    return this.view.nodeUnits.has(node) && node.isConnected;
  }

  #drawBar() {
    const { container, offsets } = this.view;
    if (!offsets?.length || document.activeElement !== container) return this.bar.remove();
    const line = this.#line();
    const place = this.view.rangeOf(this.focus, this.focus).getClientRects()[0] ?? line.getBoundingClientRect();
    const around = line.getBoundingClientRect();
    this.bar.style.setProperty("left", `${place.left - around.left}px`);
    this.bar.style.setProperty("top", `${place.top - around.top}px`);
    this.bar.style.setProperty("height", `${Math.min(place.height, 28)}px`);
    if (this.bar.parentElement !== line) line.append(this.bar);
    return undefined;
  }

  /** Display what a span would get, where the browser can (the dock tells it in words). */
  #highlight() {
    if (!globalThis.CSS?.highlights) return;
    const target = this.view.offsets && this.target;
    if (!target) CSS.highlights.delete(HIGHLIGHT);
    else CSS.highlights.set(HIGHLIGHT, new Highlight(this.view.rangeOf(...target)));
  }

  /** Give the browser its selection again, and draw the caret, after lines were drawn again. */
  refresh() {
    const { anchorNode, focusNode } = getSelection();
    if (this.view.container.contains(anchorNode) && !(this.#isText(anchorNode) && this.#isText(focusNode)))
      this.#giveSelection();
    this.#drawBar();
    this.#highlight();
  }
}
