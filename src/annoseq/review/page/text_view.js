/**
 * The text of a document with its spans drawn into it. Each display line is a bidi paragraph of its
 * own; lines are grouped into blocks that the browser lays out only where they are in view. A
 * displayed text node has as many UTF-16 units as the text it stands for, so that a place in the
 * page is a place in the text. Only the lines that a change touches are drawn again.
 */

import { controlName, CONTROLS, STAND_IN } from "./text_offsets.js";
import { el, score } from "./elements.js";

const BLOCK_UNITS = 4000;
const LINE_HEIGHT = 34; // pixels, an estimate for blocks that were never laid out
const DECISION_MARKS = { accepted: "✓", rejected: "✕", undecided: "?" };

export class TextView {
  /** `styleOf(label)` returns the CSS classes of a label. */
  constructor(container, styleOf) {
    this.container = container;
    this.styleOf = styleOf;
    this.marks = new Map(); // span id -> its mark elements
    this.nodeUnits = new WeakMap(); // text node -> UTF-16 unit of its first character
    this.selected = null;
    this.offsets = null;
  }

  /** Draw another document. */
  open(offsets, spans) {
    this.offsets = offsets;
    this.spans = spans;
    this.selected = null;
    this.marks.clear();
    this.lineElements = offsets.lines.map(({ number }) =>
      el("div", { className: number ? "line" : "line continued", dir: "auto", data: number ? { number } : {} }),
    );
    const byLine = this.#spansByLine(spans);
    this.lineElements.forEach((element, at) => this.#fill(element, at, byLine.get(at) ?? []));
    this.container.replaceChildren(...this.#blocks());
  }

  #blocks() {
    const blocks = [];
    let block = null;
    let units = Infinity;
    let rows = 0;
    const close = () => block?.style.setProperty("contain-intrinsic-block-size", `auto ${rows * LINE_HEIGHT}px`);
    this.offsets.lines.forEach(({ start, end }, at) => {
      if (units > BLOCK_UNITS) {
        close();
        block = el("div", { className: "block" });
        blocks.push(block);
        units = rows = 0;
      }
      units += end - start;
      rows += 1 + Math.floor((end - start) / 90);
      block.append(this.lineElements[at]);
    });
    close();
    return blocks;
  }

  /** Draw the lines in which spans differ from those displayed. */
  update(spans) {
    const before = new Map(this.spans.map((span) => [span.id, span]));
    const touched = new Set();
    const touch = (span) => this.#eachLine(span, (at) => touched.add(at));
    for (const span of spans) {
      const old = before.get(span.id);
      before.delete(span.id);
      if (old && isDrawnAlike(old, span)) continue;
      touch(span);
      if (old) touch(old);
    }
    for (const old of before.values()) touch(old);
    this.spans = spans;
    this.#redraw(touched);
  }

  /** Mark a span as the selected one, with handles at its edges; null for none. Text nodes stay. */
  select(id) {
    if (id === this.selected) return;
    for (const mark of this.marks.get(this.selected) ?? []) {
      mark.classList.remove("selected");
      for (const handle of mark.querySelectorAll(":scope > .handle")) handle.remove();
    }
    this.selected = id;
    for (const mark of this.marks.get(id) ?? []) markSelected(mark);
  }

  #redraw(touched) {
    if (!touched.size) return;
    const byLine = this.#spansByLine(this.spans, touched);
    for (const at of touched) this.#fill(this.lineElements[at], at, byLine.get(at) ?? []);
  }

  #eachLine(span, visit) {
    const first = this.offsets.lineIndex(this.offsets.unit(span.start));
    const end = this.offsets.unit(span.end);
    for (let at = first; at < this.offsets.lines.length && this.offsets.lines[at].start < end; at += 1) visit(at);
  }

  #spansByLine(spans, wanted = null) {
    const byLine = new Map();
    for (const span of spans) {
      this.#eachLine(span, (at) => {
        if (wanted && !wanted.has(at)) return;
        if (!byLine.has(at)) byLine.set(at, []);
        byLine.get(at).push(span);
      });
    }
    return byLine;
  }

  /** Fill a line: spans become nested marks, and one that crosses another is drawn in two pieces. */
  #fill(element, at, spans) {
    for (const mark of element.querySelectorAll("mark")) this.#forget(mark);
    element.replaceChildren();
    const { start, end } = this.offsets.lines[at];
    const pieces = spans.map((span) => this.#piece(span, start, end));
    const borders = [...new Set([start, end, ...pieces.flatMap(({ from, to }) => [from, to])])].sort((a, b) => a - b);
    const open = [{ element, piece: null }];
    for (let i = 0; i < borders.length; i += 1) {
      const unit = borders[i];
      this.#reopen(open, pieces, unit);
      const next = borders[i + 1];
      if (next !== undefined) this.#write(open.at(-1).element, unit, next);
    }
    markNesting(element);
    for (const mark of element.querySelectorAll("mark")) if (mark.dataset.span === this.selected) markSelected(mark);
  }

  #piece(span, start, end) {
    const from = this.offsets.unit(span.start);
    const to = this.offsets.unit(span.end);
    return { span, from: Math.max(from, start), to: Math.min(to, end), isFirst: from >= start, isLast: to <= end };
  }

  #reopen(open, pieces, unit) {
    const deepest = open.findIndex(({ piece }) => piece && piece.to <= unit);
    if (deepest > 0) {
      const closed = open.splice(deepest);
      for (const { element, piece } of closed) {
        if (piece.to <= unit) continue;
        element.classList.remove("last");
        delete element.dataset.tag;
        this.#openMark(open, { ...piece, isFirst: false });
      }
    }
    for (const piece of pieces) if (piece.from === unit && piece.to > unit) this.#openMark(open, piece);
  }

  #openMark(open, piece) {
    const { span } = piece;
    const classes = ["span", span.decision, ...this.styleOf(span.label)];
    if (span.problem || span.suggested) classes.push("doubtful");
    if (piece.isFirst) classes.push("first");
    if (piece.isLast) classes.push("last");
    const mark = el("mark", { className: classes.join(" "), data: { span: span.id, decision: span.decision } });
    if (piece.isLast) mark.dataset.tag = spanTag(span);
    open.at(-1).element.append(mark);
    open.push({ element: mark, piece });
    if (!this.marks.has(span.id)) this.marks.set(span.id, []);
    this.marks.get(span.id).push(mark);
  }

  #write(parent, start, end) {
    const raw = this.offsets.text.slice(start, end);
    let from = 0;
    for (const match of raw.matchAll(CONTROLS)) {
      this.#append(parent, raw.slice(from, match.index), start + from);
      const sign = el("span", { className: "control", data: { name: controlName(match[0]) } });
      this.#append(sign, STAND_IN, start + match.index);
      parent.append(sign);
      from = match.index + 1;
    }
    this.#append(parent, raw.slice(from), start + from);
  }

  #append(parent, string, unit) {
    if (!string) return;
    const node = document.createTextNode(string);
    this.nodeUnits.set(node, unit);
    parent.append(node);
  }

  #forget(mark) {
    const marks = this.marks.get(mark.dataset.span);
    if (!marks) return;
    const others = marks.filter((one) => one !== mark);
    if (others.length) this.marks.set(mark.dataset.span, others);
    else this.marks.delete(mark.dataset.span);
  }

  /** Return the code point offset of a place in the page, null if it is outside of the text. */
  pointAt(node, offset) {
    if (!this.container.contains(node)) return null;
    return this.offsets.point(this.#unitAt(node, offset));
  }

  #unitAt(node, offset) {
    if (this.nodeUnits.has(node)) return this.nodeUnits.get(node) + offset;
    const walker = document.createTreeWalker(this.container, NodeFilter.SHOW_TEXT);
    walker.currentNode = node.childNodes[offset] ?? node;
    if (!node.childNodes[offset]) {
      while (walker.currentNode.lastChild) walker.currentNode = walker.currentNode.lastChild;
      const last = this.nodeUnits.has(walker.currentNode) ? walker.currentNode : walker.previousNode();
      return last ? this.nodeUnits.get(last) + last.length : 0;
    }
    const next = this.nodeUnits.has(walker.currentNode) ? walker.currentNode : walker.nextNode();
    return next ? this.nodeUnits.get(next) : this.offsets.text.length;
  }

  /** Return the place in the page of a code point offset: a text node and an offset in it. */
  placeOf(point, { atEnd = false } = {}) {
    const unit = this.offsets.unit(point);
    const line = this.lineElements[this.offsets.lineIndex(atEnd ? Math.max(0, unit - 1) : unit)];
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    let node = null;
    while (walker.nextNode()) {
      const start = this.nodeUnits.get(walker.currentNode);
      if (node && (atEnd ? start >= unit : start > unit)) break;
      node = walker.currentNode;
    }
    if (!node) return { node: line, offset: 0 };
    return { node, offset: Math.min(node.length, Math.max(0, unit - this.nodeUnits.get(node))) };
  }

  /** Return the range of the page between two code point offsets. */
  rangeOf(start, end) {
    const range = document.createRange();
    const from = this.placeOf(start);
    const to = this.placeOf(end, { atEnd: end > start });
    range.setStart(from.node, from.offset);
    range.setEnd(to.node, to.offset);
    return range;
  }

  /** Return the code point offset under a place on the screen, null if there is no text. */
  pointUnder(x, y) {
    if (document.caretPositionFromPoint) {
      const place = document.caretPositionFromPoint(x, y);
      return place ? this.pointAt(place.offsetNode, place.offset) : null;
    }
    const range = document.caretRangeFromPoint?.(x, y);
    return range ? this.pointAt(range.startContainer, range.startOffset) : null;
  }
}

function markSelected(mark) {
  mark.classList.add("selected");
  if (mark.classList.contains("first"))
    mark.prepend(el("span", { className: "handle start", data: { edge: "start" } }));
  if (mark.classList.contains("last")) mark.append(el("span", { className: "handle end", data: { edge: "end" } }));
}

/** Give a mark room for the lines of the marks in it, up to three deep. */
function markNesting(line) {
  for (const mark of line.querySelectorAll("mark mark")) {
    let depth = 1;
    for (let outer = mark.parentElement; outer !== line; outer = outer.parentElement, depth += 1) {
      const known = Number(outer.dataset.holds ?? 0);
      if (depth <= known || depth > 3) continue;
      outer.classList.remove(`holds-${known}`);
      outer.classList.add(`holds-${depth}`);
      outer.dataset.holds = String(depth);
    }
  }
}

/** Return what is displayed after a span: the mark of its decision, its label, its score. */
function spanTag(span) {
  return [DECISION_MARKS[span.decision], span.label, span.origin === "model" ? score(span.score) : ""]
    .filter(Boolean)
    .join(" ");
}

function isDrawnAlike(one, other) {
  if (one === other) return true;
  return (
    one.start === other.start &&
    one.end === other.end &&
    one.label === other.label &&
    one.decision === other.decision &&
    one.score === other.score &&
    one.problem === other.problem &&
    Boolean(one.suggested) === Boolean(other.suggested)
  );
}
