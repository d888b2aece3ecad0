"""The table of all keys on the status page: filtered by words and marks, a page at a time, without a script."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.inventory import ReportedPause
from reconciler.render.keyfilter import Question
from render.boards import CALM, document, keyed, words
from render.markup import Markup
from render.reports import change, report
from render.rich import ACCOUNT, ACME, AUDITED, KEYS, PLANNED, key, key_id
from render.statuses import NOT_IN_SYNC, status

MANY = keyed(*(key(number, f"k{number:03}", "domains:read") for number in range(250)))


def names(made: Markup) -> list[str]:
    """Give what the keys that are shown are called, in their order."""
    return [each.text for each in made.find("a") if "/keys/" in (each.attributes["href"] or "")]


def links(made: Markup) -> dict[str, str | None]:
    return {each.text.strip(): each.attributes["href"] for each in made.find("a")}


def test_all_keys_are_there() -> None:
    """Every key is a row with its account, its place, what it may do, from where, its last use and what is found."""
    made = document(PLANNED, "/keys", told=status(NOT_IN_SYNC))
    assert len(names(made)) == len(KEYS) + 1
    assert words(made, "h1") == "Keys"
    assert words(made, "p", id="shown") == "15 keys, those first that can do most."
    rows = [" ".join(each.text.split()) for each in made.find("tr")]
    assert (
        f"billing held back{key_id(3)} {ACCOUNT} config/keys/shop.yaml:22 messages:read:allmessages:send:all "
        "198.51.100.7/32 203.0.113.0/25 2026-11-24 no-wildcard"
    ) in rows
    assert any(row.startswith("storefront differs") for row in rows)
    assert any(row.startswith("break-glass") and "in no file" in row and "waived" in row for row in rows)
    assert any(row.startswith("twins") and "unclear" in row for row in rows)
    assert any("paused until 2026-12-24" in row for row in rows)
    (account,) = {each for each in links(made).values() if each and each.endswith(ACME)}
    assert account == f"/accounts/{ACCOUNT}/sub-accounts/{ACME}"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=MESSAGES%3Asend+team-growth", ["storefront"]),
        ("q=shop.yaml:22", ["billing"]),
        ("q=no-wildcard", ["billing"]),
        ("q=acme", ["sender"]),
        (f"q={key_id(3)}", ["billing"]),
        ("q=203.0.113.0/25", ["billing"]),
        ("q=nobody+is+called+so", []),
        ("mark=deny", ["billing"]),
        ("mark=open&mark=wild", ["break-glass"]),
        ("mark=open&mark=wild&q=store", []),
        ("mark=off", ["old-importer"]),
        ("mark=held&q=old", ["old-importer"]),
        ("mark=differs&q=team-platform", ["reconciler"]),
        (f"like={key_id(1)}", ["storefront"]),
        ("like=nobody", []),
    ],
)
def test_words_and_marks_choose_keys(query: str, found: list[str]) -> None:
    """Keys are shown that have every word somewhere, in any case, and bear every mark; how many is told."""
    made = document(PLANNED, "/keys", query, status(NOT_IN_SYNC))
    assert names(made) == found
    assert words(made, "p", id="shown").startswith(f"{len(found)} of 15 keys")


def test_marks_are_links_that_choose_and_unchoose() -> None:
    """Each mark says how many of the keys that are found bear it, and leads to them; a chosen one leads back."""
    made = document(PLANNED, "/keys", "q=news&mark=open&page=3", status(NOT_IN_SYNC))
    assert links(made)["deny 0"] == "/keys?q=news&mark=open&mark=deny"
    assert links(document(PLANNED, "/keys"))["deny 1"] == "/keys?mark=deny"
    assert links(made)["usable from anywhere 1"] == "/keys?q=news"
    assert names(made) == ["newsletter"]
    assert links(document(PLANNED, "/keys"))["usable from anywhere 11"] == "/keys?mark=open"
    (chosen,) = [each for each in made.find("a") if each.attributes.get("aria-current") == "true"]
    assert chosen.text == "usable from anywhere 1"
    assert not any("not used for 90 days 0" in text for text in links(made))
    empty = document(CALM, "/keys", "mark=deny")
    assert links(empty)["deny 0"] == "/keys"
    hidden = {each.attributes.get("name"): each.attributes.get("value") for each in made.find("input")}
    assert hidden == {"q": "news", "mark": "open"}
    like = document(PLANNED, "/keys", f"like={key_id(1)}&mark=open")
    assert links(like)["whatever they are like"] == "/keys?mark=open"
    assert {each.attributes.get("name") for each in like.find("input")} == {"q", "mark", "like"}


def test_a_hundred_are_on_a_page() -> None:
    """Pages follow one another, and one beyond the last is the last."""
    first = document(MANY, "/keys")
    assert len(names(first)) == 100
    assert words(first, "nav", class_="pages") == "1 to 100 of 250 next"
    assert links(first)["next"] == "/keys?page=2"
    second = document(MANY, "/keys", "page=2&q=k")
    assert words(second, "nav", class_="pages") == "before 101 to 200 of 250 next"
    assert (links(second)["before"], links(second)["next"]) == ("/keys?q=k", "/keys?q=k&page=3")
    last = document(MANY, "/keys", "page=99")
    assert names(last)[-1] == "k249"
    assert words(last, "nav", class_="pages") == "before 201 to 250 of 250"
    assert document(CALM, "/keys").find("nav", class_="pages") == []


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("", Question()),
        ("q=%20a%20%20b%20", Question("a b")),
        ("q=a&q=b", Question("b")),
        ("mark=deny&mark=deny&mark=nonsense", Question(marks=("deny",))),
        ("page=0", Question()),
        ("page=-1", Question()),
        ("page=\u0663", Question()),
        ("page=1e3", Question()),
        ("page=12", Question(page=12)),
        ("q=%ff%00", Question("\ufffd\x00")),
        (f"q={'x' * 300}", Question("x" * 200)),
        ("&".join("q=a" for _ in range(50)), Question()),
        ("page=" + "9" * 5000, Question(page=int("9" * 200))),
        (";;=&&%", Question()),
    ],
)
def test_any_query_is_a_question(query: str, question: Question) -> None:
    """What nobody understands in a query is passed over, and nothing in it takes long or fails."""
    assert Question.read(query) == question
    assert Question.read(str(question).partition("?")[2]) == question


def test_words_of_a_reader_are_texts() -> None:
    """What somebody looked for is shown as what it is, also where it is markup."""
    evil = quote('<b>"x')
    made = document(PLANNED, "/keys", f"q={evil}&like={quote('<i>')}")
    assert 'with “<b>"x”, like <i>' in words(made, "p", id="shown")
    assert made.find("i") == []


def test_without_a_report_nothing_is_known() -> None:
    """Before the first pass there are no keys to show, which is said as that."""
    made = document(None, "/keys")
    assert words(made, "p", id="shown") == "Not known yet: no pass has ended."
    assert made.find("table") == []


def test_long_lists_are_cut_in_the_table() -> None:
    """Of many scopes six are shown, and how many more there are; a key with none may do nothing."""
    scopes = [f"messages:send:{{shop{number}.example.com}}" for number in range(9)]
    bare = key(2, "bare", paused=ReportedPause("2026-12-01", "moving"))
    made = document(keyed(key(1, "many", *scopes), bare), "/keys")
    assert "and 3 more" in words(made, "table")
    assert "nothing" in words(made, "table")


def test_differences_of_keys_that_are_not_there_mark_none() -> None:
    """A change whose key was not read marks no key; one that was applied does not count as a difference."""
    gone = replace(change("gone"), key_id=key_id(9))
    done = replace(change("a", outcome=Outcome.APPLIED), key_id=key_id(1))
    made = document(keyed(key(1, "a"), changes=(gone, done)), "/keys", "mark=differs")
    assert names(made) == []
    assert document(replace(AUDITED, accounts=report().accounts), "/keys").find("table") == []


def test_a_mark_that_is_none_is_told() -> None:
    """A mark that there is not chooses nothing, and that is said; of many the first few."""
    made = document(PLANNED, "/keys", "mark=bogus&mark=deny&mark=%3Cb%3E")
    assert words(made, "p", id="unknown").startswith("There is no mark “bogus”, “<b>”: it chooses nothing.")
    assert names(made) == ["billing"]
    many = Question.read("&".join(f"mark={number}{'x' * 300}" for number in range(30)))
    assert (len(many.unknown), len(many.unknown[0])) == (5, 200)
    assert document(PLANNED, "/keys", "mark=deny").find("p", id="unknown") == []
