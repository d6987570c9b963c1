/** Agreement of the reviewers, and the documents in which they differ. */

import { count, el, score } from "./elements.js";

/** Display the scores of agreement and the documents that differ. */
export async function showAgreement(main, api) {
  const [agreement, { documents }] = await Promise.all([api.get("agreement"), api.get("adjudication")]);
  main.replaceChildren(
    el("h2", {}, "Agreement"),
    ...(agreement ? scores(agreement) : [nothingYet()]),
    ...differing(documents),
  );
}

function nothingYet() {
  return el(
    "p",
    { className: "lead" },
    "There is no agreement to measure yet: it needs documents that two reviewers have done.",
  );
}

function scores({ reviewers, documents, span_f1: f1, kappa, alpha, by_label: byLabel }) {
  const tile = (name, value, note) =>
    el(
      "div",
      { className: "tile" },
      el("dt", {}, name),
      el("dd", {}, score(value) || "–"),
      el("dd", { className: "tile-note" }, note),
    );
  const labels = Object.entries(byLabel).map(([label, { f1: one, n }]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, label),
      el("td", { className: "number" }, score(one)),
      el("td", { className: "number" }, String(n)),
    ),
  );
  return [
    el(
      "p",
      { className: "lead" },
      `${reviewers.join(" and ")}, in ${count(documents, "document")} that both have done.`,
    ),
    el(
      "dl",
      { className: "tiles" },
      tile("Span F1", f1, "same start, end and label"),
      tile("Cohen’s kappa", kappa, "over tokens, corrected for chance"),
      tile("Krippendorff’s alpha", alpha, "over tokens, overlaps allowed"),
    ),
    labels.length
      ? el(
          "table",
          {},
          el("caption", {}, "By label"),
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              ["Label", "Span F1", "Spans"].map((name) => el("th", { scope: "col" }, name)),
            ),
          ),
          el("tbody", {}, labels),
        )
      : null,
  ].filter(Boolean);
}

function differing(documents) {
  if (!documents.length) return [];
  return [
    el("h2", {}, "To adjudicate"),
    el(
      "ul",
      { className: "rows flat", id: "adjudication-rows" },
      documents.map(({ id, name, resolved }) =>
        el(
          "li",
          {},
          el(
            "a",
            { className: `row ${resolved ? "done" : "untouched"}`, href: `#/adjudication/${id}` },
            el("span", { className: "sign", "aria-hidden": "true" }, resolved ? "●" : "○"),
            el("bdi", { className: "words" }, name),
            el("span", { className: "score" }, resolved ? "adjudicated" : "open"),
          ),
        ),
      ),
    ),
  ];
}
