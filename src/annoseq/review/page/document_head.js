/** Head of the document pane: name, state, whether all is saved, and the actions on the whole document. */

import { button, el } from "./elements.js";
import { keyOf } from "./keys.js";

const STATE_NAMES = { untouched: "not started", started: "started", done: "done", skipped: "skipped" };

export class DocumentHead {
  /** `run(command)` carries out a command. */
  constructor(element, run) {
    this.name = el("bdi", { className: "document-name" });
    this.state = el("span", { className: "state" });
    this.saved = el("span", { className: "saved", id: "saved" });
    this.note = el("button", {
      type: "button",
      className: "note",
      hidden: true,
      title: "Change the note",
      on: { click: () => run("note") },
    });
    const make = (title, command, options = {}) =>
      button(title, () => run(command), { keys: keyOf(command), ...options });
    const sign = (glyph, title, command) => {
      const one = button(glyph, () => run(command), {
        kind: "icon",
        title: keyOf(command) ? `${title} (${keyOf(command)})` : title,
      });
      one.setAttribute("aria-label", title);
      return one;
    };
    this.buttons = {
      undo: sign("↶", "Undo", "undo"),
      redo: sign("↷", "Redo", "redo"),
      again: sign("⟲", "Start again", "startAgain"),
      acceptAll: make("Accept all", "acceptAll"),
      note: make("Note", "note"),
      skip: make("Skip", "skip"),
      done: make("Done", "done", { kind: "primary" }),
    };
    element.append(
      el(
        "div",
        { className: "document-title" },
        el("h2", {}, this.name),
        el("div", { className: "document-facts" }, this.state, this.saved),
      ),
      this.note,
      el(
        "div",
        { className: "document-actions", role: "group", "aria-label": "Actions on the document" },
        Object.values(this.buttons),
      ),
    );
    this.element = element;
    element.hidden = true;
  }

  /** Display a session's state. */
  draw(session, isOnline) {
    const { shown, waiting } = session;
    this.element.hidden = false;
    this.name.textContent = shown.name;
    this.state.textContent = STATE_NAMES[shown.state];
    this.state.dataset.state = shown.state;
    this.saved.textContent = waiting ? (isOnline ? "Saving…" : `${waiting} not saved`) : "Saved";
    this.saved.dataset.saved = String(!waiting);
    this.note.textContent = shown.note ?? "";
    this.note.hidden = !shown.note;
    // While actions are on their way there is something to undo, whatever the server last said.
    this.buttons.undo.disabled = !shown.can_undo && !waiting;
    this.buttons.redo.disabled = !shown.can_redo || waiting > 0;
    this.buttons.acceptAll.disabled = !shown.spans.some(({ decision }) => decision === "undecided");
    this.buttons.again.disabled = shown.state === "untouched";
  }
}
