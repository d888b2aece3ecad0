"""The HTML file as people use it: in a real browser, with and without scripts, by keyboard, in the dark, on paper."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it ships no types
from playwright.sync_api import Browser, Page

import fleet
from browser.pages import Opened, browser, opened
from reconciler.core.scopes import parse_scope
from reconciler.errors import visible
from reconciler.render.html import render
from render.rich import AUDITED, BOTH, HOSTILE, KEYS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

ROWS = "#all-keys tbody tr:visible"
CALLED = "row => row.querySelector('b, q').textContent"
MANY = 5000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{name}.html" for name in BOTH}
    for name, report in BOTH.items():
        made[name].write_text(render(report), encoding="utf-8")
    return made


@pytest.fixture
def audit(chromium: Browser, files: dict[str, Path]) -> Iterator[Opened]:
    with opened(chromium, files["audit"]) as one:
        yield one


def names(page: Page) -> list[str]:
    """Give what the keys that are shown are called, in their order."""
    return [str(text) for text in page.locator(ROWS).evaluate_all(f"rows => rows.map({CALLED})")]


def column(page: Page, title: str) -> list[str]:
    """Give the texts of one column of the table, in their order."""
    titles = [text.strip() for text in page.locator("#all-keys thead th").all_text_contents()]
    place = titles.index(title)
    return [text.strip() for text in page.locator(f"{ROWS} > :nth-child({place + 1})").all_text_contents()]


def told(page: Page) -> str:
    return page.locator("#shown").inner_text()


def test_words_filter_keys(audit: Opened) -> None:
    """Keys are shown that have every word somewhere, in whatever case; how many that are is told, and kept up."""
    page = audit.page
    assert told(page) == f"all {len(KEYS) + 1} keys"
    page.get_by_label("Filter").fill("MESSAGES:send team-growth")
    assert names(page) == ["storefront"]
    assert told(page) == f"1 of {len(KEYS) + 1} keys, filtered by “MESSAGES:send team-growth”"
    page.get_by_label("Filter").fill("nobody is called so")
    assert names(page) == []
    page.get_by_role("button", name="show all").click()
    assert len(names(page)) == len(KEYS) + 1
    assert page.get_by_label("Filter").input_value() == ""
    assert page.get_by_role("button", name="show all").is_hidden()


def test_marks_filter_keys(audit: Opened) -> None:
    """Each mark shows as many keys as it says, two of them those that bear both, with words those that have them."""
    page = audit.page
    buttons = page.locator("#filter button[data-mark]")
    for text in buttons.all_inner_texts():
        button = page.get_by_role("button", name=text, exact=True)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert f"({len(names(page))})" in text
        button.click()
    page.get_by_role("button", name="usable from anywhere").click()
    page.get_by_role("button", name="may do everything").click()
    assert names(page) == ["break-glass"]
    assert told(page).endswith(", filtered by usable from anywhere, may do everything")
    page.get_by_label("Filter").fill("storefront")
    assert names(page) == []


def test_a_title_sorts_its_column(audit: Opened) -> None:
    """A click sorts by what stands in a column, another one the other way round, and the title says which it is."""
    page = audit.page
    for title, first, last in (
        ("Last used", "never", "2026-11-24"),
        ("Made", "2025-03-01", "2026-10-01"),
        ("In the files", "config/keys/shop.yaml:14team-growth", "unmanaged"),
    ):
        head = page.locator("#all-keys").get_by_role("columnheader", name=title)
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert (column(page, title)[0], column(page, title)[-1]) == (first, last)
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert (column(page, title)[-1], column(page, title)[0]) == (first, last)
        assert page.locator("[aria-sort]").count() == 1


def test_findings_sort_by_how_serious_they_are(audit: Opened) -> None:
    """Keys with a deny come before those with a warn, then those with a note, and those without come last."""
    page = audit.page
    page.locator("#all-keys").get_by_role("columnheader", name="Findings").get_by_role("button").click()
    looks = [row.get_attribute("class") or "" for row in page.locator(ROWS).all()]
    serious = {"deny": 0, "warn": 1, "note": 2}
    ranks = [serious.get(look.split(" ")[0], 3) for look in looks]
    assert ranks == sorted(ranks)
    assert set(ranks) == {0, 1, 2, 3}


def test_it_is_used_by_keyboard(audit: Opened) -> None:
    """By keyboard alone one comes to the contents, filters, presses a mark, sorts, and scrolls each table."""
    page = audit.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to what was found"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "words":
            break
    page.keyboard.type("newsletter")
    assert names(page) == ["newsletter"]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#filter [aria-pressed=true]").count() == 1
    page.keyboard.press("Space")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#all-keys') !== null"):
            break
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert ring == "3px"
    page.keyboard.press("Enter")
    assert page.locator("#all-keys").get_by_role("columnheader", name="Key").get_attribute("aria-sort") == "ascending"
    regions = page.locator(".scroll")
    assert regions.count() == page.locator(".scroll[tabindex='0'][role=region][aria-label]").count() > 0
    keys = page.get_by_role("region", name="All keys")
    page.get_by_role("button", name="show all").click()
    keys.focus()
    page.keyboard.press("End")
    for _ in range(50):  # the page lets no script in that could be waited for
        if keys.evaluate("box => box.scrollTop") > 0:
            break
        page.wait_for_timeout(100)
    assert keys.evaluate("box => box.scrollTop") > 0


def test_numbers_keys_and_findings_lead_to_the_table(audit: Opened) -> None:
    """A key of the matrix, a number at the top, a finding and what is new each show their keys in the table."""
    page = audit.page
    page.locator("#matrix").get_by_role("link", name="billing").click()
    assert names(page) == ["billing"]
    assert page.locator("#filter").bounding_box() is not None
    assert page.evaluate("document.getElementById('filter').getBoundingClientRect().top") < 100
    page.locator(".tiles").get_by_role("link", name="may do everything").click()
    assert names(page) == ["break-glass"]
    page.locator(".found").get_by_role("link", name="3c90c3cc-0d44-4b50-8888-000000000003").click()
    assert names(page) == ["billing"]
    page.locator("section[aria-labelledby=since]").get_by_role("link", name="7 findings new").click()
    assert len(names(page)) == 7


def test_each_cell_of_the_matrix_is_true(audit: Opened) -> None:
    """What a cell says of a key and a family is what the key's scopes in the table below say."""
    page = audit.page
    families = [text.strip() for text in page.locator("#matrix thead th").all_text_contents()][2:]
    held = {
        row.get_attribute("data-row"): [parse_scope(text) for text in row.locator(".scope").all_text_contents()]
        for row in page.locator(ROWS).all()
    }
    assert len(held) == len(KEYS) + 1
    for row in page.locator("#matrix tbody tr:not(.totals)").all():
        scopes = held[row.locator("a").get_attribute("data-show-row")]
        for family, cell in zip(families, row.locator("td").all_text_contents()[1:], strict=True):
            own = [scope for scope in scopes if scope.family == family]
            if any(scope.text == "*" for scope in scopes):
                assert cell == "*"
            elif not own:
                assert cell == ""
            elif own[0].domain is not None:
                assert cell == str(len(own))
            else:
                assert cell == ("all" if own[0].text.endswith(":all") else "yes")


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [("plan", "light", 1280), ("plan", "dark", 390), ("audit", "dark", 1280), ("audit", "light", 390)],
)
def test_axe_finds_nothing(chromium: Browser, files: dict[str, Path], name: str, scheme: str, width: int) -> None:
    """Contrast, names, roles and structure pass axe, in both themes, on a phone and at a desk; nothing sticks out."""
    # The page lets no script in but its own; axe is let in by the browser.
    with opened(chromium, files[name], width=width, color_scheme=scheme, bypass_csp=True) as one:
        found = Axe().run(one.page).response
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        assert len(found["passes"]) > 20
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", BOTH)
def test_it_asks_nobody_and_complains_of_nothing(chromium: Browser, files: dict[str, Path], name: str) -> None:
    """A page makes no request but for itself, shows no dialog, and nothing of it is refused by its own rules."""
    with opened(chromium, files[name]) as one:
        one.page.wait_for_load_state("networkidle")
        assert one.requests == [files[name].as_uri()]
        assert one.complaints == []
        assert one.dialogs == []


@pytest.mark.parametrize("name", BOTH)
def test_labels_do_no_harm(chromium: Browser, files: dict[str, Path], name: str) -> None:
    """A label that is HTML, Markdown or control characters is a text that is seen, and nothing else."""
    with opened(chromium, files[name]) as one:
        page = one.page
        shown = page.locator("#all-keys q").all_text_contents()
        assert {visible(label) for label in HOSTILE} <= set(shown)
        assert page.locator("img, iframe, object, embed, link, base, form[action]").count() == 0
        assert page.locator("script").count() == 1
        assert page.locator("main a:not([href^='#'])").count() == 0
        assert page.evaluate("document.querySelectorAll('[onerror], [onload], [onclick], [style]').length") == 0


def test_a_script_that_came_through_would_not_run(chromium: Browser, files: dict[str, Path], tmp_path: Path) -> None:
    """Even where markup is put into the page, its rules let no script, no style and no picture of others in."""
    text = files["audit"].read_text(encoding="utf-8")
    evil = "<script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)><p style='color:red' id=evil>x</p>"
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(text.replace('<main id="content">', f'<main id="content">{evil}'), encoding="utf-8")
    with opened(chromium, spoilt) as one:
        one.page.wait_for_load_state("networkidle")
        assert one.page.locator("#evil").count() == 1
        assert one.dialogs == []
        assert one.page.evaluate("getComputedStyle(document.getElementById('evil')).color") != "rgb(255, 0, 0)"
        assert len(one.complaints) >= 3


def test_without_scripts_all_is_readable(chromium: Browser, files: dict[str, Path]) -> None:
    """Without scripts every key, finding and cell is there; what would need them is not shown."""
    with opened(chromium, files["audit"], java_script_enabled=False) as one:
        page = one.page
        assert page.locator(ROWS).count() == len(KEYS) + 1
        assert page.locator("#filter").is_hidden()
        assert page.locator("#all-keys thead button").count() == 0
        assert page.locator("#matrix tbody tr:visible").count() == len(KEYS) + 2
        page.locator("summary").first.click()
        assert page.get_by_text("until 2026-12-05, by team-sec").is_visible()


def test_it_follows_the_theme(chromium: Browser, files: dict[str, Path]) -> None:
    """Paper is light in a light theme and dark in a dark one."""
    papers = {}
    for scheme in ("light", "dark"):
        with opened(chromium, files["audit"], color_scheme=scheme) as one:
            papers[scheme] = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert papers == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}


def test_on_paper_nothing_is_cut_or_folded(chromium: Browser, files: dict[str, Path]) -> None:
    """On paper it is light, tables have no ends that are cut, what is folded is open, and nothing is for clicking."""
    with opened(chromium, files["audit"], color_scheme="dark") as one:
        page = one.page
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("nav").is_hidden()
        assert page.locator("#filter").is_hidden()
        assert page.locator(ROWS).count() == len(KEYS) + 1
        cut = """() => [...document.querySelectorAll(".scroll")].filter((box) =>
            getComputedStyle(box).overflow !== "visible" || box.scrollWidth > box.clientWidth + 1).length"""
        page.set_viewport_size({"width": 1030, "height": 720})  # what A4 landscape has between its margins
        assert page.evaluate(cut) == 0
        unseen = """() => [...document.querySelectorAll("main li, main td, main p:not(:empty)")].filter((part) =>
            !part.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})
            || part.getBoundingClientRect().height === 0).map((part) => part.textContent)"""
        assert page.evaluate(unseen) == []


def test_what_is_filtered_is_what_is_printed(audit: Opened) -> None:
    """A filter holds on paper: only the keys that are shown are printed, and by what they were chosen."""
    audit.page.get_by_label("Filter").fill("billing")
    audit.page.emulate_media(media="print")
    assert names(audit.page) == ["billing"]
    assert audit.page.get_by_text(f"1 of {len(KEYS) + 1} keys, filtered by “billing”").is_visible()


def audit_of(count: int, folder: Path) -> Path:
    """Give the audit of so many keys, as the command writes it."""
    fleet.write(folder, count)
    arguments = ("--policy", "config/policy", "--actual", "listing.json", "-o", "html=audit.html")
    done = subprocess.run([sys.executable, "-m", "reconciler", "audit", *arguments], cwd=folder, check=False)
    assert done.returncode == 3
    return folder / "audit.html"


def test_axe_finds_nothing_in_a_long_table(chromium: Browser, tmp_path: Path) -> None:
    """A table of which only what is in sight is laid out passes axe as well."""
    with opened(chromium, audit_of(510, tmp_path), bypass_csp=True) as one:
        assert one.page.locator("#all-keys.fast").count() == 1
        found = Axe().run(one.page, "#all-keys").response
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        assert len(found["passes"]) > 5


def test_five_thousand_keys(chromium: Browser, tmp_path: Path) -> None:
    """The file of 5,000 keys is under 5 MB; its filter finds one of them, and its rows are the matrix's numbers."""
    large = audit_of(MANY, tmp_path)
    assert large.stat().st_size < 5_000_000
    with opened(chromium, large) as one:
        page = one.page
        assert told(page) == "all 5,000 keys"
        rows_of_table = page.locator("#all-keys tbody tr")
        # Rows out of sight are not laid out: that is what makes the filter quick.
        assert (
            page.evaluate("getComputedStyle(document.querySelector('#all-keys tbody tr')).contentVisibility") == "auto"
        )
        assert rows_of_table.last.get_attribute("role") == "row"
        assert rows_of_table.last.locator("td").first.get_attribute("role") == "cell"
        page.get_by_label("Filter").fill("tickets-4296")
        assert names(page) == ["tickets-4296"]
        page.get_by_label("Filter").fill("")
        rows = page.locator("#matrix tbody tr:not(.totals) a")
        counts = [text.split(" ")[0].replace(",", "") for text in rows.all_inner_texts()]
        shared = [(place, int(count)) for place, count in enumerate(counts) if count.isdigit()]
        assert len(shared) > 5
        for place, count in shared[:6]:
            rows.nth(place).click()
            assert page.locator("#all-keys tbody tr:not([hidden])").count() == count
        page.get_by_role("button", name="show all").click()
        page.locator("#all-keys").get_by_role("columnheader", name="Key").get_by_role("button").click()
        assert names(page)[0] == "alerts-0003"
        page.get_by_role("link", name="table of keys").first.click()
        rule = page.locator(".found", has=page.get_by_role("link", name="table of keys")).first
        count = int(rule.locator("h3 .soft").inner_text().strip("()").replace(",", ""))
        shown = page.locator("#all-keys tbody tr:not([hidden])").count()
        assert shown == count > 1000
        assert told(page) == f"{count:,} of 5,000 keys, filtered by the rule {rule.locator('h3 .text').inner_text()}"


def test_the_report_of_the_page_is_the_one_of_the_audit(audit: Opened) -> None:
    """What was checked, by which policy, when and over which keys stands at the top, whole."""
    facts = audit.page.locator("dl.facts").inner_text()
    assert AUDITED.policy is not None
    assert AUDITED.policy in facts
    assert "2026-11-24 09:00 UTC" in facts
    assert f"{len(KEYS) + 1} keys in 1 account and 1 sub account" in facts
    assert AUDITED.run_id in facts


def test_a_scope_of_any_length_leaves_the_matrix_to_be_seen(chromium: Browser, tmp_path: Path) -> None:
    """A scope that fills no column's head is cut there, and told whole to whoever points at it."""
    long = f"new-thing:{'x' * 200}:read"
    own = AUDITED.accounts[0]
    keys = (replace(KEYS[0], scopes=(*KEYS[0].scopes, long)), *KEYS[1:])
    file = tmp_path / "long.html"
    file.write_text(render(replace(AUDITED, accounts=(replace(own, inventory=keys),))), encoding="utf-8")
    with opened(chromium, file) as one:
        head = one.page.locator("#matrix thead").bounding_box()
        assert head is not None
        assert head["height"] < 400
        assert one.page.locator(f"#matrix thead span[title='{long}']").count() == 1
        one.page.locator("#matrix").get_by_role("link", name="billing").click()
        assert names(one.page) == ["billing"]
