/** Labels: their styles and number keys, and the dialog in which one is chosen, with a search. */

import { el, openDialog } from "./elements.js";

const HUES = 8; // a palette for colour-blind readers has no more; beyond it the line's pattern differs
const PATTERNS = 5;

export class Labels {
  /** `counted` is a list of `{label, count}`; the first nine have number keys, which stay as they are. */
  set(counted) {
    const known = new Set(this.names);
    this.names = [...(this.names ?? []), ...counted.map(({ label }) => label).filter((label) => !known.has(label))];
    this.counts = new Map(counted.map(({ label, count }) => [label, count]));
    this.places = new Map(this.names.map((name, at) => [name, at]));
  }

  /** Return the CSS classes of a label: one of eight hues and one of five line patterns. */
  styleOf = (label) => {
    const at = this.places.get(label) ?? 0;
    return [`hue-${at % HUES}`, `pattern-${Math.floor(at / HUES) % PATTERNS}`];
  };

  /** Return the label of a number key, undefined if it has none. */
  ofKey(key) {
    return /^[1-9]$/.test(key) ? this.names[Number(key) - 1] : undefined;
  }

  /** Return a label as it is displayed: with its colour and line. */
  chip(label) {
    return el("span", { className: ["chip", ...this.styleOf(label)].join(" ") }, label);
  }
}

/** Return the labels that a search finds: those that begin with it first, then those that hold it. */
export function searchLabels(names, query) {
  const wanted = query.trim().toLowerCase();
  const found = names.filter((name) => name.toLowerCase().includes(wanted));
  const begins = (name) =>
    name
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .some((word) => word.startsWith(wanted));
  return [...found.filter(begins), ...found.filter((name) => !begins(name))];
}

/** Let the user choose a label; null if none was chosen. `near` is a rectangle to stand beside. */
export async function pickLabel(labels, { title, current = null, near = null }) {
  let shown = [];
  let active = 0;
  const input = el("input", {
    type: "text",
    id: "label-search",
    autocomplete: "off",
    spellcheck: false,
    placeholder: "Search labels",
    role: "combobox",
    "aria-expanded": "true",
    "aria-controls": "label-options",
    "aria-autocomplete": "list",
    "aria-label": title,
  });
  const options = el("ul", { id: "label-options", role: "listbox", "aria-label": "Labels" });
  const none = el("p", { className: "none", hidden: true }, "No label has this in its name.");
  const dialog = el(
    "dialog",
    { className: "dialog picker", "aria-label": title },
    el("h2", {}, title),
    input,
    options,
    none,
  );
  const choose = (label) => label !== undefined && dialog.finish(label);

  const draw = () => {
    options.replaceChildren(
      ...shown.map((label, at) => {
        const place = labels.places.get(label);
        return el(
          "li",
          {
            role: "option",
            id: `label-option-${at}`,
            "aria-selected": String(at === active),
            className: label === current ? "current" : "",
            on: { click: () => choose(label) },
          },
          labels.chip(label),
          el("span", { className: "amount" }, String(labels.counts.get(label) ?? 0)),
          place < 9 ? el("kbd", {}, String(place + 1)) : el("span", { className: "no-key" }),
        );
      }),
    );
    none.hidden = shown.length > 0;
    if (shown.length) input.setAttribute("aria-activedescendant", `label-option-${active}`);
    else input.removeAttribute("aria-activedescendant");
    options.children[active]?.scrollIntoView({ block: "nearest" });
  };
  const search = () => {
    shown = searchLabels(labels.names, input.value);
    active = Math.max(0, input.value ? 0 : shown.indexOf(current));
    draw();
  };
  const move = (by) => {
    active = (active + by + shown.length) % (shown.length || 1);
    draw();
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    const isNumber = !input.value && labels.ofKey(event.key) !== undefined && !event.ctrlKey && !event.metaKey;
    if (isNumber) choose(labels.ofKey(event.key));
    else if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter") choose(shown[active]);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.finish(null));
  const closed = openDialog(dialog);
  search();
  if (near) placeBeside(dialog, near);
  input.focus();
  return closed;
}

/** Place a dialog below a rectangle of the screen, or above it where there is more room. */
function placeBeside(dialog, near) {
  if (innerWidth < 700) return; // a narrow screen: it stays in the middle
  const { width, height } = dialog.getBoundingClientRect();
  const left = Math.max(8, Math.min(near.left, innerWidth - width - 8));
  const below = near.bottom + 8;
  const top = below + height < innerHeight ? below : Math.max(8, near.top - height - 8);
  dialog.style.setProperty("margin", "0");
  dialog.style.setProperty("left", `${left}px`);
  dialog.style.setProperty("top", `${top}px`);
}
