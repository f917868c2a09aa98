"""Every page in a real browser: it fits, asks nobody else, and works by keys and without scripts."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)

from services.rehearsal.demo import inputs_of
from services.rehearsal.hr import Hr
from services.rehearsal.run import run_cycle
from services.rehearsal.stage import running_stage
from services.rehearsal.workforce import make_workforce
from tests.e2e.stages import options

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
REPS, RESPONSE, COMPANY = 90, 0.9, "Composite Tools"
PHONE, LAPTOP = ViewportSize(width=320, height=640), ViewportSize(width=1280, height=900)
TABLET = ViewportSize(width=850, height=900)
"""Just wide enough for tables that become cards on a phone."""

LIGHTS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TABS = {
    "Overview": "",
    "Teams": "teams",
    "Drivers": "drivers",
    "Five explanations": "explanations",
    "Method": "method",
}
PAGES = (
    "list", "overview", "teams", "drivers", "explanations", "method", "group", "hidden group", "waiting",
    "missing", "promise", "closed link",
)  # fmt: skip
LEAST_TARGET = 44.0
LEAST_OUTLINE = 2.0
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTLINE = """element => {
  const style = getComputedStyle(element);
  return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
}"""


class Quiet:
    """A teller that says nothing."""

    def step(self, words: str) -> None:
        """Say nothing."""

    def advance(self, done: int, total: int) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """Where the pages of a released and of an open cycle lie."""

    report: str
    survey: str
    released: str
    open: str

    def address(self, page: str) -> str:
        """Return a page's address."""
        cycle = f"{self.report}/reports/{self.released}/"
        tabs = {label.lower(): cycle + path for label, path in TABS.items()}
        return {
            **tabs,
            "list": f"{self.report}/",
            "explanations": f"{cycle}explanations",
            "group": f"{cycle}groups/g0",
            "hidden group": f"{cycle}groups/no-such-group",
            "waiting": f"{self.report}/reports/{self.open}/",
            "missing": f"{self.report}/reports/no-such-cycle/",
            "promise": f"{self.survey}/s/{self.open}#code",
            "closed link": f"{self.survey}/s/no-such-cycle",
        }[page]


@dataclass
class Watch:
    """What a page asked for and complained about."""

    page: Page
    complaints: list[str]
    asked: set[str]

    def others(self) -> set[str]:
        """Return origins other than the page's own."""
        return {origin for origin in self.asked if origin != origin_of(self.page.url)}


def origin_of(address: str) -> str:
    """Return an address's scheme, host and port."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def watch(page: Page) -> Watch:
    """Note every console message, script error, refusal of the policy and request of a page."""
    found = Watch(page, [], set())
    page.on("console", lambda message: None if is_status(message) else found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: found.asked.add(origin_of(request.url)))
    return found


def is_status(message: ConsoleMessage) -> bool:
    """Whether a message only says that a page, not a part of it, came with status 404."""
    return message.location["url"].endswith("/") and "status of 404" in message.text


def go(page: Page, address: str) -> None:
    """Open a page; one that says that there is nothing is a page too."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status in (200, 404)


@pytest.fixture(scope="module")
def chromium() -> str:
    """Return where Chromium is, or say that it is missing."""
    path = next((path for name in NAMES if (path := shutil.which(name))), None) or brought_along()
    if path is None:
        words = "These tests need Chromium (Debian package chromium)."
        if os.environ.get("FAIRPATCH_REQUIRE_TOOLS"):
            pytest.fail(words)
        pytest.skip(words)
    return path


def brought_along() -> str | None:
    """Return the path of the driver's own browser, if it was installed."""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a running stage with one released and one open cycle."""
    inputs = inputs_of(make_workforce(reps=REPS, world="seeds", seed=7, response=RESPONSE))
    chosen = options(company=COMPANY, plan="finer", response=RESPONSE, sample=True, rehearsal=True)
    with running_stage(tmp_path_factory.mktemp("pages") / "stage") as stage:
        released = run_cycle(stage, inputs, chosen, Quiet()).cycle
        hr = Hr(stage)
        drafted = hr.draft(inputs.roster, inputs.results, chosen).cycle
        hr.open(drafted)
        hr.leave()
        yield Site(stage.report, stage.survey, released, drafted)


@pytest.fixture(scope="module")
def browser(site: Site, chromium: str) -> Iterator[Browser]:
    """Return a browser; it starts after the cycle, whose phones need the event loop for themselves."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page on a laptop."""
    with browser.new_context(viewport=LAPTOP) as context:
        yield context.new_page()


# Every page, narrow and wide, in both lights


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_keeps_to_itself(browser: Browser, site: Site, name: str) -> None:
    for light in LIGHTS:
        with browser.new_context(viewport=LAPTOP, color_scheme=light) as context:
            page = context.new_page()
            found = watch(page)
            go(page, site.address(name))
            assert page.locator("h1").count() == 1
            for size in (PHONE, TABLET, LAPTOP):
                page.set_viewport_size(size)
                assert page.evaluate(TOO_WIDE) <= 0, f"{size['width']} px, {light}"
            assert found.complaints == []
            assert found.others() == set()


def test_what_the_checks_above_look_for_would_be_seen(page: Page, site: Site) -> None:
    found = watch(page)
    go(page, site.address("overview"))
    page.evaluate("""() => {
      const block = document.createElement('div');
      block.style.inlineSize = '2000px';
      block.style.blockSize = '1px';
      const image = new Image();
      image.src = 'http://elsewhere.invalid/x.png';
      document.body.append(block, image);
    }""")
    page.wait_for_timeout(100)
    assert page.evaluate(TOO_WIDE) > 0
    assert any("Content Security Policy" in text for text in found.complaints)
    other = page.context.new_page()
    beside = watch(other)
    other.goto(site.address("closed link"))
    other.goto(site.address("list"))
    assert beside.others() == {site.survey}


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_targets_are_large_enough_for_a_thumb(page: Page, site: Site, size: ViewportSize) -> None:
    page.set_viewport_size(size)
    for name in ("overview", "drivers", "promise"):
        go(page, site.address(name))
        for target in page.locator("nav.tabs a, summary, .button, a.brand").all():
            box = target.bounding_box()
            assert box is not None
            assert min(box["height"], box["width"]) >= LEAST_TARGET, target.inner_text()


def test_a_table_that_became_cards_is_still_a_table_to_who_hears_it(page: Page, site: Site) -> None:
    for size in (PHONE, LAPTOP):
        page.set_viewport_size(size)
        go(page, site.address("teams"))
        table = page.get_by_role("table")
        expect(table.get_by_role("rowheader", name=COMPANY)).to_have_count(1)
        expect(table.get_by_role("columnheader", name="Support")).to_have_count(1)
        rows = table.get_by_role("row").filter(has=page.get_by_role("rowheader"))
        assert rows.count() > 1
        expect(rows.first.get_by_role("cell")).to_have_count(5)


def test_one_chart_of_two_is_drawn(page: Page, site: Site) -> None:
    for size, drawn in ((PHONE, "is-narrow"), (LAPTOP, "is-wide")):
        page.set_viewport_size(size)
        go(page, site.address("drivers"))
        chart = page.get_by_role("img")
        expect(chart).to_have_count(1)
        expect(chart).to_have_class(f"chart {drawn}")


def test_paper_has_the_tables_and_no_menus(page: Page, site: Site) -> None:
    go(page, site.address("drivers"))
    table = page.get_by_role("table").filter(has_text="Weighted to all invited")
    expect(table).to_be_hidden()
    page.emulate_media(media="print")
    expect(table).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()


def test_the_file_stands_alone_in_a_browser(browser: Browser, site: Site, tmp_path: Path) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        go(page, site.address("overview"))
        with page.expect_download() as download:
            page.get_by_role("link", name="Save the whole report as one file").click()
        kept = tmp_path / "report.html"
        download.value.save_as(kept)
    with browser.new_context(viewport=PHONE, offline=True) as context:
        page = context.new_page()
        asked: list[str] = []
        found = watch(page)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(kept.as_uri())
        assert page.evaluate(TOO_WIDE) <= 0
        assert found.complaints == []
        assert asked == [kept.as_uri()]


# Tabs, with and without scripts


def test_a_tab_changes_the_panel_alone(page: Page, site: Site) -> None:
    found = watch(page)
    go(page, site.address("overview"))
    page.evaluate("() => { window.sameDocument = true; }")
    for label, path in list(TABS.items())[1:]:
        tab(page, label).click()
        expect(page).to_have_url(site.address("overview") + path)
        expect(tab(page, label)).to_have_attribute("aria-current", "page")
        expect(tab(page, label)).to_be_focused()
        expect(page).to_have_title(f"{label}: What holds results back? - Fairpatch")
        expect(page.locator("#arrival")).to_have_text(page.title())
    assert page.evaluate("() => window.sameDocument === true")
    assert found.complaints == []


def test_back_and_forward_lead_to_the_tabs_that_were_open(page: Page, site: Site) -> None:
    found = watch(page)
    go(page, site.address("overview"))
    tab(page, "Teams").click()
    expect(tab(page, "Teams")).to_have_attribute("aria-current", "page")
    tab(page, "Method").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Method and privacy")
    page.go_back()
    expect(tab(page, "Teams")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(tab(page, "Overview")).to_have_attribute("aria-current", "page")
    page.go_forward()
    expect(tab(page, "Teams")).to_have_attribute("aria-current", "page")
    assert found.complaints == []


def test_everything_can_be_read_without_scripts(browser: Browser, site: Site) -> None:
    with browser.new_context(viewport=PHONE, java_script_enabled=False) as context:
        page = context.new_page()
        go(page, site.address("list"))
        page.locator(f'a[href="/reports/{site.released}/"]').click()
        for label, path in TABS.items():
            tab(page, label).click()
            expect(page).to_have_url(site.address("overview") + path)
            expect(tab(page, label)).to_have_attribute("aria-current", "page")
        tab(page, "Teams").click()
        page.get_by_role("rowheader").get_by_role("link").last.click()
        expect(page.get_by_role("heading", level=2).first).to_have_text("Support")
        go(page, site.address("drivers"))
        page.locator("summary").click()
        expect(page.get_by_role("table").filter(has_text="Weighted to all invited")).to_be_visible()


def tab(page: Page, label: str) -> Locator:
    """Return the link of a tab."""
    return page.get_by_role("navigation", name="Report").get_by_role("link", name=label, exact=True)


# Keys


def test_the_first_key_offers_to_skip_to_the_content(page: Page, site: Site) -> None:
    for name in ("overview", "promise"):
        go(page, site.address(name))
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport(ratio=1)
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_focus_goes_through_a_page_in_order_and_can_be_seen(
    page: Page, site: Site, size: ViewportSize
) -> None:
    page.set_viewport_size(size)
    go(page, site.address("teams"))
    names = [COMPANY, *page.get_by_role("rowheader").get_by_role("link").all_inner_texts()[1:]]
    for words in ("Skip to the content", "Fairpatch", *TABS, *names):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.inner_text() == words
        assert focused.evaluate(OUTLINE) >= LEAST_OUTLINE
        expect(focused).to_be_in_viewport()


def test_keys_open_a_tab_and_a_fold(page: Page, site: Site) -> None:
    go(page, site.address("overview"))
    tab(page, "Drivers").focus()
    page.keyboard.press("Enter")
    expect(tab(page, "Drivers")).to_have_attribute("aria-current", "page")
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("table").filter(has_text="Weighted to all invited")).to_be_visible()


# A part that is slow, or does not come


def test_a_slow_part_is_announced_and_the_old_one_stays(page: Page, site: Site) -> None:
    page.clock.install()
    go(page, site.address("overview"))
    held: list[Route] = []
    page.route("**/teams", lambda route: held.append(route))
    tab(page, "Teams").click()
    progress, main = page.locator("#progress"), page.locator("main")
    expect(main).to_have_attribute("aria-busy", "true")
    expect(progress).to_have_text("")
    page.clock.fast_forward(500)
    expect(progress).to_have_text("Updating...")
    page.clock.fast_forward(10_000)
    expect(progress).to_have_text("This is taking longer than usual. You can wait or try again.")
    expect(page.get_by_text("Strongest driver")).to_be_visible()
    held[0].continue_()
    page.clock.run_for(100)
    expect(tab(page, "Teams")).to_have_attribute("aria-current", "page")
    expect(progress).to_have_text("")
    expect(main).not_to_have_attribute("aria-busy", "true")


@pytest.mark.parametrize("fate", ["refused", "broken"])
def test_a_part_that_does_not_come_is_told_and_can_be_asked_for_again(
    page: Page, site: Site, fate: str
) -> None:
    go(page, site.address("overview"))
    ends: dict[str, Callable[[Route], None]] = {
        "refused": lambda route: route.abort("connectionrefused"),
        "broken": lambda route: route.fulfill(status=500, body="x"),
    }
    page.route("**/teams", ends[fate])
    tab(page, "Teams").click()
    problem = page.get_by_role("alert")
    expect(problem).to_be_visible()
    expect(problem.get_by_role("heading")).to_have_text("There is a problem")
    expect(problem).to_be_focused()
    assert page.title().startswith("Error: Overview")
    expect(page).to_have_url(site.address("overview"))
    expect(page.get_by_text("Strongest driver")).to_be_visible()
    page.unroute("**/teams")
    problem.get_by_role("link", name="Try again").click()
    expect(page).to_have_url(site.address("teams"))
    expect(page).to_have_title("Teams: What holds results back? - Fairpatch")
    expect(page.get_by_role("alert")).to_be_hidden()


# What a rep reads before anything else


def test_the_promise_fits_its_cycle_and_sends_no_code(browser: Browser, site: Site) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        go(page, site.address("promise"))
        expect(page.get_by_text("HR handed out the links itself")).to_be_visible()
        expect(page.get_by_text("it may close at any moment")).to_be_visible()
        fold = page.get_by_text("(except with chance 1 in 1,000,000)")
        expect(fold).to_be_hidden()
        page.get_by_text("How sure could somebody become?").click()
        expect(fold).to_be_visible()
        assert not any("code" in address.split("#")[0] for address in asked)
