"use strict";
// Everything is put into the page as text, never as markup: the data hold whatever the texts hold.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("list");
  const PAGE = 50, CONTEXT = 70;
  const make = (name, className, text) => {
    const one = document.createElement(name);
    if (className) one.className = className;
    if (text !== undefined) one.textContent = text;
    return one;
  };

  // Offsets count code points, and strings of this language count UTF-16 units.
  const characters = new Map();
  const charactersOf = (row) => {
    if (!characters.has(row)) characters.set(row, Array.from(data.rows[row].text));
    return characters.get(row);
  };
  const covers = (spans, place) => spans.some((one) => one[0] <= place && place < one[1]);
  const endings = (spans, place) => spans.filter((one) => one[1] === place);

  // A piece of a text, what one side marks set off, and what it alone marks more so. Two spans
  // over the same place mark the same where their labels are the same.
  const marked = (row, own, other, from, to) => {
    const text = make("span", "text"), signs = charactersOf(row);
    const key = (spans, place) => spans.filter((one) => one[0] <= place && place < one[1]).map((one) => one[2]).sort().join();
    if (from > 0) text.append("…");
    let piece = "", kind = "";
    const flush = () => {
      if (piece) text.append(kind ? make(kind, "", piece) : piece);
      piece = "";
    };
    for (let place = from; place <= to; place++) {
      const ended = place > from ? endings(own, place) : [];
      if (ended.length) {
        flush();
        for (const one of ended) {
          const score = one.length > 3 ? " " + one[3].toFixed(2) : "";
          text.append(make("span", "tag", data.labels[one[2]] + score));
        }
      }
      if (place === to) break;
      const now = !covers(own, place) ? "" : key(own, place) === key(other, place) ? "mark" : "ins";
      if (now !== kind) { flush(); kind = now; }
      piece += signs[place];
    }
    flush();
    if (to < signs.length) text.append("…");
    return text;
  };

  const sides = (row, from, to) => {
    const { gold, predicted } = data.rows[row];
    return [["gold", gold, predicted], ["found", predicted, gold]].map(([name, own, other]) => {
      const side = make("div", "side");
      side.append(make("span", "", name), marked(row, own, other, from, to));
      return side;
    });
  };

  // Where the model looked: a row for each token that it wrote, a column for each that it read.
  const heat = (row) => {
    const [source, written, weights] = data.rows[row].attention;
    const box = make("div", "wide"), table = make("table", "heat"), top = make("tr");
    box.tabIndex = 0;
    top.append(make("td"), ...source.map((token) => {
      const cell = make("th");
      cell.scope = "col";
      cell.append(make("span", "", token));
      return cell;
    }));
    table.append(top, ...written.map((token, t) => {
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
  const heatButton = (row) => {
    const button = make("button", "link", "attention");
    button.type = "button";
    button.addEventListener("click", () => button.replaceWith(heat(row)));
    return button;
  };

  const unseenText = (row) => data.rows[row].unseen === undefined ? "" : data.rows[row].unseen ? "not trained on" : "trained on";

  const item = ([row, kind, label, score, golds, found, isWrongLabel]) => {
    const one = make("li", "item"), head = make("header");
    one.tabIndex = -1;
    const { gold, predicted } = data.rows[row], length = charactersOf(row).length;
    const spans = [...golds.map((place) => gold[place]), ...found.map((place) => predicted[place])];
    const from = Math.max(0, Math.min(...spans.map((span) => span[0])) - CONTEXT);
    const to = Math.min(length, Math.max(...spans.map((span) => span[1])) + CONTEXT);
    head.append(make("b", "", data.kinds[kind]), make("span", "", data.labels[label]));
    if (isWrongLabel && data.kinds[kind] !== "label") head.append(make("span", "", "and another label"));
    if (score !== null) head.append(make("span", "", "score " + score.toFixed(3)));
    head.append(make("span", "", "row " + data.rows[row].id));
    if (unseenText(row)) head.append(make("span", "", unseenText(row)));
    one.append(head, ...sides(row, from, to));
    if (from > 0 || to < length) {
      const whole = make("button", "link", "whole row");
      whole.type = "button";
      whole.addEventListener("click", () => {
        one.replaceChildren(head, ...sides(row, 0, length));
        if (data.rows[row].attention) one.append(heatButton(row));
        one.focus();
      });
      one.append(whole);
    }
    if (data.rows[row].attention) one.append(" ", heatButton(row));
    return one;
  };

  const showRow = (row) => {
    const place = document.getElementById("row"), one = make("div", "item"), head = make("header");
    head.append(make("b", "", "row " + data.rows[row].id));
    if (unseenText(row)) head.append(make("span", "", unseenText(row)));
    one.append(head, ...sides(row, 0, charactersOf(row).length));
    if (data.rows[row].attention) one.append(heatButton(row));
    place.replaceChildren(one);
    place.focus();
  };

  const every = (query, act) => document.querySelectorAll(query).forEach(act);
  every("[data-row]", (one) => one.addEventListener("click", () => showRow(Number(one.dataset.row))));
  if (!list) return;

  const choice = { kind: "", label: "", sort: "high", words: "" };
  const byId = (id) => document.getElementById(id);
  let chosen = [], shown = 0;

  const fits = (one) => {
    const row = data.rows[one[0]];
    return (!choice.kind || data.kinds[one[1]] === choice.kind)
      && (!choice.label || data.labels[one[2]] === choice.label)
      && (!choice.words || row.id === choice.words || row.text.toLowerCase().includes(choice.words));
  };
  // Mistakes without a score (what was missed) come after those with one.
  const orders = {
    high: (a, b) => (b[3] ?? -1) - (a[3] ?? -1),
    low: (a, b) => (a[3] ?? 2) - (b[3] ?? 2),
    row: () => 0,
  };
  const more = () => {
    list.append(...chosen.slice(shown, shown + PAGE).map(item));
    shown = Math.min(chosen.length, shown + PAGE);
    byId("more").hidden = shown === chosen.length;
    const all = data.mistakes.length.toLocaleString("en");
    byId("count").textContent = `${chosen.length.toLocaleString("en")} of ${all} mistakes, ${shown.toLocaleString("en")} shown`;
  };
  const update = () => {
    chosen = data.mistakes.filter(fits).sort(orders[choice.sort]);
    shown = 0;
    list.replaceChildren();
    every(".filters [data-kind]", (one) => one.setAttribute("aria-pressed", String(one.dataset.kind === choice.kind)));
    byId("label").value = choice.label;
    byId("sort").value = choice.sort;
    more();
  };
  const choose = (changes) => { Object.assign(choice, changes); update(); };

  every(".filters [data-kind]", (one) => one.addEventListener("click", () => choose({ kind: one.dataset.kind })));
  every("[data-label]", (one) => one.addEventListener("click", () => {
    choose({ label: one.dataset.label, kind: one.dataset.of ?? "" });
    byId("atlas").scrollIntoView();
    list.firstElementChild?.focus({ preventScroll: true });
  }));
  byId("label").addEventListener("change", (event) => choose({ label: event.target.value }));
  byId("sort").addEventListener("change", (event) => choose({ sort: event.target.value }));
  byId("search").addEventListener("input", (event) => choose({ words: event.target.value.trim().toLowerCase() }));
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    choose({ kind: "", label: "", sort: "high", words: "" });
  });
  byId("more").addEventListener("click", () => {
    const next = shown;
    more();
    list.children[next]?.focus();
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
    const items = [...list.children], now = items.indexOf(document.activeElement?.closest(".item"));
    if (step > 0 && now === items.length - 1 && shown < chosen.length) more();
    list.children[Math.max(0, now + step)]?.focus();
  });
  update();
})();
