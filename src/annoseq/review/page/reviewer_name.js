/** Name of the reviewer: kept in the browser, or told by the server from the token in use. */

import { byId, el, openDialog } from "./elements.js";

const STORED = "annoseq-reviewer";

/** Return the reviewer's name; ask for it if there is none yet, or if `again`. */
export async function reviewerName(project, { again = false } = {}) {
  let name = project.reviewer ?? localStorage.getItem(STORED);
  if (!project.reviewer && (again || !name)) name = (await askName(project.reviewers, name, again)) ?? name;
  if (!project.reviewer) localStorage.setItem(STORED, name);
  const press = byId("reviewer");
  press.textContent = name;
  press.disabled = Boolean(project.reviewer);
  press.setAttribute("aria-label", `Reviewer: ${name}`);
  press.title = project.reviewer ? "The name belongs to your token" : "Change the reviewer";
  return name;
}

async function askName(known, current, mayCancel) {
  const input = el("input", {
    id: "reviewer-name",
    required: true,
    maxLength: 60,
    pattern: ".*\\S.*",
    autocomplete: "off",
    value: current ?? "",
    "aria-describedby": "reviewer-why",
  });
  input.setAttribute("list", "known-reviewers");
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", {}, "Who is reviewing?"),
    el(
      "p",
      { id: "reviewer-why" },
      "Your decisions are kept under this name, apart from those of others. It is not an account.",
    ),
    el("label", { className: "field", for: "reviewer-name" }, el("span", {}, "Name"), input),
    el(
      "datalist",
      { id: "known-reviewers" },
      known.map((name) => el("option", { value: name })),
    ),
    el("div", { className: "dialog-buttons" }, el("button", { value: "ok", className: "primary" }, "Begin")),
  );
  const dialog = el("dialog", { className: "dialog", "aria-label": "Reviewer" }, form);
  if (!mayCancel) dialog.addEventListener("cancel", (event) => event.preventDefault());
  const answer = await openDialog(dialog);
  return answer ? input.value.trim() : null;
}
