/**
 * Offsets of a text: code points, which the server and the exported pairs count, and UTF-16 units,
 * which the browser counts. Also its display lines, and the borders of tokens and graphemes.
 */

const LONGEST_LINE = 2000; // units; a longer line is displayed in pieces, so that layout stays cheap

/** Abbreviations that Unicode has for characters without a glyph, and for those that change the direction. */
const C0 =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );
const ABBREVIATIONS = new Map([
  [0x7f, "DEL"],
  [0x85, "NEL"],
  [0xad, "SHY"],
  [0x200b, "ZWSP"],
  [0x2028, "LS"],
  [0x2029, "PS"],
  [0x202a, "LRE"],
  [0x202b, "RLE"],
  [0x202c, "PDF"],
  [0x202d, "LRO"],
  [0x202e, "RLO"],
  [0x2060, "WJ"],
  [0x2066, "LRI"],
  [0x2067, "RLI"],
  [0x2068, "FSI"],
  [0x2069, "PDI"],
  [0xfeff, "BOM"],
]);
/** Stands in the page for a control character: one UTF-16 unit for one. */
export const STAND_IN = "\ufffd";
export const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g;

/** Return what is displayed for a control character: its abbreviation, or its number. */
export function controlName(character) {
  const code = character.charCodeAt(0);
  return C0[code] ?? ABBREVIATIONS.get(code) ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

export class TextOffsets {
  /** `tokens` are pairs of code points; white space at their edges is left out. */
  constructor(text, tokens = []) {
    this.text = text;
    this.unitOf = null; // identity where every character has one unit
    this.pointOf = null;
    if (/[\ud800-\udbff][\udc00-\udfff]/.test(text)) this.#count();
    this.length = this.unitOf ? this.unitOf.length - 1 : text.length;
    this.lines = splitLines(text);
    this.#keepTokens(tokens);
    this.segmenter = Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;
  }

  #count() {
    const { text } = this;
    this.pointOf = new Uint32Array(text.length + 1);
    const units = [];
    for (let unit = 0, point = 0; unit < text.length; point += 1) {
      units.push(unit);
      const width = text.codePointAt(unit) > 0xffff ? 2 : 1;
      this.pointOf.fill(point, unit, unit + width);
      unit += width;
    }
    this.pointOf[text.length] = units.length;
    units.push(text.length);
    this.unitOf = Uint32Array.from(units);
  }

  #keepTokens(tokens) {
    this.starts = [];
    this.ends = [];
    for (const [first, last] of tokens) {
      const [start, end] = this.trim(first, last);
      if (start < end) {
        this.starts.push(start);
        this.ends.push(end);
      }
    }
  }

  /** Return the UTF-16 unit of a code point offset. */
  unit(point) {
    return this.unitOf ? this.unitOf[point] : point;
  }

  /** Return the code point offset of a UTF-16 unit; within a character, that of its start. */
  point(unit) {
    return this.pointOf ? this.pointOf[unit] : unit;
  }

  /** Return the text between two code point offsets. */
  slice(start, end) {
    return this.text.slice(this.unit(start), this.unit(end));
  }

  /** Return a span without the white space at its edges; empty at its start if it has nothing else. */
  trim(start, end) {
    const piece = this.slice(start, end);
    const blank = /^[\s\x1c-\x1f\x85]*/u.exec(piece)[0].length;
    if (blank === piece.length) return [start, start];
    const tail = /[\s\x1c-\x1f\x85]*$/u.exec(piece)[0].length; // white space has one unit a character
    return [start + blank, end - tail];
  }

  /** Return the span of the tokens that a selection touches, null if it touches none. */
  snap(start, end) {
    const first = firstAbove(this.ends, start);
    const last = firstAbove(this.starts, end - 1) - 1;
    if (first >= this.ends.length || last < first) return null;
    return [this.starts[first], this.ends[last]];
  }

  /** Return the nearest start of a token, or the nearest end. */
  nearestBorder(point, side) {
    const borders = side === "start" ? this.starts : this.ends;
    const next = firstAbove(borders, point - 1);
    const above = borders[next] ?? borders.at(-1) ?? point;
    const below = borders[next - 1] ?? above;
    return point - below < above - point ? below : above;
  }

  /** Return the next border of a token in a direction (1 or -1): its starts, or its ends. */
  nextBorder(point, direction, side) {
    const borders = side === "start" ? this.starts : this.ends;
    if (direction > 0) return borders[firstAbove(borders, point)] ?? this.length;
    return borders[firstAbove(borders, point - 1) - 1] ?? 0;
  }

  /** Return the next border between graphemes (what a reader takes for one character). */
  nextGrapheme(point, direction) {
    const unit = this.unit(point);
    const at = this.lineIndex(direction > 0 ? unit : Math.max(0, unit - 1));
    const { start, end } = this.lines[at];
    if (!this.segmenter) return Math.min(this.length, Math.max(0, point + direction));
    const pieces = this.segmenter.segment(this.text.slice(start, end));
    const inside = direction > 0 ? unit - start : unit - start - 1;
    const piece = pieces.containing(inside);
    if (!piece) return direction > 0 ? this.length : 0;
    return this.point(start + piece.index + (direction > 0 ? piece.segment.length : 0));
  }

  /** Return the index of the display line that holds a UTF-16 unit. */
  lineIndex(unit) {
    let low = 0;
    let high = this.lines.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lines[middle].start <= unit) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Return the index of the first number of a sorted list that is greater than a value. */
function firstAbove(numbers, value) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Return the display lines: a line of the text with its line end, or a piece of a long one. */
function splitLines(text) {
  const lines = [];
  let start = 0;
  for (let number = 1; start < text.length || number === 1; number += 1) {
    const feed = text.indexOf("\n", start);
    const end = feed < 0 ? text.length : feed + 1;
    let from = start;
    while (end - from > LONGEST_LINE) {
      const to = breakBefore(text, from + LONGEST_LINE);
      lines.push({ start: from, end: to, number: from === start ? number : null });
      from = to;
    }
    lines.push({ start: from, end, number: from === start ? number : null });
    start = end;
  }
  return lines;
}

/** Return a unit at or before another where a long line may be broken: after a space if there is one. */
function breakBefore(text, unit) {
  const space = text.lastIndexOf(" ", unit - 1);
  if (space > unit - 200) return space + 1;
  const inPair = /[\udc00-\udfff]/.test(text[unit]);
  return inPair ? unit - 1 : unit;
}
