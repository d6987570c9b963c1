/** Elements of the page: a builder, announcements for screen readers, dialogs, small formats. */

/**
 * Return a new element. Properties are set as properties, those with a dash and `role` as
 * attributes; `on` holds listeners. Children are elements or strings; null is left out.
 */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (key === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, String(value));
    else element[key] = value;
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return an element of the page by its id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Return a button. `keys` is displayed beside its name and told to screen readers. */
export function button(name, press, { keys = null, kind = "", title = null, disabled = false, pressed = null } = {}) {
  return el(
    "button",
    {
      type: "button",
      className: kind,
      disabled,
      title,
      "aria-pressed": pressed,
      "aria-keyshortcuts": keys?.replace("⇧", "Shift+"),
      on: { click: press },
    },
    name,
    keys ? el("kbd", { "aria-hidden": "true" }, keys) : null,
  );
}

let toastTimer = 0;

/** Tell what happened: to screen readers, and for some seconds to the eye. */
export function announce(message, { visibly = true } = {}) {
  const live = byId("live");
  // The same words twice are two messages: a change of the text is what is read out.
  live.textContent = live.textContent === message ? `${message}\u00a0` : message;
  if (!visibly) return;
  const toast = byId("toast");
  toast.textContent = message;
  toast.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("shown"), 4000);
}

/**
 * Open a modal dialog and return what it is closed with: a button's value, null if dismissed.
 * `buttons` are pairs of value and name, of which the first is the default.
 */
export function ask(title, body, buttons) {
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "ask-title" }, title),
    body,
    el(
      "div",
      { className: "dialog-buttons" },
      buttons.map(([value, name], at) => el("button", { value, className: at ? "" : "primary" }, name)),
    ),
  );
  const dialog = el("dialog", { className: "dialog", "aria-labelledby": "ask-title" }, form);
  return openDialog(dialog);
}

/**
 * Show a dialog, and return what it is closed with, null if it is dismissed; the focus goes back.
 * `dialog.finish(value)` closes it at once: the event of the browser's own `close` comes late.
 */
export function openDialog(dialog) {
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.finish = (value) => {
      if (!dialog.isConnected) return;
      dialog.remove();
      before?.focus?.({ preventScroll: true });
      resolve(value || null);
    };
    dialog.addEventListener("close", () => dialog.finish(null));
    dialog.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.finish(event.submitter?.value);
    });
  });
}

/** Return a number of things in words: `1 span`, `2 spans`. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Return a share as a score is written in the field: `.97`, `1.00`. */
export function score(value) {
  return value === null || value === undefined ? "" : value.toFixed(2).replace(/^(-?)0\./, "$1.");
}

/** Return the start of a text on one line, for lists and announcements. */
export function excerpt(text, longest = 60) {
  const line = text.replace(/\s+/gu, " ").trim();
  const letters = Array.from(line);
  return letters.length > longest ? `${letters.slice(0, longest - 1).join("")}…` : line;
}
