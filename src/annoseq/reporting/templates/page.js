"use strict";
// Texts are added to the page as text nodes, never as markup, because they may contain anything.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("list");
  const PAGE_SIZE = 50, CONTEXT = 70;
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Offsets count code points, and JavaScript strings count UTF-16 units.
  const characterCache = new Map();
  const charactersOf = (row) => {
    if (!characterCache.has(row)) characterCache.set(row, Array.from(data.rows[row].text));
    return characterCache.get(row);
  };
  const spansAt = (spans, offset) => spans.filter((span) => span[0] <= offset && offset < span[1]);
  const spansEndingAt = (spans, offset) => spans.filter((span) => span[1] === offset);
  const labelsAt = (spans, offset) => spansAt(spans, offset).map((span) => span[2]).sort().join();

  // Text of a row with the spans of one side: <mark> where the other side has the same labels,
  // <ins> where it has not.
  const highlight = (row, own, other, from, to) => {
    const text = make("span", "text"), characters = charactersOf(row);
    if (from > 0) text.append("…");
    let piece = "", tag = "";
    const flush = () => {
      if (piece) text.append(tag ? make(tag, "", piece) : piece);
      piece = "";
    };
    for (let offset = from; offset <= to; offset++) {
      const ending = offset > from ? spansEndingAt(own, offset) : [];
      if (ending.length) {
        flush();
        for (const span of ending) {
          const score = span.length > 3 ? " " + span[3].toFixed(2) : "";
          text.append(make("span", "tag", data.labels[span[2]] + score));
        }
      }
      if (offset === to) break;
      const isSame = labelsAt(own, offset) === labelsAt(other, offset);
      const nextTag = !spansAt(own, offset).length ? "" : isSame ? "mark" : "ins";
      if (nextTag !== tag) { flush(); tag = nextTag; }
      piece += characters[offset];
    }
    flush();
    if (to < characters.length) text.append("…");
    return text;
  };

  const sides = (row, from, to) => {
    const { gold, predicted } = data.rows[row];
    return [["gold", gold, predicted], ["predicted", predicted, gold]].map(([name, own, other]) => {
      const side = make("div", "side");
      side.append(make("span", "", name), highlight(row, own, other, from, to));
      return side;
    });
  };

  // Attention map: a row for each output token, a column for each source token.
  const attentionTable = (row) => {
    const [source, written, weights] = data.rows[row].attention;
    const box = make("div", "wide"), table = make("table", "heat"), header = make("tr");
    box.tabIndex = 0;
    header.append(make("td"), ...source.map((token) => {
      const cell = make("th");
      cell.scope = "col";
      cell.append(make("span", "", token));
      return cell;
    }));
    table.append(header, ...written.map((token, t) => {
      const line = make("tr"), name = make("th", "", token);
      name.scope = "row";
      line.append(name, ...Array.from(weights[t], (digit, s) => {
        const cell = make("td");
        cell.style.setProperty("--share", digit * 11 + "%");
        cell.title = `${token} ← ${source[s]}: ${digit / 10}`;
        return cell;
      }));
      return line;
    }));
    box.append(table);
    return box;
  };
  const attentionButton = (row) => {
    const button = make("button", "link", "attention");
    button.type = "button";
    button.addEventListener("click", () => button.replaceWith(attentionTable(row)));
    return button;
  };

  const unseenText = (row) => data.rows[row].unseen === undefined ? "" : data.rows[row].unseen ? "not trained on" : "trained on";

  const errorItem = ([row, type, label, score, goldIndices, predictedIndices, hasWrongLabel]) => {
    const item = make("li", "item"), header = make("header");
    item.tabIndex = -1;
    const { gold, predicted } = data.rows[row], length = charactersOf(row).length;
    const spans = [...goldIndices.map((index) => gold[index]), ...predictedIndices.map((index) => predicted[index])];
    const from = Math.max(0, Math.min(...spans.map((span) => span[0])) - CONTEXT);
    const to = Math.min(length, Math.max(...spans.map((span) => span[1])) + CONTEXT);
    header.append(make("b", "", data.types[type]), make("span", "", data.labels[label]));
    if (hasWrongLabel && data.types[type] !== "label") header.append(make("span", "", "and another label"));
    if (score !== null) header.append(make("span", "", "score " + score.toFixed(3)));
    header.append(make("span", "", "row " + data.rows[row].id));
    if (unseenText(row)) header.append(make("span", "", unseenText(row)));
    item.append(header, ...sides(row, from, to));
    if (from > 0 || to < length) {
      const wholeRow = make("button", "link", "whole row");
      wholeRow.type = "button";
      wholeRow.addEventListener("click", () => {
        item.replaceChildren(header, ...sides(row, 0, length));
        if (data.rows[row].attention) item.append(attentionButton(row));
        item.focus();
      });
      item.append(wholeRow);
    }
    if (data.rows[row].attention) item.append(" ", attentionButton(row));
    return item;
  };

  const showRow = (row) => {
    const container = document.getElementById("row"), item = make("div", "item"), header = make("header");
    header.append(make("b", "", "row " + data.rows[row].id));
    if (unseenText(row)) header.append(make("span", "", unseenText(row)));
    item.append(header, ...sides(row, 0, charactersOf(row).length));
    if (data.rows[row].attention) item.append(attentionButton(row));
    container.replaceChildren(item);
    container.focus();
  };

  const forEach = (selector, act) => document.querySelectorAll(selector).forEach(act);
  forEach("[data-row]", (button) => button.addEventListener("click", () => showRow(Number(button.dataset.row))));
  if (!list) return;

  const filters = { type: "", label: "", sort: "high", search: "" };
  const byId = (id) => document.getElementById(id);
  let selected = [], shown = 0;

  const matches = (error) => {
    const row = data.rows[error[0]];
    return (!filters.type || data.types[error[1]] === filters.type)
      && (!filters.label || data.labels[error[2]] === filters.label)
      && (!filters.search || row.id === filters.search || row.text.toLowerCase().includes(filters.search));
  };
  // Errors without a score (missed spans) come after those with a score.
  const orders = {
    high: (a, b) => (b[3] ?? -1) - (a[3] ?? -1),
    low: (a, b) => (a[3] ?? 2) - (b[3] ?? 2),
    row: () => 0,
  };
  const formatCount = (count) => count.toLocaleString("en");
  const showMore = () => {
    list.append(...selected.slice(shown, shown + PAGE_SIZE).map(errorItem));
    shown = Math.min(selected.length, shown + PAGE_SIZE);
    byId("more").hidden = shown === selected.length;
    byId("count").textContent = `${formatCount(selected.length)} of ${formatCount(data.errors.length)} errors, ${formatCount(shown)} shown`;
  };
  const update = () => {
    selected = data.errors.filter(matches).sort(orders[filters.sort]);
    shown = 0;
    list.replaceChildren();
    forEach(".filters [data-type]", (button) => button.setAttribute("aria-pressed", String(button.dataset.type === filters.type)));
    byId("label").value = filters.label;
    byId("sort").value = filters.sort;
    showMore();
  };
  const setFilters = (changes) => { Object.assign(filters, changes); update(); };

  forEach(".filters [data-type]", (button) => button.addEventListener("click", () => setFilters({ type: button.dataset.type })));
  forEach("[data-label]", (button) => button.addEventListener("click", () => {
    setFilters({ label: button.dataset.label, type: button.dataset.of ?? "" });
    byId("errors").scrollIntoView();
    list.firstElementChild?.focus({ preventScroll: true });
  }));
  byId("label").addEventListener("change", (event) => setFilters({ label: event.target.value }));
  byId("sort").addEventListener("change", (event) => setFilters({ sort: event.target.value }));
  byId("search").addEventListener("input", (event) => setFilters({ search: event.target.value.trim().toLowerCase() }));
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    setFilters({ type: "", label: "", sort: "high", search: "" });
  });
  byId("more").addEventListener("click", () => {
    const first = shown;
    showMore();
    list.children[first]?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") {
      event.preventDefault();
      byId("search").focus();
      return;
    }
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const items = [...list.children], current = items.indexOf(document.activeElement?.closest(".item"));
    if (step > 0 && current === items.length - 1 && shown < selected.length) showMore();
    list.children[Math.max(0, current + step)]?.focus();
  });
  update();
})();
