/** Keys of the page: one table, from which keys are looked up and the help is displayed. */

import { el, openDialog } from "./elements.js";

/** Sections of the help; a row is the name of a command (null for keys handled elsewhere), its keys, its meaning. */
const TABLE = [
  [
    "Spans",
    [
      ["next", ["j"], "next span"],
      ["previous", ["k"], "previous span"],
      ["nextOpen", ["n"], "next undecided span"],
      ["accept", ["a"], "accept, and go to the next undecided span"],
      ["reject", ["r"], "reject, and go to the next undecided span"],
      ["reopen", ["Backspace", "Delete"], "undecided again; a span of your own is removed"],
      ["relabel", ["l", "Enter"], "choose a label, with search"],
      [null, ["1–9"], "give one of the first nine labels: to the selected text, or to the span"],
      ["edges", ["e"], "stretch or shrink: ← → move the end, ⇧← ⇧→ the start, Enter keeps, Esc gives up"],
      ["suggestion", ["g"], "take what is suggested for the span"],
      ["occurrences", ["o"], "same label for all occurrences in the document"],
      ["occurrencesEverywhere", ["O"], "same label for all occurrences in the project"],
    ],
  ],
  [
    "Text",
    [
      [null, ["← → ↑ ↓"], "move over tokens and lines"],
      [null, ["⇧ with arrows"], "select"],
      [null, ["Home End", "Ctrl Home", "Ctrl End"], "edge of the line, of the document"],
      ["snapping", ["x"], "snap to tokens, or select exactly (holding Alt does so for the mouse)"],
      ["focusText", ["t"], "go to the text"],
      [null, ["Esc"], "give up a selection"],
    ],
  ],
  [
    "Document",
    [
      ["undo", ["u", "Ctrl+z"], "undo"],
      ["redo", ["U", "Ctrl+y", "Ctrl+Z"], "redo"],
      ["acceptAll", ["A"], "accept all undecided spans"],
      ["note", ["c"], "note on the document"],
      ["done", ["d"], "done, and on to the next document"],
      ["skip", ["s"], "skip, and on to the next document"],
      ["nextDocument", ["."], "next document"],
      ["search", ["/"], "search the documents"],
      ["help", ["?"], "this help"],
    ],
  ],
];

const COMMANDS = new Map(
  TABLE.flatMap(([, rows]) => rows.flatMap(([command, keys]) => (command ? keys.map((key) => [key, command]) : []))),
);
const STORED = "annoseq-single-keys";

/** True if single letters are keys; without them, only keys with Ctrl and the buttons remain. */
export function areLettersOn() {
  return localStorage.getItem(STORED) !== "off";
}

/** Return the command of a key event, undefined if it has none. */
export function commandOf(event) {
  const hasModifier = event.ctrlKey || event.metaKey;
  if (event.altKey) return undefined;
  if (!hasModifier && event.key.length === 1 && !areLettersOn() && event.key !== "?") return undefined;
  // Shift alone makes a capital: Caps Lock is no key of the page.
  const letter = /^[a-z]$/i.test(event.key)
    ? event.shiftKey
      ? event.key.toUpperCase()
      : event.key.toLowerCase()
    : event.key;
  return COMMANDS.get(hasModifier ? `Ctrl+${letter}` : letter);
}

/** Return the first key of a command as it is displayed. */
export function keyOf(command) {
  for (const [key, name] of COMMANDS) if (name === command) return display(key);
  return null;
}

function display(key) {
  if (/^[A-Z]$/.test(key)) return `⇧${key}`;
  return /^[a-z]$/.test(key)
    ? key.toUpperCase()
    : key.replace(/\+([a-zA-Z])$/, (_, letter) => `+${letter === "Z" ? "⇧Z" : letter.toUpperCase()}`);
}

/** Show all keys. */
export function showHelp() {
  const sections = TABLE.map(([title, rows]) =>
    el(
      "section",
      {},
      el("h3", {}, title),
      el(
        "dl",
        {},
        rows.flatMap(([, keys, meaning]) => [
          el(
            "dt",
            {},
            keys.map((key) => el("kbd", {}, display(key))),
          ),
          el("dd", {}, meaning),
        ]),
      ),
    ),
  );
  const letters = el("input", {
    type: "checkbox",
    checked: areLettersOn(),
    on: { change: () => localStorage.setItem(STORED, letters.checked ? "on" : "off") },
  });
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", {}, "Keys"),
    el("div", { className: "help-sections" }, sections),
    el(
      "label",
      { className: "check" },
      letters,
      "Single letters are keys (turn off if they clash with speech input)",
    ),
    el("div", { className: "dialog-buttons" }, el("button", { value: "", className: "primary" }, "Close")),
  );
  const dialog = el("dialog", { className: "dialog help", "aria-label": "Keys" }, form);
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.finish(null));
  return openDialog(dialog);
}
