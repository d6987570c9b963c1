/** Queue pane: the documents in the chosen order, a search over their names, more of them on demand. */

import { button, count, el, score } from "./elements.js";

const PAGE_SIZE = 50;
const ORDER_NAMES = {
  mixed: "Uncertain, with a random share",
  uncertain: "Least certain first",
  random: "Random",
  leak: "Leak risk",
  audit: "Probable label errors",
  label: "By label",
  document: "As in the input",
};
const IN_RANDOM_SHARE = "In the random share, which the estimate is made of";
const STATE_SIGNS = { untouched: "○", started: "◐", done: "●", skipped: "⤼" };

export class Queue {
  /** `opened(id)` is called when a document is chosen. */
  constructor(pane, api, opened) {
    this.api = api;
    this.opened = opened;
    this.documents = [];
    this.total = 0;
    this.current = null;
    this.order = el("select", { id: "order", on: { change: () => this.reload() } });
    this.label = el("select", {
      id: "order-label",
      "aria-label": "Label",
      hidden: true,
      on: { change: () => this.reload() },
    });
    this.search = el("input", {
      type: "search",
      id: "search",
      placeholder: "Search names",
      "aria-label": "Search names of documents",
      "aria-keyshortcuts": "/",
      on: { input: () => this.#searchSoon() },
    });
    this.list = el("ol", { className: "rows", id: "queue-rows" });
    this.more = button("Show more", () => this.load(), { kind: "more" });
    this.status = el("p", { className: "none" });
    pane.append(
      el(
        "div",
        { className: "pane-head" },
        el("h2", {}, "Documents"),
        el("label", { className: "field" }, el("span", {}, "Order"), this.order),
        this.label,
        this.search,
      ),
      this.list,
      this.status,
      this.more,
    );
  }

  /** Fill the choices from the project. */
  setProject({ orders, labels }) {
    if (this.order.options.length) return;
    this.order.append(...orders.map((order) => el("option", { value: order }, ORDER_NAMES[order] ?? order)));
    this.order.value = orders.includes("mixed") ? "mixed" : orders[0];
    this.label.append(...labels.map(({ label }) => el("option", { value: label }, label)));
  }

  get parameters() {
    const order = this.order.value;
    return { order, label: order === "label" ? this.label.value : "" };
  }

  #searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.reload(), 150);
  }

  /** Load the first documents of the order anew. */
  async reload() {
    this.label.hidden = this.order.value !== "label";
    await this.load({ fresh: true });
  }

  async load({ fresh = false } = {}) {
    const asked = (this.asked = {});
    const offset = fresh ? 0 : this.documents.length;
    const found = await this.api.post("queue", {
      ...this.parameters,
      offset,
      limit: PAGE_SIZE,
      search: this.search.value.trim(),
    });
    if (asked !== this.asked) return; // another order or search was chosen meanwhile
    this.documents = fresh ? found.documents : [...this.documents, ...found.documents];
    this.total = found.total;
    this.#draw();
  }

  #draw() {
    this.list.replaceChildren(...this.documents.map((document) => this.#row(document)));
    this.more.hidden = this.documents.length >= this.total;
    this.status.textContent = this.total
      ? `${this.documents.length} of ${count(this.total, "document")}`
      : "No document has this in its name.";
    this.setCurrent(this.current);
  }

  #row(document) {
    const { id, name, state, open, uncertainty, random_share: isRandom } = document;
    const told = [name, state, open ? count(open, "undecided span") : null, isRandom ? "random share" : null]
      .filter(Boolean)
      .join(", ");
    return el(
      "li",
      { data: { document: id } },
      el(
        "button",
        { type: "button", className: `row ${state}`, "aria-label": told, on: { click: () => this.opened(id) } },
        el("span", { className: "sign", title: state }, STATE_SIGNS[state]),
        el("bdi", { className: "words" }, name),
        isRandom ? el("span", { className: "random", title: IN_RANDOM_SHARE }, "R") : el("span"),
        el("span", { className: "score", title: "Uncertainty" }, score(uncertainty)),
      ),
    );
  }

  /** Mark the document that is open. */
  setCurrent(id) {
    this.current = id;
    for (const row of this.list.children) {
      const isCurrent = row.dataset.document === String(id);
      if (isCurrent) {
        row.firstChild.setAttribute("aria-current", "true");
        row.firstChild.scrollIntoView({ block: "nearest" });
      } else row.firstChild.removeAttribute("aria-current");
    }
  }

  /** Show a document's new state in its row, without asking the server. */
  setState(id, state, open) {
    const at = this.documents.findIndex((document) => document.id === id);
    if (at < 0 || (this.documents[at].state === state && this.documents[at].open === open)) return;
    this.documents[at] = { ...this.documents[at], state, open };
    this.list.children[at]?.replaceWith(this.#row(this.documents[at]));
    this.setCurrent(this.current);
  }
}
