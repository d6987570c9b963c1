/** Dialogs about a whole document: its note, its undecided spans, and starting again. */

import { ask, count, el } from "./elements.js";

/** Ask for the note on a document; null if it stays as it is. */
export async function askNote(current) {
  const field = el("textarea", { id: "note", rows: 4, value: current, maxLength: 10_000, "aria-label": "Note" });
  const hint = el("p", { className: "hint" }, "A note is kept with the decisions; it changes no span.");
  const answer = await ask("Note", el("div", {}, field, hint), [
    ["keep", "Keep"],
    ["", "Cancel"],
  ]);
  return answer && field.value !== current ? field.value : null;
}

/** Ask what becomes of the undecided spans of a document that is to be done: `look`, `reject`, or null. */
export function askAboutUndecided(open) {
  const are = open === 1 ? "is" : "are";
  const told = `${count(open, "span")} of this document ${are} undecided, and nothing undecided becomes gold.`;
  return ask("Not everything is decided", el("p", {}, told), [
    ["look", "Look at them"],
    ["reject", "Reject them, done"],
    ["", "Cancel"],
  ]);
}

/** Ask whether the decisions on a document are to be taken back; null if not. */
export function askStartAgain() {
  const told = "Your decisions in this document are taken back. Undo brings them back.";
  return ask("Start again?", el("p", {}, told), [
    ["again", "Start again"],
    ["", "Cancel"],
  ]);
}
