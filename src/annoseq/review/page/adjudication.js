/** Adjudication of a document: the differences of its reviewers, and a choice for each. */

import { announce, button, count, el } from "./elements.js";
import { Refusal } from "./api.js";
import { TextOffsets } from "./text_offsets.js";

const AROUND = 90; // code points of context on each side of a difference

/** Display a document's differences, one choice for each, and save what is chosen. */
export async function showAdjudication(main, api, id, labels) {
  const { text, spans_by_reviewer: byReviewer, resolved } = await api.get(`adjudication/${id}`);
  const offsets = new TextOffsets(text);
  const { agreed, differences } = findDifferences(byReviewer);
  const chosen = differences.map((versions) => initialChoice(versions, resolved));
  const status = el("p", { className: "lead", role: "status" });
  const save = button("Save", () => submit(), { kind: "primary" });
  const tell = () => {
    const open = chosen.filter((version) => !version).length;
    status.textContent = `${count(agreed.length, "span")} agreed, ${count(differences.length, "difference")}, ${open} open.`;
    save.disabled = open > 0;
  };
  const submit = async () => {
    const spans = [...agreed, ...chosen.flatMap((version) => version.spans)].sort(byPlace);
    try {
      await api.post(`adjudication/${id}`, { spans });
      announce("The adjudication is saved.");
      location.hash = "#/agreement";
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      announce(error.message);
    }
  };
  const cards = differences.map((versions, at) =>
    card(offsets, versions, labels, at, chosen[at], (version) => {
      chosen[at] = version;
      tell();
    }),
  );
  main.replaceChildren(
    el("p", {}, el("a", { href: "#/agreement" }, "← Agreement")),
    el("h2", {}, "Adjudication"),
    status,
    ...cards,
    el("div", { className: "dialog-buttons" }, save),
  );
  tell();
}

const byPlace = (one, other) => one.start - other.start || other.end - one.end;
const keyOf = ({ start, end, label }) => `${start} ${end} ${label}`;

/** Return the spans that all reviewers have, and for each difference the versions to choose from. */
export function findDifferences(byReviewer) {
  const names = Object.keys(byReviewer);
  const sets = names.map((name) => new Set(byReviewer[name].map(keyOf)));
  const bare = ({ start, end, label }) => ({ start, end, label });
  const isAgreed = (span) => sets.every((set) => set.has(keyOf(span)));
  const agreed = byReviewer[names[0]].filter(isAgreed).map(bare);
  const rest = names
    .flatMap((name) => byReviewer[name].filter((span) => !isAgreed(span)).map((span) => ({ name, span: bare(span) })))
    .sort((one, other) => byPlace(one.span, other.span));
  const groups = [];
  let reach = -1;
  for (const found of rest) {
    if (found.span.start >= reach) groups.push([]);
    groups.at(-1).push(found);
    reach = Math.max(reach, found.span.end);
  }
  return { agreed, differences: groups.map((group) => versionsOf(group, names)) };
}

/** Return each reviewer's spans; where all have some, also all of them if they nest or touch, and none. */
function versionsOf(group, names) {
  const versions = names.map((name) => ({
    name,
    spans: group.filter((one) => one.name === name).map(({ span }) => span),
  }));
  if (versions.some(({ spans }) => !spans.length)) return versions;
  const all = group.map(({ span }) => span);
  const fits = all.every((one, at) =>
    all
      .slice(at + 1)
      .every(
        (other) => one.end <= other.start || other.end <= one.start || contains(one, other) !== contains(other, one),
      ),
  );
  return [...versions, ...(fits ? [{ name: "both", spans: all }] : []), { name: "neither", spans: [] }];
}

function contains(outer, inner) {
  return outer.start <= inner.start && inner.end <= outer.end;
}

/** Return the version that an earlier adjudication chose, null if there was none. */
function initialChoice(versions, resolved) {
  if (!resolved?.length) return null;
  const kept = new Set(resolved.map(keyOf));
  const seen = versions
    .flatMap(({ spans }) => spans)
    .filter((span) => kept.has(keyOf(span)))
    .map(keyOf);
  const wanted = [...new Set(seen)].sort().join();
  return versions.find(({ spans }) => spans.map(keyOf).sort().join() === wanted) ?? null;
}

function card(offsets, versions, labels, at, chosen, choose) {
  const all = versions.flatMap(({ spans }) => spans);
  const start = Math.max(0, Math.min(...all.map((span) => span.start)) - AROUND);
  const end = Math.min(offsets.length, Math.max(...all.map((span) => span.end)) + AROUND);
  return el(
    "fieldset",
    { className: "difference" },
    el("legend", {}, `Difference ${at + 1}`),
    versions.map((version) =>
      el(
        "label",
        { className: "version" },
        el("input", {
          type: "radio",
          name: `difference-${at}`,
          value: version.name,
          checked: version === chosen,
          on: { change: () => choose(version) },
        }),
        el(
          "span",
          { className: "version-name" },
          version.name,
          version.spans.length ? null : el("span", { className: "hint" }, " no span"),
        ),
        el(
          "span",
          { className: "version-text", dir: "auto" },
          markedText(offsets, start, end, version.spans, labels),
        ),
      ),
    ),
  );
}

/** Return a piece of the text with spans marked; one reviewer's spans nest, and never cross. */
function markedText(offsets, start, end, spans, labels) {
  const parts = start > 0 ? ["…"] : [];
  parts.push(...nestedMarks(offsets, start, end, spans, labels));
  if (end < offsets.length) parts.push("…");
  return parts;
}

function nestedMarks(offsets, start, end, spans, labels) {
  const parts = [];
  let at = start;
  const waiting = [...spans].sort(byPlace);
  while (waiting.length) {
    const outer = waiting.shift();
    const inner = [];
    while (waiting.length && waiting[0].start < outer.end) inner.push(waiting.shift());
    parts.push(offsets.slice(at, outer.start));
    parts.push(
      el(
        "mark",
        {
          className: ["span", "accepted", "first", "last", ...labels.styleOf(outer.label)].join(" "),
          data: { tag: outer.label },
        },
        nestedMarks(offsets, outer.start, outer.end, inner, labels),
      ),
    );
    at = outer.end;
  }
  parts.push(offsets.slice(at, end));
  return parts;
}
