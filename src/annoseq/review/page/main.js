/** Start of the page: project, reviewer, addresses (`#/documents/12`), and keys. */

import { showAdjudication } from "./adjudication.js";
import { showAgreement } from "./agreement.js";
import { Api, Refusal } from "./api.js";
import { announce, byId, el } from "./elements.js";
import { commandOf, showHelp } from "./keys.js";
import { Labels } from "./label_picker.js";
import { ProjectHead } from "./project_head.js";
import { Queue } from "./queue.js";
import { Review } from "./review.js";
import { reviewerName } from "./reviewer_name.js";

const api = new Api();
const labels = new Labels();
const head = new ProjectHead(api, {
  changed: (project) => labels.set(project.labels),
  retrained: () => takeNewPredictions(),
});
const queue = new Queue(byId("queue"), api, (id) => openDocument(id));

const review = new Review(api, labels, {
  changed: (session) => {
    const { id, state, spans } = session.shown;
    queue.setState(id, state, spans.filter(({ decision }) => decision === "undecided").length);
    showConnection();
  },
  saved: () => head.refreshSoon(),
  next: (id) => openNext(id),
});

function showConnection() {
  const banner = byId("offline");
  const { waiting } = review;
  banner.hidden = api.isOnline;
  const lost = waiting
    ? ` ${waiting === 1 ? "One action is" : `${waiting} actions are`} not saved yet: leave this page open.`
    : "";
  const message = `The server does not answer. Trying again…${lost}`;
  if (!api.isOnline && banner.textContent !== message) banner.textContent = message;
}

api.onConnection = (isOnline) => {
  showConnection();
  if (isOnline) announce("The server answers again.");
  review.draw();
};

addEventListener("beforeunload", (event) => {
  if (review.waiting) event.preventDefault(); // the browser asks: an action is not saved
});

function openDocument(id) {
  const address = `#/documents/${id}`;
  document.body.dataset.pane = "document";
  if (location.hash === address) showAddress();
  else location.hash = address;
}

async function openNext(after) {
  const address = location.hash;
  // The server is to know that the document is decided before it is asked for another one.
  await review.session?.settled();
  const { id } = await api.get("next", { ...queue.parameters, after });
  if (location.hash !== address) return; // another document was opened meanwhile
  if (id !== null) openDocument(id);
  else announce("No document is left in this order.");
}

async function showAddress() {
  const [, view, number] = /^#\/(\w+)(?:\/(\d+))?$/.exec(location.hash) ?? [];
  const isReview = view !== "agreement" && view !== "adjudication";
  byId("review").hidden = !isReview;
  byId("tabs").hidden = !isReview;
  byId("agreement").hidden = isReview;
  markCurrent(byId("view-review"), isReview);
  markCurrent(byId("view-agreement"), !isReview);
  try {
    if (view === "agreement") await showAgreement(byId("agreement"), api);
    else if (view === "adjudication") await showAdjudication(byId("agreement"), api, Number(number), labels);
    else if (number) await showDocument(Number(number));
    else await showFirst();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (isReview) review.close(error.message);
    else byId("agreement").replaceChildren(el("p", { className: "lead" }, error.message));
  }
}

function markCurrent(link, isCurrent) {
  if (isCurrent) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

async function showDocument(id) {
  queue.setCurrent(id);
  await review.open(id);
  queue.setCurrent(id);
  byId("text").focus({ preventScroll: true });
}

/** Show what a new model predicts: in the queue, and in the open document if nobody touched it. */
async function takeNewPredictions() {
  await queue.reload();
  const open = review.session?.shown;
  if (open?.state === "untouched" && !review.waiting) await review.open(open.id);
}

async function showFirst() {
  const { id } = await api.get("next", queue.parameters);
  if (id === null) review.close("Every document is done or skipped.");
  else location.replace(`#/documents/${id}`);
}

const pageCommands = {
  help: () => showHelp(),
  search: () => {
    document.body.dataset.pane = "queue";
    queue.search.focus();
  },
  nextDocument: () => review.session && openNext(review.session.id),
};

function takeKey(event) {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const isField = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (isField) byId("text").focus();
    else review.escape();
    return;
  }
  if (isField) return;
  // Enter and space press a button that has the focus; they are no keys of the page there.
  if (event.key === "Enter" && event.target.matches("button, a")) return;
  const command = commandOf(event);
  const label = event.ctrlKey || event.metaKey || event.altKey ? undefined : labels.ofKey(event.key);
  if (command && pageCommands[command]) pageCommands[command]();
  else if (command) review.run(command);
  else if (label !== undefined) review.run("label", label);
  else return;
  event.preventDefault();
}

function listen() {
  addEventListener("unhandledrejection", () => announce("Something went wrong in this page. Load it again."));
  document.addEventListener("keydown", takeKey);
  addEventListener("hashchange", showAddress);
  byId("help").addEventListener("click", showHelp);
  byId("reviewer").addEventListener("click", () => begin({ again: true }));
  for (const tab of byId("tabs").children) tab.addEventListener("click", () => showPane(tab.dataset.pane));
}

function showPane(pane) {
  document.body.dataset.pane = pane;
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.pane === pane));
}

async function begin({ again = false } = {}) {
  const project = await head.refresh();
  api.reviewer = await reviewerName(project, { again });
  queue.setProject(project);
  await Promise.all([head.refresh(), queue.reload(), showAddress()]);
}

listen();
showPane("document");
begin();
