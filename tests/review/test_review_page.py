"""The review page in a real browser; skipped where there is no Playwright or no Chromium."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span
from annoseq.review.project_records import DocumentPrediction
from tests.review.page_driver import PageDriver, ReviewServer, open_browser
from tests.review.projects import make_store, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.e2e

pytest.importorskip("playwright.sync_api", reason="needs Playwright")
pytest.importorskip("fastapi")

AMES = "Dr. Ames saw Bo Ames. Ames left."
ZOE = "Zoe met Zoe, not zoe. Zoe left."
EMOJI = "👩‍⚕️ Dr. Zoë O\u0301 Néill 🇫🇷 met 😀Ames😀 in Köln."
WHITE = "a  b\t\tc \u00a0 d\r\n\r\n   indented\x07bell\x0b\u202eovert\u202c  \nDr. Ames  end"
NESTED = "The University Hospital of Leeds, Ward 3. Ames,Bo left."
BIDI = "שלום Dr. כהן, 12 May\nDr. Cohen wrote ד״ר כהן here\nأحمد left"
LINES = "Seen at 12\nHigh Street\r\nLeeds by Dr. Ames"
MANY = " ".join(f"w{number}" for number in range(40))
LONG = "".join(
    f"Line {number}: Dr. Ames saw the patient, and nothing else was noted on a day so long.\n"
    for number in range(2500)
)
SHARED = "Call Bo Ames. Tell Ames Bo Lee in Leeds City."

COUNT_DRAWN = """() => {
  globalThis.drawn = new Set();
  new MutationObserver((all) => {
    for (const { target } of all) drawn.add(target.closest(".line") ?? target);
  }).observe(document.getElementById("text"), { childList: true, subtree: true });
}"""
PLACE_OF_HEBREW = """() => {
  const range = document.createRange();
  const nodes = [...document.querySelectorAll(".line")[1].childNodes];
  const node = nodes.find((one) => one.data?.includes("כהן"));
  const start = node.data.indexOf("ד״ר כהן");
  range.setStart(node, start);
  range.setEnd(node, start + 7);
  const { left, right, top, bottom } = range.getBoundingClientRect();
  return [left, right, (top + bottom) / 2];
}"""
COPY = """() => {
  const clipboardData = new DataTransfer();
  const event = new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true });
  document.getElementById("text").dispatchEvent(event);
  return clipboardData.getData("text/plain");
}"""
LOOKS = """(all) => all.map((one) => {
  const style = getComputedStyle(one);
  return `${style.borderBottomStyle} ${style.borderBottomColor}`;
})"""

ACT_ON_ADDED = """async () => {
  const { DocumentSession } = await import("/document_session.js");
  const known = { id: "m1", start: 0, end: 4, label: "NAME", decision: "rejected" };
  const sent = [];
  const post = async (_, { action }) => {
    sent.push(action);
    return { revision: sent.length, spans: [{ ...known, decision: "accepted" }] };
  };
  const document = { id: 1, revision: 0, spans: [known] };
  const listeners = { changed() {}, refused() {}, sent() {} };
  const session = new DocumentSession({ post }, document, listeners);
  const temporary = session.act({ type: "add", start: 0, end: 4, label: "NAME" });
  session.act({ type: "relabel", span: temporary, label: "DATE" });
  await session.settled();
  return sent.map((action) => [action.type, action.span ?? null]);
}"""

LOOP = [f"Dr. Ames saw Bo {number}." for number in range(1, 7)]
EXPECTED = [
    f"Dr. {{{{NAME}}}}Ames{{{{/NAME}}}} saw {{{{NAME}}}}Bo {number}{{{{/NAME}}}}."
    for number in range(1, 7)
]


def span(text: str, words: str, label: str, score: float = 0.9, *, nth: int = 0) -> Span:
    """Return the span of the nth occurrence of words."""
    start = -1
    for _ in range(nth + 1):
        start = text.index(words, start + 1)
    return Span(start, start + len(words), label, score)


def long_spans() -> list[Span]:
    """Return a span for every name of `LONG`."""
    spans, start = [], LONG.find("Ames")
    while start >= 0:
        spans.append(Span(start, start + 4, "NAME", 0.9))
        start = LONG.find("Ames", start + 1)
    return spans


DOCUMENTS: dict[str, tuple[str, list[Span]]] = {
    "undo": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo Ames", "NAME", 0.6)]),
    "occurrences": (ZOE, []),
    "occurrences elsewhere": ("Zoe called. No Zoeson.", []),
    "emoji": (EMOJI, [span(EMOJI, "Köln", "CITY")]),
    "white space": (WHITE, [span(WHITE, "Ames", "NAME")]),
    "snapping": (AMES, []),
    "overlap": (
        NESTED,
        [
            span(NESTED, "University Hospital of Leeds", "HOSPITAL"),
            span(NESTED, "Leeds", "CITY"),
            span(NESTED, "Ames", "NAME"),
            span(NESTED, ",", "DATE", nth=1),
        ],
    ),
    "long": (LONG, long_spans()),
    "lines": (LINES, []),
    "bidi": (BIDI, [span(BIDI, "כהן", "NAME"), span(BIDI, "Cohen", "NAME")]),
    "shared": (SHARED, []),
    "keyboard": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo", "NAME", 0.6)]),
    "labels by keyboard": (AMES, []),
    "many labels": (MANY, [span(MANY, f"w{n}", f"LABEL:{n:02}") for n in range(40)]),
    "edges": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo", "NAME", 0.6)]),
    "half done": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo", "NAME", 0.6)]),
    "restart": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo", "NAME", 0.6)]),
    "elsewhere": (AMES, [span(AMES, "Ames", "NAME"), span(AMES, "Bo", "NAME", 0.6)]),
    "refused": (AMES, [span(AMES, "Ames", "NAME")]),
}
NUMBERS = {name: number for number, name in enumerate(DOCUMENTS, start=1)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        if browser is None:
            pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    path = tmp_path_factory.mktemp("review") / "review.db"
    predictions = [DocumentPrediction(tuple(spans), 0.5) for _, spans in DOCUMENTS.values()]
    make_store(path, rows_of([text for text, _ in DOCUMENTS.values()]), predictions).close()
    server = ReviewServer(path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def driver(browser: Browser, server: ReviewServer) -> PageDriver:
    driver = PageDriver(browser.new_page(viewport={"width": 1280, "height": 800}), server)
    driver.begin()
    return driver


def test_undo_takes_back_every_action_after_a_reload_too(driver: PageDriver) -> None:
    number = NUMBERS["undo"]
    driver.open(number)
    before = driver.spans(number)
    driver.keys("n", "a", "r")  # accepting goes on to the next span
    driver.select("left")
    driver.keys("1")
    label = driver.get("project")["labels"][0]["label"]
    assert driver.spans(number) == [
        ("Ames", "NAME", "accepted"),
        ("Bo Ames", "NAME", "rejected"),
        ("left", label, "accepted"),
    ]
    after = driver.spans(number)
    driver.keys("u", "u")
    driver.page.reload()
    driver.saved()
    driver.keys("u")
    assert driver.spans(number) == before
    assert driver.page.is_disabled('#document-head [aria-label="Undo"]')
    driver.keys("Shift+U", "Control+y", "Control+Shift+z")
    assert driver.spans(number) == after
    assert driver.page.is_disabled('#document-head [aria-label="Redo"]')


def test_a_span_of_the_model_that_is_added_again_can_be_changed_at_once(driver: PageDriver) -> None:
    assert driver.page.evaluate(ACT_ON_ADDED) == [["add", None], ["relabel", "m1"]]


def test_a_label_goes_to_all_occurrences_in_the_document_or_the_project(driver: PageDriver) -> None:
    here, there = NUMBERS["occurrences"], NUMBERS["occurrences elsewhere"]
    driver.open(here)
    driver.select("Zoe")
    driver.page.keyboard.press("l")
    driver.page.fill("#label-search", "name")
    driver.keys("Enter", "o")
    assert driver.accepted(here) == [("Zoe", "NAME")] * 3
    assert driver.accepted(there) == []
    assert driver.marks().count() == 3
    driver.keys("u")
    assert driver.accepted(here) == [("Zoe", "NAME")]
    driver.page.click("#dock button:has-text('All in project')")
    driver.saved()
    driver.page.wait_for_selector("#toast:has-text('Applied in')")
    assert driver.accepted(there) == [("Zoe", "NAME")]  # Zoeson is another word
    driver.keys("u")
    assert (driver.accepted(here), driver.accepted(there)) == ([("Zoe", "NAME")], [])


def test_offsets_are_code_points_beside_emoji(driver: PageDriver) -> None:
    number = NUMBERS["emoji"]
    driver.open(number)
    driver.select("Zoë O\u0301 Néill")
    driver.keys("1")
    driver.select("Ames")
    driver.keys("1")
    driver.keys("x")  # exactly: a flag is two code points of two units each
    driver.select("🇫🇷")
    driver.keys("1", "x")
    texts = [text for text, _ in driver.accepted(number)]
    assert texts == ["Zoë O\u0301 Néill", "🇫🇷", "Ames"]
    assert driver.page.locator("#span-rows .words").all_text_contents() == [*texts, "Köln"]


def test_white_space_and_control_characters_are_unchanged(driver: PageDriver) -> None:
    number = NUMBERS["white space"]
    driver.open(number)
    page = driver.page
    shown = page.evaluate("document.getElementById('text').textContent")
    controls = {"\r", "\x07", "\x0b", "\u202e", "\u202c"}
    assert shown == "".join("\ufffd" if one in controls else one for one in WHITE)
    names = [one.get_attribute("data-name") for one in page.locator("#text .control").all()]
    assert names == ["CR", "CR", "BEL", "VT", "RLO", "PDF"]
    white_space = "all => all.map(one => getComputedStyle(one).whiteSpace)"
    assert set(page.locator("#text .line").evaluate_all(white_space)) == {"pre-wrap"}
    driver.keys("t", "Control+Home", "Control+Shift+End")
    copied = page.evaluate(COPY)
    assert copied == WHITE
    driver.keys("Escape", "Shift+A", "d")
    pairs = page.request.get(f"{driver.server.address}/api/export").text()
    assert "\\r\\n\\r\\n   indented\\u0007bell" in pairs


def test_snapping_is_shown_and_can_be_turned_off(driver: PageDriver) -> None:
    number = NUMBERS["snapping"]
    driver.open(number)
    driver.drag(driver.place("Ames", 1), driver.place("Bo Ames", 5))
    assert driver.dock().split("\n")[:3] == ["Ames saw Bo Ames", "snapped from", "mes saw Bo Am"]
    assert driver.page.evaluate("CSS.highlights.get('snapped').size") == 1
    driver.keys("1")
    assert [text for text, _ in driver.accepted(number)] == ["Ames saw Bo Ames"]
    driver.keys("u")
    driver.page.click("#dock button:has-text('Snap to tokens')")
    driver.drag(driver.place("left", 1), driver.place("left", 3))
    assert driver.dock().startswith("ef\nSnap to tokens")
    driver.keys("1")
    assert [text for text, _ in driver.accepted(number)] == ["ef"]
    driver.keys("t", "x", "u")
    with_alt = driver.page.keyboard
    with_alt.down("Alt")
    driver.drag(driver.place("saw", 0), driver.place("saw", 2))
    assert driver.dock().startswith("sa\n")
    with_alt.up("Alt")
    assert driver.dock().startswith("saw\n")
    driver.keys("Escape")


def test_overlapping_spans_are_drawn_nested_and_crossing_ones_refused(driver: PageDriver) -> None:
    number = NUMBERS["overlap"]
    driver.open(number)
    page = driver.page
    driver.keys("Shift+A")
    outer = page.locator("#text mark:has(mark)")
    assert outer.get_attribute("data-tag") == "✓ HOSPITAL .90"
    inner = outer.locator("mark")
    assert (inner.inner_text(), inner.get_attribute("data-tag")) == ("Leeds", "✓ CITY .90")
    bottom = "one => one.getBoundingClientRect().bottom"
    assert outer.evaluate(bottom) > inner.evaluate(bottom) + 2  # both lines can be seen
    touching = (
        page.locator("#text mark")
        .filter(has_text="Ames")
        .evaluate("one => one.nextSibling.dataset.tag")
    )
    assert touching == "✓ DATE .90"
    inner.click()
    assert "CITY" in driver.dock()
    page.locator("#text mark.selected").click()
    assert "HOSPITAL" in driver.dock()
    before = driver.document(number)["revision"]
    driver.select("Leeds, Ward")
    driver.keys("1")
    page.wait_for_selector("#toast:has-text('would cross a')")
    assert driver.document(number)["revision"] == before


def test_a_long_document_draws_only_what_changes(driver: PageDriver) -> None:
    number = NUMBERS["long"]
    assert len(LONG) > 200_000
    driver.open(number)
    page = driver.page
    hidden = "one => getComputedStyle(one).contentVisibility"
    assert page.locator("#text .block").first.evaluate(hidden) == "auto"
    page.evaluate(COUNT_DRAWN)
    driver.keys("n", "a", "a", "r", "1")
    assert page.evaluate("drawn.size") <= 8
    driver.keys("t", "Control+End", "k")
    assert "Ames" in driver.dock()
    last = page.locator("#text mark.selected")
    assert last.is_visible()
    assert page.evaluate("document.getElementById('scroller').scrollTop") > 50_000
    assert [decision for _, _, decision in driver.spans(number)[:4]] == [
        "accepted",
        "accepted",
        "rejected",
        "accepted",
    ]


def test_a_selection_goes_over_line_ends(driver: PageDriver) -> None:
    number = NUMBERS["lines"]
    driver.open(number)
    driver.drag(driver.place("12"), driver.place("Leeds", 5))
    assert driver.dock().startswith("12 High Street Leeds\n")
    driver.keys("1")
    assert [text for text, _ in driver.accepted(number)] == ["12\nHigh Street\r\nLeeds"]
    pieces = driver.marks()
    assert pieces.count() == 3
    assert [one.get_attribute("data-tag") is not None for one in pieces.all()] == [
        False,
        False,
        True,
    ]
    driver.keys("u", "t", "Control+Home", "ArrowDown", "Shift+ArrowDown", "Shift+ArrowRight", "1")
    assert [text for text, _ in driver.accepted(number)] == ["High Street\r\nLeeds"]


def test_right_to_left_and_mixed_text(driver: PageDriver) -> None:
    number = NUMBERS["bidi"]
    driver.open(number)
    page = driver.page
    directions = (
        "[...document.querySelectorAll('.line')].map(one => getComputedStyle(one).direction)"
    )
    assert page.evaluate(directions) == ["rtl", "ltr", "rtl"]
    assert page.locator("#text mark").first.inner_text() == "כהן"
    # In a line that runs to the left, the left arrow goes forward.
    driver.keys("t", "Control+Home", "Shift+ArrowLeft", "1")
    driver.keys("ArrowDown", "Home", "Shift+ArrowRight", "1")
    name = page.evaluate(PLACE_OF_HEBREW)
    driver.drag((name[1] - 1, name[2]), (name[0] + 1, name[2]))  # it is read from the right
    driver.keys("1")
    assert [text for text, _ in driver.accepted(number)] == ["שלום", "Dr", "ד״ר כהן"]
    driver.keys("n", "e", "ArrowRight", "ArrowRight", "Enter")  # to the right is back
    driver.keys("j")
    isolated = "[...document.querySelectorAll('#span-rows bdi')].length"
    assert page.evaluate(isolated) == len(driver.spans(number))


@pytest.fixture(scope="module")
def shared(driver: PageDriver) -> int:
    """A document that two reviewers are done with, with spans that overlap."""
    number = NUMBERS["shared"]

    def add(words: str, label: str) -> dict[str, object]:
        one = span(SHARED, words, label)
        return {"type": "add", "start": one.start, "end": one.end, "label": label}

    shared = add("Bo Ames", "NAME")
    done = {"type": "done"}
    theirs = [add("Ames Bo Lee", "NAME"), add("Leeds City", "CITY"), add("Leeds", "HOSPITAL")]
    driver.act(number, "Ada", shared, add("Bo Lee", "NAME"), add("Leeds City", "CITY"), done)
    driver.act(number, "Béla", shared, *theirs, done)
    return number


def test_agreement_allows_overlaps(driver: PageDriver, shared: int) -> None:
    page = driver.page
    page.click("#view-agreement")
    assert "Ada and Béla" in page.inner_text("#agreement .lead")
    scores = driver.get("agreement")
    tiles = page.locator("#agreement .tile dd:not(.tile-note)").all_text_contents()
    expected = [scores[name] for name in ("span_f1", "kappa", "alpha")]
    assert tiles == [f"{value:.2f}".replace("0.", ".", 1) for value in expected]
    assert scores["span_f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert page.locator("#adjudication-rows .words").all_text_contents() == [
        driver.document(shared)["name"]
    ]


def test_differences_are_adjudicated(driver: PageDriver, shared: int) -> None:
    page = driver.page
    page.evaluate("location.hash = '#/agreement'")
    page.click("#adjudication-rows a")
    page.wait_for_selector(".difference")
    assert page.inner_text("#agreement .lead").startswith("2 spans agreed, 2 differences, 2 open")
    assert page.is_disabled("#agreement button.primary")
    page.check(".difference >> nth=0 >> input[value=both]")
    page.check(".difference >> nth=1 >> input[value=Béla]")
    page.click("#agreement button.primary")
    page.wait_for_selector("#adjudication-rows .score:text-is('adjudicated')")
    resolved = driver.get(f"adjudication/{shared}")["resolved"]
    assert sorted(SHARED[one["start"] : one["end"]] for one in resolved) == sorted(
        ["Bo Ames", "Ames Bo Lee", "Bo Lee", "Leeds City", "Leeds"]
    )
    page.click("#adjudication-rows a")
    page.wait_for_selector(".difference")
    assert page.is_checked(".difference >> nth=0 >> input[value=both]")
    page.click("#view-review")
    page.wait_for_selector("#review:not([hidden])")


def test_documents_and_edges_by_keyboard_alone(driver: PageDriver) -> None:
    number = NUMBERS["keyboard"]
    page = driver.page
    driver.open(NUMBERS["undo"])
    page.keyboard.press("/")
    page.keyboard.type(f"doc-{number}")
    page.wait_for_selector("#queue-rows li:only-child")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(f'.document-name:text-is("{driver.document(number)["name"]}")')
    assert page.evaluate("document.activeElement.id") == "text"
    driver.keys("n")
    assert page.inner_text("#live") == "Ames, NAME, score .90, undecided"  # to screen readers
    driver.keys("e", "Shift+ArrowLeft", "Shift+ArrowLeft", "Enter")
    driver.keys("n", "e", "ArrowRight", "Enter")
    assert [text for text, _ in driver.accepted(number)] == ["Dr. Ames", "Bo Ames"]
    page.fill("#search", "")
    page.keyboard.press("Escape")


def test_labels_notes_and_the_end_of_a_document_by_keyboard(driver: PageDriver) -> None:
    number = NUMBERS["labels by keyboard"]
    driver.open(number)
    page = driver.page
    driver.keys("t", "Control+End", "ArrowLeft", "ArrowLeft", "Shift+ArrowRight")
    page.keyboard.press("l")
    page.keyboard.type("label:3")
    for _ in range(9):
        page.keyboard.press("ArrowDown")
    driver.keys("Enter")
    assert driver.accepted(number) == [("left", "LABEL:39")]
    driver.keys("Backspace")
    assert driver.spans(number) == []
    page.keyboard.press("c")
    page.keyboard.type("a note")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    driver.saved()
    page.keyboard.press("?")
    assert page.locator("dialog.help").is_visible()
    page.keyboard.press("Escape")
    driver.keys("d")
    document = driver.document(number)
    assert (document["state"], document["note"]) == ("done", "a note")


def test_predictions_are_visible_with_label_score_and_more_than_colour(driver: PageDriver) -> None:
    number = NUMBERS["many labels"]
    driver.open(number)
    page = driver.page
    tags = [one.get_attribute("data-tag") for one in driver.marks().all()]
    assert tags == [f"? LABEL:{n:02} .90" for n in range(40)]
    looks = driver.marks().evaluate_all(LOOKS)
    assert len(set(looks)) == 40  # eight hues, five lines
    assert len(set(looks[:8])) == len({look.partition("rgb")[2] for look in looks[:8]}) == 8
    driver.keys("n", "a")
    page.keyboard.press("r")
    driver.saved()
    assert [one.get_attribute("data-tag") for one in driver.marks().all()][:3] == [
        "✓ LABEL:00 .90",
        "✕ LABEL:01 .90",
        "? LABEL:02 .90",
    ]
    rows = page.locator("#span-rows button")
    assert rows.first.get_attribute("aria-label") == "w0, LABEL:00, score .90, accepted"
    page.click("#spans .filters [data-filter=rejected]")
    assert rows.count() == 1
    page.click("#spans .filters [data-filter=all]")


def test_resizing_changes_nothing_but_the_edge(driver: PageDriver) -> None:
    number = NUMBERS["edges"]
    driver.open(number)
    page = driver.page
    before = driver.document(number)

    def drag(edge: str, needle: str, at: int) -> None:
        box = page.locator(f"#text .handle.{edge}").bounding_box()
        assert box is not None
        start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        driver.drag(start, driver.place(needle, at))
        driver.saved()

    driver.marks().first.click()
    drag("end", "saw", 2)  # within a token: to its nearer edge
    after = driver.document(number)
    assert after["revision"] == before["revision"] + 1
    first = {**before["spans"][0], "end": 12, "decision": "accepted"}
    assert after["spans"] == [first, *before["spans"][1:]]
    assert driver.page.locator("#text mark").first.text_content() == "Ames saw"
    drag("start", "Dr", 0)
    assert driver.spans(number)[0][0] == "Dr. Ames saw"
    revision = driver.document(number)["revision"]
    driver.keys("e", "ArrowLeft", "Escape")
    assert driver.document(number)["revision"] == revision
    assert driver.page.locator("#text mark").first.text_content() == "Dr. Ames saw"
    driver.keys("u", "u")
    assert driver.document(number)["spans"] == before["spans"]


def test_accept_all_and_half_done_documents(driver: PageDriver) -> None:
    number = NUMBERS["half done"]
    driver.open(number)
    page = driver.page
    driver.keys("n", "a")
    page.keyboard.press("d")
    assert "1 span of this document is undecided" in page.inner_text("dialog[open]")
    page.keyboard.press("Escape")
    page.reload()
    driver.saved()
    assert [decision for _, _, decision in driver.spans(number)] == ["accepted", "undecided"]
    assert page.inner_text("#document-head .state") == "started"
    pairs = page.request.get(f"{driver.server.address}/api/export").text()
    assert driver.document(number)["name"] not in pairs
    driver.keys("Shift+A")
    assert page.is_disabled("#document-head button:has-text('Accept all')")
    driver.keys("d")
    assert driver.document(number)["state"] == "done"


def test_an_action_whose_answer_is_lost_is_carried_out_once(driver: PageDriver) -> None:
    number = NUMBERS["restart"]
    driver.open(number)
    page = driver.page
    revision = driver.document(number)["revision"]
    lost: list[str] = []

    def lose_first_answer(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.url)
        route.fetch()
        route.abort()

    page.route("**/actions", lose_first_answer)
    driver.keys("n", "a")
    page.unroute("**/actions")
    assert len(lost) == 1
    assert driver.document(number)["revision"] == revision + 1


def test_a_change_made_elsewhere_is_displayed_and_not_overwritten(driver: PageDriver) -> None:
    number = NUMBERS["elsewhere"]
    driver.open(number)
    driver.act(number, driver.name, {"type": "reject", "span": "m2"})
    driver.keys("n", "a")
    assert "changed elsewhere" in driver.page.inner_text("#toast")
    decisions = [one.get_attribute("data-decision") for one in driver.marks().all()]
    assert decisions == ["undecided", "rejected"]
    driver.keys("n", "a")
    assert driver.accepted(number) == [("Ames", "NAME")]


def test_what_the_server_refuses_is_taken_back(driver: PageDriver) -> None:
    number = NUMBERS["refused"]
    driver.open(number)
    page = driver.page

    def refuse(route: Route) -> None:
        route.fulfill(status=422, json={"error": "refused for a test"})

    page.route("**/actions", refuse)
    driver.keys("n", "a")
    page.unroute("**/actions")
    assert page.inner_text("#toast") == "refused for a test"
    assert driver.marks().first.get_attribute("data-decision") == "undecided"


def test_a_suggestion_is_shown_and_taken(driver: PageDriver) -> None:
    number = NUMBERS["refused"]
    page = driver.page
    document = driver.document(number)
    [doubtful] = document["spans"]
    suggested = {"start": 0, "end": 8, "label": "DATE"}
    shown = {**doubtful, "problem": "wrong edges", "suggested": suggested}
    taken = {**doubtful, **suggested, "decision": "accepted"}
    asked: list[dict[str, object]] = []

    def answer(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "")["action"])
        route.fulfill(json={**document, "revision": 1, "state": "started", "spans": [taken]})

    page.route(
        f"**/documents/{number}", lambda route: route.fulfill(json={**document, "spans": [shown]})
    )
    page.route("**/actions", answer)
    driver.open(NUMBERS["undo"])
    driver.open(number)
    driver.keys("n")
    assert driver.dock().split("\n")[3:] == [
        "wrong edges",
        "suggested:",
        "Dr. Ames",
        "DATE",
        "Snap to tokens",
        "X",
    ]
    driver.keys("g")
    page.unroute(f"**/documents/{number}")
    page.unroute("**/actions")
    assert asked == [{"type": "take_suggestion", "span": doubtful["id"]}]
    assert driver.marks().all_text_contents() == ["Dr. Ames"]
    assert driver.marks().first.get_attribute("data-tag") == "✓ DATE .90"


def test_the_queue_has_orders_labels_and_a_search(driver: PageDriver) -> None:
    driver.open(NUMBERS["undo"])
    page = driver.page
    rows = page.locator("#queue-rows li")
    assert rows.count() == len(DOCUMENTS)
    page.select_option("#order", "label")
    page.select_option("#order-label", "LABEL:07")
    page.wait_for_selector("#queue-rows li:only-child")
    assert rows.first.get_attribute("data-document") == str(NUMBERS["many labels"])
    page.select_option("#order", "document")
    page.fill("#search", "doc-1")
    page.wait_for_selector(
        f"#queue-rows li:nth-child({sum(str(n)[0] == '1' for n in NUMBERS.values())})"
    )
    page.fill("#search", "")
    page.wait_for_selector(f"#queue-rows li:nth-child({len(DOCUMENTS)})")
    names = [one.text_content() for one in page.locator("#queue-rows .words").all()]
    assert names == [driver.document(number)["name"] for number in NUMBERS.values()]
    page.select_option("#order", "mixed")
    page.wait_for_selector("#queue-rows [aria-current]")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_nothing_serious(driver: PageDriver, look: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = driver.page
    page.emulate_media(color_scheme="dark" if look == "dark" else "light")
    size = (390, 844) if look == "phone" else (1280, 800)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    driver.open(NUMBERS["many labels"])
    driver.keys("n")

    def findings(place: str) -> list[str]:
        found = axe.run(page).response["violations"]
        return [
            f"{place}: {one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]

    serious = findings("text")
    for pane in ("queue", "spans", "document") if look == "phone" else ():
        page.click(f"#tabs [data-pane={pane}]")
        serious += findings(pane)
    page.keyboard.press("l")
    serious += findings("labels")
    page.keyboard.press("Escape")
    if look == "light":
        page.keyboard.press("?")
        serious += findings("help")
        page.keyboard.press("Escape")
        page.evaluate("location.hash = '#/agreement'")
        page.wait_for_selector("#agreement h2")
        serious += findings("agreement")
        page.evaluate("location.hash = '#/'")
        page.wait_for_selector("#review:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert serious == []


def test_nothing_of_a_text_is_in_addresses_and_nothing_is_loaded_from_elsewhere(
    browser: Browser, server: ReviewServer
) -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    driver = PageDriver(page, server, "Cleo")
    driver.begin()
    driver.open(NUMBERS["undo"])
    driver.select("left")
    driver.keys("1")
    assert driver.console == []
    allowed = re.compile(
        rf"{server.address}/(|[a-z_]+\.(js|css|svg)|api/[a-z]+(/\d+(/[a-z]+)?)?(\?[a-z=&0-9]*)?)"
    )
    assert [url for url in requests if not allowed.fullmatch(url.partition("#")[0])] == []
    assert server.address in page.url
    page.close()


@pytest.fixture(scope="module")
def loop_server(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path
) -> Iterator[ReviewServer]:
    """A project of short notes and a real model, in which Ames is found."""
    path = tmp_path_factory.mktemp("loop") / "review.db"
    predictions = [DocumentPrediction((span(text, "Ames", "NAME"),), 0.5) for text in LOOP]
    rows = rows_of(LOOP)
    make_store(path, rows, predictions, random_share=0.34, model=model_folder).close()
    server = ReviewServer(path)
    server.start()
    yield server
    server.kill()


def test_the_whole_loop(browser: Browser, loop_server: ReviewServer) -> None:
    driver = PageDriver(browser.new_page(viewport={"width": 1280, "height": 800}), loop_server)
    driver.begin()
    correct_by_mouse(driver, 1)
    correct_by_keys(driver, 2)
    correct_while_the_server_is_killed(driver, 3)
    for number in (4, 5, 6):
        driver.open(number)
        driver.keys("Shift+A")
        driver.select(f"Bo {number}")
        driver.keys("1", "d")
    assert driver.get("project")["documents"]["done"] == len(LOOP)
    check_export(driver)
    page = driver.page
    page.click("#retrain")
    page.wait_for_selector("#toast:has-text('Retraining is done')")
    assert driver.get("project")["retraining"]["state"] == "done"
    models = loop_server.project.with_name("review-models")
    assert [folder.name for folder in models.iterdir()] == ["model-2"]
    assert driver.spans(1) == [("Ames", "NAME", "accepted"), ("Bo 1", "NAME", "accepted")]
    page.close()


def correct_while_the_server_is_killed(driver: PageDriver, number: int) -> None:
    """Accept Ames while the server is down, and add Bo when it is back."""
    driver.open(number)
    driver.server.kill()
    page = driver.page
    for key in ("n", "a"):
        page.keyboard.press(key)
    page.wait_for_selector("#offline:not([hidden]):has-text('One action is not saved')")
    assert page.inner_text("#saved") == "1 not saved"
    name = page.locator("#span-rows button").first.get_attribute("aria-label")
    assert name == "Ames, NAME, score .90, accepted, not saved yet"
    driver.server.start()
    driver.saved()
    page.wait_for_selector("#offline", state="hidden")
    driver.keys("u", "Shift+U")  # over the restart
    driver.select(f"Bo {number}")
    driver.keys("1")
    page.keyboard.press("d")
    page.wait_for_selector(f'.document-name:not(:text-is("doc-{number}"))')


def check_export(driver: PageDriver) -> None:
    """Compare both exports with the pairs that were meant, byte for byte."""
    with driver.page.expect_download() as download:
        driver.page.click("#export")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["annotated_text"] for line in lines] == EXPECTED
    project = driver.server.project
    out = project.with_name("reviewed.csv")
    driver.server.run("review", "export", "--project", str(project), "--out", str(out))
    rows = [
        f'"doc-{number}",0,"{text}","{annotated}"\n'
        for number, (text, annotated) in enumerate(zip(LOOP, EXPECTED, strict=True), start=1)
    ]
    header = '"doc_id","start","orig_text","annotated_text"\n'
    assert out.read_bytes() == (header + "".join(rows)).encode()


def correct_by_mouse(driver: PageDriver, number: int) -> None:
    """Accept Ames and add Bo, after a mistake that is undone over a reload."""
    driver.open(number)
    page = driver.page
    driver.marks().first.click()
    page.click("#dock button.reject")
    driver.saved()
    page.reload()
    driver.saved()
    page.click('#document-head [aria-label="Undo"]')
    driver.saved()
    driver.marks().first.click()
    page.click("#dock button.accept")
    driver.saved()
    driver.select(f"Bo {number}")
    page.click("#dock [aria-label='Add NAME']")
    driver.saved()
    page.click("#document-head button.primary")
    page.wait_for_selector(f'.document-name:not(:text-is("doc-{number}"))')


def correct_by_keys(driver: PageDriver, number: int) -> None:
    """Accept Ames and add Bo by keys alone."""
    driver.open(number)
    driver.keys("n", "a", "t", "Control+End", *["ArrowLeft"] * 3)
    driver.keys(*["Shift+ArrowRight"] * 2, "1")
    driver.page.keyboard.press("d")
    driver.page.wait_for_selector(f'.document-name:not(:text-is("doc-{number}"))')
