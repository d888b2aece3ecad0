"""The status page as people use it: kept up without losing their place, in doubt when nobody answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it ships no types
from playwright.sync_api import Browser, Page, Route, expect

from browser.boarded import Daemon, serving
from browser.pages import Opened, browser
from reconciler.core.inventory import rfc3339
from reconciler.core.report import Mode
from render.boards import CALM, RECENT, keyed, occurrence
from render.rich import ACCOUNT, CHANGES, PLANNED, key, key_id
from render.statuses import IN_SYNC, NOT_IN_SYNC, status

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PLAN = status(NOT_IN_SYNC, recent=RECENT, mode=Mode.PLAN)
STOREFRONT = f"/accounts/{ACCOUNT}/keys/{key_id(1)}"
MANY = keyed(*(key(number, f"k{number:03}", "domains:read") for number in range(150)))
AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""Makes a page look at once, as one that comes into sight does."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def daemon() -> Iterator[tuple[Daemon, str]]:
    with serving(PLAN, PLANNED) as served:
        yield served


@pytest.fixture
def one(chromium: Browser, daemon: tuple[Daemon, str]) -> Iterator[Opened]:
    yield from visit(chromium, daemon[1] + "/")


def visit(chromium: Browser, address: str, **options: Any) -> Iterator[Opened]:
    """Open an address in a window of its own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
    try:
        opened = Opened(context.new_page())
        opened.watch()
        opened.page.goto(address)
        yield opened
    finally:
        context.close()


def again(page: Page, daemon: Daemon) -> None:
    """Let a page look at once, and wait until it was answered and has taken the answer in."""
    count = len(daemon.answers)
    page.evaluate(AGAIN)
    for _ in range(200):
        if len(daemon.answers) > count:
            break
        page.wait_for_timeout(10)
    page.wait_for_timeout(60)


def instead(body: str) -> Callable[[Route], None]:
    """Give what answers everything in the daemon's place."""
    return lambda route: route.fulfill(body=body, content_type="text/html")


def ago(**span: float) -> str:
    return rfc3339(datetime.now(UTC) - timedelta(**span))


def test_what_changes_is_shown_by_itself(one: Opened, daemon: tuple[Daemon, str]) -> None:
    """After five seconds at most the page shows what has changed, in the tab, too; what is the same costs no page."""
    page = one.page
    expect(page.locator("h1")).to_have_text("A person must act")
    daemon[0].show(status(IN_SYNC, recent=RECENT[:1]), CALM)
    expect(page.locator("h1")).to_have_text("In sync", timeout=8000)
    expect(page).to_have_title("In sync \N{MIDDLE DOT} AhaSend keys")
    assert page.locator("html").get_attribute("data-tone") == "good"
    assert "1c6b3a" in (page.locator("link[rel=icon]").get_attribute("href") or "")
    expect(page.locator("#spoken")).to_have_text("In sync. No person has to act.")
    assert page.locator("article").count() == 0
    again(page, daemon[0])
    again(page, daemon[0])
    assert daemon[0].answers[-2:] == [304, 304]
    assert one.complaints == []
    assert one.dialogs == []
    assert {url.removeprefix(daemon[1]) for url in one.requests if not url.startswith("data:")} == {"/"}


def test_a_reader_keeps_the_place(one: Opened, daemon: tuple[Daemon, str]) -> None:
    """What is replaced leaves alone where a reader is: scrolling, what is open, what has the focus."""
    page = one.page
    page.set_viewport_size({"width": 390, "height": 700})
    entry = page.locator("#lately ~ ol > li", has_text="storefront")
    entry.locator("summary").click()
    page.locator("#matrix").evaluate("box => box.scrollLeft = 60")
    link = page.locator("#matrix").get_by_role("link", name="billing")
    link.focus()
    link.scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    newer = occurrence(CHANGES[1], time="2026-11-23T09:59:00Z")
    daemon[0].show(replace(PLAN, recent=(newer, *RECENT)), replace(PLANNED, run_id="next"))
    again(page, daemon[0])
    expect(page.locator("#lately ~ ol > li")).to_have_count(10)
    assert "billing" in page.locator("#lately ~ ol > li").first.inner_text()
    assert entry.locator("details").get_attribute("open") is not None
    assert page.locator("#lately ~ ol details[open]").count() == 1
    assert page.locator("#matrix").evaluate("box => box.scrollLeft") == 60
    assert page.evaluate("document.activeElement.textContent") == "billing"
    assert abs(page.evaluate("scrollY") - place) < 200


def test_what_somebody_selects_stays_until_then(one: Opened, daemon: tuple[Daemon, str]) -> None:
    """Under a selection nothing is replaced but the verdict; the rest comes when the selection is gone."""
    page = one.page
    page.locator(".command").first.click(click_count=3)
    digest = page.evaluate("getSelection().toString()")
    assert PLANNED.digest is not None
    assert digest.strip() == f"reconciler apply --digest {PLANNED.digest}"
    other = replace(PLANNED, digest=f"sha256:{'ef' * 32}", run_id="next")
    daemon[0].show(replace(PLAN, next_at="2026-11-23T11:00:00Z", sync=IN_SYNC), other)
    again(page, daemon[0])
    assert page.evaluate("getSelection().toString()") == digest
    expect(page.locator(".hero .since")).to_contain_text("since 2026-11-23 08:00 UTC")
    page.evaluate("getSelection().removeAllRanges()")
    again(page, daemon[0])
    expect(page.locator(".command").first).to_contain_text("ef" * 32)


def test_the_focus_stays_with_its_key(one: Opened, daemon: tuple[Daemon, str]) -> None:
    """When what stands above is gone the focus is still on the same key, and where that is gone, near where it was."""
    page = one.page
    own, *others = PLANNED.accounts
    link = page.locator("article").get_by_role("link", name="storefront")
    link.focus()
    fewer = replace(own, changes=tuple(each for each in own.changes if each.name != "reconciler"))
    daemon[0].show(PLAN, replace(PLANNED, accounts=(fewer, *others), run_id="next"))
    again(page, daemon[0])
    assert page.locator("article").get_by_role("link", name="reconciler").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "storefront"
    assert page.evaluate("document.activeElement.closest('article') !== null")
    daemon[0].show(replace(PLAN, recent=()), CALM)
    again(page, daemon[0])
    assert page.locator("article").count() == 0
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_piece_under_a_selection_stays_whole(one: Opened, daemon: tuple[Daemon, str]) -> None:
    """A difference in which somebody selects is left as a whole, not half of the one and half of the other."""
    page = one.page
    card = page.locator("article", has_text="storefront").first
    card.locator("pre").first.click(click_count=3)
    before = card.inner_text()
    own, *others = PLANNED.accounts
    fewer = replace(own, changes=tuple(each for each in own.changes if each.name not in ("reconciler", "storefront")))
    daemon[0].show(PLAN, replace(PLANNED, accounts=(fewer, *others), run_id="next"))
    again(page, daemon[0])
    assert page.locator("article", has_text="storefront").first.inner_text() == before
    expect(page.locator("#differs .count")).to_have_text("7")
    page.evaluate("getSelection().removeAllRanges()")
    again(page, daemon[0])
    expect(page.locator("article", has_text="storefront")).to_have_count(0)
    again(page, daemon[0])
    assert daemon[0].answers[-2:] == [200, 304]
    page.locator("article pre").first.click(click_count=3)
    daemon[0].show(status(IN_SYNC), CALM)
    again(page, daemon[0])
    assert page.locator("article").count() == 1
    daemon[0].show(PLAN, replace(PLANNED, accounts=(fewer, *others), run_id="next"))
    page.evaluate("getSelection().removeAllRanges()")
    again(page, daemon[0])
    assert page.locator("article").count() > 10


def test_no_selection_keeps_up_a_verdict(chromium: Browser) -> None:
    """A verdict is replaced at once, also where somebody selects in it: that of everything, and that of one key."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        for path, verdict in (("/", "h1"), (STOREFRONT, ".stand strong")):
            daemon.show(status(IN_SYNC), CALM)
            for opened in visit(chromium, address + path):
                page = opened.page
                page.locator(verdict).click(click_count=3)
                assert page.evaluate("getSelection().isCollapsed") is False
                before = page.locator(verdict).inner_text()
                daemon.show(PLAN, PLANNED)
                again(page, daemon)
                expect(page.locator(verdict)).not_to_have_text(before)


def test_words_in_the_filter_stay(chromium: Browser) -> None:
    """What somebody types stays while the table is kept up, with the caret; sent, it filters without a script."""
    with serving(status(IN_SYNC), MANY) as (daemon, address):
        for opened in visit(chromium, f"{address}/keys?page=2"):
            page = opened.page
            page.locator("#rows").evaluate("box => box.scrollTop = 200")
            page.get_by_label("Words").press_sequentially("k00 ")
            page.keyboard.press("ArrowLeft")
            daemon.show(status(NOT_IN_SYNC), replace(MANY, run_id="next", findings=PLANNED.findings))
            again(page, daemon)
            expect(page.locator(".brand .state")).not_to_have_text("In sync")
            assert page.get_by_label("Words").input_value() == "k00 "
            assert page.evaluate("[document.activeElement.id, document.activeElement.selectionStart]") == ["words", 3]
            assert page.locator("#rows").evaluate("box => box.scrollTop") == 200
            page.keyboard.press("Enter")
            expect(page.locator("#rows tbody tr")).to_have_count(10)
            assert page.url == f"{address}/keys?q=k00+"
            page.get_by_role("link", name="usable from anywhere").click()
            expect(page.locator("[aria-current=true]")).to_have_text("usable from anywhere 10")
            assert page.get_by_label("Words").input_value() == "k00"
            assert opened.complaints == []


def test_without_an_answer_nothing_looks_in_sync(chromium: Browser) -> None:
    """When the daemon is gone a banner and the tab say it, the verdict is struck; when it is back all is as before."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        for opened in visit(chromium, address):
            page = opened.page
            expect(page).to_have_title("In sync \N{MIDDLE DOT} AhaSend keys")
            assert page.locator("#lost").is_hidden()
            good = page.locator(".hero").evaluate("hero => getComputedStyle(hero).backgroundColor")
            daemon.stop()
            page.evaluate(AGAIN)
            expect(page.locator("#lost")).to_contain_text("No answer from the daemon since ")
            expect(page.locator("#lost-since")).to_contain_text("for less than a minute")
            expect(page).to_have_title("No answer \N{MIDDLE DOT} AhaSend keys")
            expect(page.locator("#spoken")).to_have_text(
                "No answer from the daemon. What is shown may not be so any more."
            )
            assert "line-through" in page.locator(".hero h1").evaluate("h1 => getComputedStyle(h1).textDecorationLine")
            assert page.locator(".sign .as-told").is_hidden()
            assert "59636e" in (page.locator("link[rel=icon]").get_attribute("href") or "")
            assert good == "rgb(28, 107, 58)"
            assert "gradient" in page.locator(".hero").evaluate("hero => getComputedStyle(hero).backgroundImage")
            daemon.start()
            again(page, daemon)
            expect(page.locator("#lost")).to_be_hidden()
            expect(page).to_have_title("In sync \N{MIDDLE DOT} AhaSend keys")
            expect(page.locator("#spoken")).to_have_text("In sync. No person has to act.")
            assert page.locator("html.lost").count() == 0


def test_other_answers_are_none(chromium: Browser) -> None:
    """A fault of the server, a page that is no more, and something else in the daemon's place are each told as that."""
    gone = replace(CHANGES[5], key_id=key_id(77))
    with serving(status(IN_SYNC, recent=(occurrence(gone),)), CALM) as (daemon, address):
        for opened in visit(chromium, f"{address}/accounts/{ACCOUNT}/keys/{key_id(77)}"):
            page = opened.page
            expect(page.locator(".stand strong")).to_have_text("Gone")
            daemon.broken = True
            again(page, daemon)
            expect(page.locator("#lost strong")).to_have_text("The daemon answers 500")
            daemon.broken = False
            again(page, daemon)
            expect(page.locator("#lost")).to_be_hidden()
            daemon.show(status(IN_SYNC), CALM)
            again(page, daemon)
            expect(page.locator("#lost strong")).to_have_text("There is no such page any more")
            expect(page.locator(".stand strong")).to_have_text("Gone")
            expect(page).to_have_title("No such page \N{MIDDLE DOT} AhaSend keys")
            page.route("**/*", instead("<h1>Please log in</h1>"))
            page.evaluate(AGAIN)
            expect(page.locator("#lost strong")).to_have_text("Something else answers in the daemon's place")
            page.unroute("**/*")
            page.route("**/*", instead(f"<html data-build=x data-as-of={daemon.now}></html>"))
            page.evaluate("document.documentElement.dataset.build = 'x'")
            page.evaluate(AGAIN)
            expect(page.locator("#lost strong")).to_have_text("No answer from the daemon")


@pytest.mark.parametrize("tagged", [False, True])
def test_old_answers_are_none(chromium: Browser, tagged: bool) -> None:
    """Where something repeats an old answer, or says for ever that nothing changed, nothing looks in sync for long."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        context = chromium.new_context()
        page = context.new_page()
        page.clock.install()
        page.goto(address)
        if tagged:
            again(page, daemon)
        daemon.frozen = daemon.now
        again(page, daemon)
        assert page.locator("#lost").is_hidden()
        page.clock.run_for(14_000)
        assert page.locator("#lost").is_hidden()
        page.clock.run_for(3_000)
        expect(page.locator("#lost strong")).to_have_text("Only old answers of the daemon arrive here")
        assert "line-through" in page.locator(".hero h1").evaluate("h1 => getComputedStyle(h1).textDecorationLine")
        daemon.ahead += timedelta(seconds=17)  # the clock of this page goes before that of the machine
        daemon.frozen = None
        again(page, daemon)
        expect(page.locator("#lost")).to_be_hidden()
        context.close()


def test_a_daemon_whose_clock_was_set_back(chromium: Browser) -> None:
    """Answers of a clock that was set back count once they go on for a while: the page is loaded anew."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        for opened in visit(chromium, address):
            page = opened.page
            page.evaluate("document.documentElement.dataset.mine = 'yes'")
            daemon.ahead -= timedelta(hours=1)
            daemon.show(status(NOT_IN_SYNC, mode=Mode.PLAN), PLANNED)
            for _ in range(3):
                again(page, daemon)
                expect(page.locator("h1")).to_have_text("In sync")
            page.evaluate(AGAIN)
            expect(page.locator("html:not([data-mine])")).to_have_count(1)
            expect(page.locator("h1")).to_have_text("A person must act")


def test_an_address_without_a_page_is_kept_up(chromium: Browser) -> None:
    """An old link leads to a page that says so and is in no doubt about it; once there is a page, it is shown."""
    gone = replace(CHANGES[5], key_id=key_id(77), name="bygone")
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        for opened in visit(chromium, f"{address}/accounts/{ACCOUNT}/keys/{key_id(77)}"):
            page = opened.page
            expect(page.locator("h1")).to_have_text("There is no such page")
            again(page, daemon)
            assert page.locator("#lost").is_hidden()
            daemon.show(status(IN_SYNC, recent=(occurrence(gone),)), CALM)
            again(page, daemon)
            expect(page.locator("h1")).to_have_text("bygone")
            expect(page).to_have_title("bygone: Gone \N{MIDDLE DOT} In sync \N{MIDDLE DOT} AhaSend keys")
            page.goto(f"{address}/keys/")
            page.get_by_role("link", name="All keys").click()
            expect(page.locator("h1")).to_have_text("Keys")


def test_a_page_of_another_version_is_loaded_anew(chromium: Browser) -> None:
    """When the daemon was replaced by one with another script, the whole page is loaded, once."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        for opened in visit(chromium, address):
            page = opened.page
            page.evaluate("document.documentElement.dataset.build = 'older'")
            again(page, daemon)
            expect(page.locator("html:not([data-build=older])")).to_have_count(1)
            again(page, daemon)
            assert len(daemon.answers) == 4


def test_ages_go_by_the_clock_of_the_daemon(chromium: Browser) -> None:
    """How long ago something was is counted by the daemon's clock, however wrong the browser's is, and kept up."""
    told = status(IN_SYNC)
    assert told.last_pass is not None
    ahead = timedelta(days=400)
    last = replace(told.last_pass, finished_at=ago(days=-400, minutes=3))
    told = replace(
        told, last_pass=last, next_at=ago(days=-400, minutes=-5), sync=replace(IN_SYNC, since=ago(days=-396))
    )
    with serving(told, CALM) as (daemon, address):
        daemon.ahead = ahead
        for opened in visit(chromium, address):
            beat = opened.page.locator(".beat")
            expect(beat).to_contain_text("3 minutes ago")
            expect(beat).to_contain_text("in 4 minutes")
            expect(opened.page.locator(".hero .since")).to_contain_text("for 4 days")
            later = replace(told, next_at=ago(days=-400, minutes=7))
            daemon.show(later, CALM)
            again(opened.page, daemon)
            expect(beat).to_contain_text("due for 7 minutes")
            daemon.ahead += timedelta(minutes=20)
            daemon.show(told, CALM)
            again(opened.page, daemon)
            expect(beat).to_contain_text("due for 7 minutes")  # a clock that was set is not believed at once
            again(opened.page, daemon)
            expect(beat).to_contain_text("23 minutes ago")


def test_a_page_that_was_away_looks_at_once(chromium: Browser) -> None:
    """A page out of sight asks nothing; what it showed is in doubt at once when it comes back after a while."""
    with serving(status(IN_SYNC), CALM) as (daemon, address):
        context = chromium.new_context()
        page = context.new_page()
        page.clock.install()
        page.goto(address)
        page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        page.evaluate(AGAIN)
        count = len(daemon.answers)
        page.evaluate("dispatchEvent(new Event('online'))")
        page.clock.run_for(60_000)
        daemon.ahead += timedelta(minutes=1)  # as much has passed for the daemon
        assert len(daemon.answers) == count
        daemon.stop()
        assert page.locator("#lost").is_hidden()
        page.evaluate("delete document.hidden")
        assert page.evaluate(f"{AGAIN}, !document.getElementById('lost').hidden"), "before it could be answered"
        expect(page.locator("#lost-since")).to_contain_text("for 1 minute")
        daemon.start()
        page.wait_for_timeout(100)
        page.clock.run_for(6_000)
        expect(page.locator("#lost")).to_be_hidden()
        context.close()


def test_it_is_used_by_keyboard(one: Opened) -> None:
    """By keyboard one skips to the contents, comes to each link and each table, and sees where one is."""
    page = one.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the contents"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    seen = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        ring, what = page.evaluate(
            "(({activeElement: at}) => [getComputedStyle(at).outlineWidth, at.id || at.textContent])(document)"
        )
        assert ring == "3px"
        seen.add(what)
    assert {"matrix", "storefront", "what, exactly", "break-glass"} <= {text.strip('“”"') for text in seen}
    page.get_by_role("link", name="storefront").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("storefront")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Browser, scheme: str) -> None:
    """Contrast, names, roles and structure of each page pass axe, in both themes, also when nobody answers."""
    with serving(replace(PLAN, readiness=status(IN_SYNC, "late", rejected="no").readiness), PLANNED) as (
        daemon,
        address,
    ):
        paths = ("/", "/keys?mark=open", f"/accounts/{ACCOUNT}", STOREFRONT)
        for path in paths if scheme == "light" else ("/", "/keys?mark=open"):
            # The page lets no script in but its own; axe is let in by the browser.
            for opened in visit(chromium, address + path, color_scheme=scheme, bypass_csp=True):
                assert violations(opened.page) == []
        daemon.show(status(IN_SYNC), CALM)
        for opened in visit(chromium, address, color_scheme=scheme, bypass_csp=True):
            assert violations(opened.page) == []
            opened.page.route("**/*", lambda route: route.abort())
            opened.page.evaluate(AGAIN)
            expect(opened.page.locator("#lost")).to_be_visible()
            assert violations(opened.page) == []


def violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page).response
    assert len(found["passes"]) > 15
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]


@pytest.mark.parametrize("width", [320, 390, 820, 1920])
def test_nothing_sticks_out(chromium: Browser, width: int) -> None:
    """No page has to be scrolled sideways, on a phone (or at four times the size), a tablet, a desk or a wall."""
    long = replace(PLAN, readiness=status(IN_SYNC, "x" * 400, rejected="y" * 300).readiness)
    with serving(long, PLANNED) as (_, address):
        for opened in visit(chromium, address):
            opened.page.set_viewport_size({"width": width, "height": 1080})
            for path in ("/", "/keys", f"/accounts/{ACCOUNT}", STOREFRONT):
                opened.page.goto(address + path)
                assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_phone_shows_what_matters(chromium: Browser) -> None:
    """On a phone each key is a card with all its cells, named; the matrix keeps its keys, and shows that it goes on."""
    with serving(PLAN, PLANNED) as (_, address):
        for opened in visit(chromium, address + "/keys"):
            page = opened.page
            page.set_viewport_size({"width": 390, "height": 844})
            card = page.locator("#rows tbody tr", has_text="billing")
            for cell in card.locator("th, td").all():
                box = cell.bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= 390
            tops = [cell.evaluate("cell => cell.getBoundingClientRect().top") for cell in card.locator("th, td").all()]
            assert tops == sorted(set(tops)), "below one another"
            label = "cell => getComputedStyle(cell, '::before').content"
            assert card.locator("td").nth(2).evaluate(label) == '"May"'
            page.goto(address)
            matrix = page.locator("#matrix")
            assert matrix.locator("td.from").first.is_hidden()
            assert matrix.locator(".from-below").first.is_visible()
            key = matrix.locator("tbody th", has_text="billing")
            box = key.bounding_box()
            assert box is not None
            assert box["width"] <= 200
            edge = "box => getComputedStyle(box, '::after').opacity"
            assert float(matrix.evaluate(edge)) == 1
            matrix.evaluate("box => box.scrollLeft = 1000")
            page.wait_for_timeout(100)
            assert float(matrix.evaluate(edge)) < 0.1
            assert key.bounding_box() == box
            page.set_viewport_size({"width": 1920, "height": 1080})
            assert float(matrix.evaluate(edge)) == 0
            assert matrix.locator(".from-below").first.is_hidden()


def test_a_wall_is_answered_from_across_the_room(chromium: Browser) -> None:
    """At 1920 by 1080 the verdict, since when, and the numbers are in the first screenful, the verdict very large."""
    with serving(status(IN_SYNC), CALM) as (_, address):
        for opened in visit(chromium, address):
            opened.page.set_viewport_size({"width": 1920, "height": 1080})
            box = opened.page.locator("h1").bounding_box()
            assert box is not None
            assert box["height"] > 120
            tiles = opened.page.locator(".tiles").bounding_box()
            assert tiles is not None
            assert tiles["y"] + tiles["height"] < 1080


def test_without_a_script_all_is_readable(chromium: Browser) -> None:
    """Without scripts the verdict, the times, the filter and every key are there, and the page fetches itself again."""
    with serving(PLAN, PLANNED) as (_, address):
        for opened in visit(chromium, address, java_script_enabled=False):
            page = opened.page
            expect(page.locator("h1")).to_have_text("A person must act")
            expect(page.locator(".hero .since")).to_contain_text("not in sync since 2026-11-23 09:30 UTC")
            assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
            page.get_by_role("link", name="Keys", exact=True).click()
            page.get_by_label("Words").fill("storefront")
            page.get_by_role("button", name="Filter").click()
            expect(page.locator("#rows tbody tr")).to_have_count(1)
            page.locator("#rows").get_by_role("link", name="storefront").click()
            expect(page.locator("h1")).to_have_text("storefront")
            assert opened.complaints == []


def test_a_script_that_came_through_would_not_run(chromium: Browser, daemon: tuple[Daemon, str]) -> None:
    """Markup that came through, at first or by a later answer, runs no script and loads nothing from anywhere."""
    evil = "<script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)><p style='color:red' id=evil>x</p>"

    def spoilt(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('<h2 id="held"', f'{evil}<h2 id="held"'))

    for opened in visit(chromium, "about:blank"):
        page = opened.page
        page.route(daemon[1] + "/", spoilt)
        page.goto(daemon[1])
        assert page.locator("#evil").count() == 1
        again(page, daemon[0])
        assert opened.dialogs == []
        assert page.evaluate("getComputedStyle(document.getElementById('evil')).color") != "rgb(255, 0, 0)"
        assert len(opened.complaints) >= 3


def test_on_paper(one: Opened) -> None:
    """On paper it is light, the verdict is there, tables have no ends that are cut, and nothing is for clicking."""
    page = one.page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("h1").is_visible()
    assert page.get_by_role("navigation", name="Pages").is_hidden()
    page.set_viewport_size({"width": 690, "height": 1000})
    cut = """() => [...document.querySelectorAll(".scroll")].filter((box) =>
        getComputedStyle(box).overflow !== "visible" || box.scrollWidth > box.clientWidth + 1).length"""
    assert page.evaluate(cut) == 0
