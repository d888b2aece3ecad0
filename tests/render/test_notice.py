"""Messages to people: what they say, how long they are, and that no text of others does anything in them."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.telling import DIGEST, NOON, OTHER, SHOP, concern
from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.telling import Notice, Standing
from reconciler.errors import mask
from reconciler.render.addresses import Address
from reconciler.render.notice import LONGEST, Message, Urgency, render
from reconciler.render.notice import test_message as a_test

PAGE = "https://keys.example.com"


def standing(kind: Kind, key: str | None = "shop", **fields: Any) -> Standing:
    return Standing(concern(kind, key, **fields), NOON)


def whole(kind: Kind, reason: str) -> Standing:
    """A concern about no account."""
    return Standing(Concern(Matter(kind), reason=reason), NOON)


def over(kind: Kind, key: str | None = "shop", **fields: Any) -> Standing:
    return replace(standing(kind, key, **fields), gone=NOON + timedelta(hours=3), gone_passes=2)


def message(page: str | None = None, secrets: tuple[str, ...] = (), **fields: Any) -> Message:
    return render(Notice(**fields), page, lambda text: mask(text, *secrets))


def test_a_key_that_is_held_back() -> None:
    """Title and body say what, how many, where, why, what to do, the line of the file and the link."""
    held = standing(
        Kind.HELD_BACK,
        label="Shop (EU)",
        what="update, refused",
        reason="max-changes: 9 changes are more than 5: let it through with --allow max-changes",
        source=Source("keys/shop.yaml", 12, 5),
        key_id="3c90",
    )
    told = message(PAGE, news=(held,), standing=1, digest=DIGEST)
    assert told == Message(
        f"1 key held back in account {SHOP}",
        '- held back, a person must act (update, refused): shop "Shop (EU)"\n'
        f"  in account {SHOP}\n"
        "  max-changes: 9 changes are more than 5: let it through with --allow max-changes\n"
        "  asked for at keys/shop.yaml:12\n"
        f"  {PAGE}/accounts/{SHOP}/keys/3c90\n\n"
        f"Status: {PAGE}/",
        Urgency.WARNING,
    )


def test_the_plan_is_told_where_it_may_be_applied() -> None:
    """Of what is only planned somebody may apply the very plan that was reviewed; it lets through nothing held back."""
    told = message(PAGE, news=(standing(Kind.PLANNED),), digest=DIGEST).body
    assert told.splitlines()[-2] == f"Plan, to compare with what is reviewed: {DIGEST}"
    assert DIGEST not in message(PAGE, news=(standing(Kind.HELD_BACK),), digest=DIGEST).body
    assert "Plan" not in message(PAGE, news=(standing(Kind.PLANNED),)).body


def test_a_key_is_called_by_its_name() -> None:
    """As the files have it, with the label where that is another one; one of no file by its id and label."""
    named = standing(Kind.FAILED, "3c90", name="shop", label="Shop")
    assert 'now: shop "Shop"\n' in message(news=(named,)).body
    assert "now: shop\n" in message(news=(standing(Kind.FAILED, "3c90", name="shop", label="shop"),)).body
    assert 'now: 3c90 "Shop"\n' in message(news=(standing(Kind.FAILED, "3c90", label="Shop"),)).body
    assert "- shop, in account" in message(over=(over(Kind.FAILED, "3c90", name="shop"),)).body


@pytest.mark.parametrize(
    ("below", "key_id", "path"),
    [
        (None, "3c90", f"/accounts/{SHOP}/keys/3c90"),
        ("sub", "3c90", f"/accounts/{SHOP}/sub-accounts/sub/keys/3c90"),
        ("sub", None, f"/accounts/{SHOP}/sub-accounts/sub"),
        (None, None, f"/accounts/{SHOP}"),
    ],
)
def test_links(below: str | None, key_id: str | None, path: str) -> None:
    """They lead to the key, also of a sub account; one that does not exist yet to its account: to pages there are."""
    told = Standing(Concern(Matter(Kind.HELD_BACK, SHOP, below, "shop"), key_id=key_id), NOON)
    assert f"  {PAGE}{path}\n" in message(PAGE, news=(told,)).body
    assert str(Address.read(path)) == path
    assert "accounts/" not in message(news=(told,)).body


def test_what_to_do_is_told_whole() -> None:
    """Of a long reason something in the middle is cut, and of what to do nothing that a person could not read."""
    hint = "find out which person or tool writes the other value, and let one of the two give way"
    told = message(news=(standing(Kind.CONTESTED, reason="why " * 200, hint=hint),)).body
    assert f"why; {hint}" in told
    told = message(news=(standing(Kind.HELD_BACK, reason="scopes " * 200 + "let it through with --allow x"),)).body
    assert told.endswith("let it through with --allow x")
    assert len(max(told.splitlines(), key=len)) <= 302
    assert message(news=(standing(Kind.FINDING, hint="h" * 999),)).body.count("h") < 310
    assert "  list it" in message(news=(standing(Kind.FINDING, hint="list it"),)).body


@pytest.mark.parametrize(
    "label", ["evil.com/login", "www.evil.com", "WWW.evil.com", "evil.com:80/x", "\u00e4.evil.com?x", "evil.com#x"]
)
def test_a_label_makes_no_link(label: str) -> None:
    """Whatever looks like the address of a page; in a reason neither, where a name alone of a host stays as it is."""
    told = message(news=(standing(Kind.HELD_BACK, label=label, reason=f"of {label}"),)).body
    assert ".com" not in told.partition('"')[2].partition('"')[0]
    assert not re.search(r"www\.|\.com[/:?#]", told, re.IGNORECASE)
    unnamed = message(news=(standing(Kind.HELD_BACK, label),)).body
    assert ".com" not in unnamed


def test_ordinary_texts_stay_as_they_are() -> None:
    """Names of files and hosts, words with underscores, sentences."""
    reason = "keys.yaml:3:1 of team_growth asks for messages:send:{shop.example.com}. Take it out"
    told = message(news=(standing(Kind.HELD_BACK, reason=reason, source=Source("conf.dir/a_b.yaml", 3, 1)),)).body
    assert reason in told
    assert "asked for at conf.dir/a_b.yaml:3" in told


@pytest.mark.parametrize("label", ["~~x~~", "__y__", "_z_", "||spoiler||", "snake_ case", "a __b"])
def test_a_label_marks_nothing_up(label: str) -> None:
    """Neither struck out, nor hidden, nor in italics."""
    told = message(news=(standing(Kind.HELD_BACK, label=label, reason=label),)).body
    assert not re.search(r"[~|]|(?<![a-z])_|_(?![a-z])", told)


def test_many_keys_are_one() -> None:
    """Keys of an account for which the same holds are told as one and a number; other reasons stand apart."""
    same = [standing(Kind.HELD_BACK, f"key-{n:03}", reason="hold: INC-1") for n in range(42)]
    told = message(news=(*same, standing(Kind.HELD_BACK, "other", reason="restore: fenced")))
    assert told.title == f"43 keys held back in account {SHOP}"
    assert told.body.splitlines() == [
        "- held back, a person must act: key-000 and 41 more",
        f"  in account {SHOP}",
        "  hold: INC-1",
        "",
        "- held back, a person must act: other",
        f"  in account {SHOP}",
        "  restore: fenced",
    ]


def test_many_sub_accounts_are_one() -> None:
    """A key that a rule gives to many sub accounts is told once where the same holds in all of them."""
    below = [
        Standing(Concern(Matter(Kind.HELD_BACK, SHOP, f"sub-{n:02}", "sender"), reason="hold: INC-1"), NOON)
        for n in range(41)
    ]
    told = message(news=tuple(below))
    assert told.title == f"41 keys held back in account {SHOP}"
    assert told.body.splitlines()[:2] == [
        "- held back, a person must act: sender and 40 more",
        f"  in sub account sub-00 of account {SHOP} and 40 more",
    ]


def test_what_is_more_than_one_can_read_is_counted() -> None:
    """Of many different concerns the first are told."""
    some = tuple(standing(Kind.HELD_BACK, f"key-{n:03}", reason=f"reason {n}") for n in range(20))
    assert message(news=some).body.splitlines()[-1] == "- and 12 more concerns like these"


def test_accounts_are_counted() -> None:
    """Accounts that fail alike are told as one, wherever they are; the title says of how many accounts it tells."""
    lost = [
        Standing(Concern(Matter(Kind.ACCOUNT, SHOP, sub), reason="503"), NOON) for sub in (None, "a", EVERY_SUB_ACCOUNT)
    ]
    told = message(news=tuple(lost))
    assert (told.title, told.urgency) == (f"3 accounts not read in account {SHOP}", Urgency.FAILURE)
    assert told.body.splitlines()[0] == (
        f"- could not be read, for a while now: account {SHOP}, sub account a of account {SHOP}, "
        f"all sub accounts of account {SHOP}"
    )
    elsewhere = Standing(Concern(Matter(Kind.HELD_BACK, OTHER, None, "x")), NOON)
    assert message(news=(standing(Kind.HELD_BACK), elsewhere)).title == "2 keys held back in 2 accounts"


def test_different_concerns_in_one_title() -> None:
    """The most serious kind is told, and the others are counted."""
    told = message(news=(standing(Kind.FINDING), standing(Kind.HELD_BACK), standing(Kind.FAILED)))
    assert told.title == f"1 rule broken (deny) in account {SHOP}, and 2 other concerns"


def test_the_daemon_itself() -> None:
    """What is about no account names none."""
    told = message(news=(whole(Kind.FILES, "the files do not load: keys.yaml:3:1: no"),))
    assert told.title == "Newer files or settings do not load"
    assert told.body.splitlines() == [
        "- newer files or settings do not load, older ones stay in force",
        "  the files do not load: keys.yaml:3:1: no",
    ]


def test_what_is_over() -> None:
    """It is told with how long it lasted; the title says whether anything still stands."""
    ended = (over(Kind.HELD_BACK), replace(over(Kind.FINDING), concern=_broken("no-wildcard#12ab")))
    told = message(over=ended)
    assert told.title == "Over: 2 concerns, nothing stands any more"
    assert told.body.splitlines() == [
        "Over:",
        f"- shop, in account {SHOP}: nothing is held back any more, after 3 hours",
        f"- account {SHOP}: the rule is not broken any more (no-wildcard), after 3 hours",
    ]
    assert message(over=ended[:1], standing=2).title == "Over: 1 concern, 2 still stand"
    assert message(over=ended[:1], standing=1).title == "Over: 1 concern, 1 still stands"
    assert message(over=tuple(over(Kind.FAILED, str(n)) for n in range(7))).body.splitlines()[-1] == "- and 2 more"
    assert "after" not in message(over=(standing(Kind.FAILED),)).body


def _broken(rule: str) -> Concern:
    return Concern(Matter(Kind.FINDING, SHOP, None, None, rule))


def test_reminders() -> None:
    """What still stands is told by kinds, with since when."""
    some = (*(standing(Kind.HELD_BACK, f"k{n}") for n in range(5)), whole(Kind.FILES, ""))
    told = message(reminders=some, standing=6)
    assert told.title == "Still: 6 concerns after a day"
    assert told.body.splitlines() == [
        "Told before, and still so:",
        "- 5 keys held back: k0 and 4 more, since 2026-11-23 12:00 UTC",
        "- Newer files or settings do not load, since 2026-11-23 12:00 UTC",
    ]


@pytest.mark.parametrize(
    ("fields", "urgency"),
    [
        ({"news": (standing(Kind.FINDING),)}, "failure"),
        ({"news": (standing(Kind.CONTESTED),)}, "failure"),
        ({"news": (whole(Kind.PASS, "x"),)}, "failure"),
        ({"news": (whole(Kind.TRAIL, "x"),)}, "failure"),
        ({"news": (whole(Kind.FILES, "x"),)}, "warning"),
        ({"news": (standing(Kind.PLANNED),), "over": (over(Kind.FINDING),)}, "warning"),
        ({"reminders": (standing(Kind.FINDING),)}, "failure"),
        ({"over": (over(Kind.FINDING),), "standing": 1}, "info"),
        ({"over": (over(Kind.FINDING),), "standing": 0}, "success"),
    ],
)
def test_urgency(fields: dict[str, Any], urgency: str) -> None:
    """A success is told only where nothing stands any more: a pager resolves its incident by it."""
    assert message(**fields).urgency == urgency


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_words(kind: Kind) -> None:
    """One, several, what stands and what is over can be told of each kind."""
    one, two = standing(kind), standing(kind, "other", reason="x")
    assert message(news=(one,)).title != message(news=(one, two)).title or kind in (Kind.PASS, Kind.TRAIL, Kind.FILES)
    assert message(over=(over(kind),)).body


HOSTILE = (
    "@channel @everyone <!channel> <@U123> <https://evil.example|Approve> [Approve](https://evil.example) `x` *b* "
    "\n- forged line\r\u2028\u202e\x1b[31m &lt;!here&gt;"
)


def test_texts_of_others_do_nothing() -> None:
    """No label, reason or name mentions anybody, makes a link, marks up, or breaks its line."""
    hostile = Concern(
        Matter(Kind.HELD_BACK, "a\nb", "c<d", f"k{HOSTILE}", "r"),
        HOSTILE,
        HOSTILE,
        HOSTILE,
        Source(HOSTILE, 1, 1),
        "k\n/",
    )
    ended = Standing(hostile, NOON, gone=NOON, gone_passes=2)
    told = message(PAGE, news=(Standing(hostile, NOON),), over=(ended,), reminders=(Standing(hostile, NOON),))
    text = told.title + told.body.replace(PAGE, "")
    assert not set("@<>`*[]!\r\x1b\u2028\u202e") & set(text)
    assert "://" not in text
    assert "\n" not in told.title
    assert len(told.body.splitlines()) == 13
    assert f"{PAGE}/accounts/a%0Ab/sub-accounts/c%3Cd/keys/k%0A%2F" in told.body


def test_what_is_cut_holds_no_half_secret() -> None:
    """A secret is masked before a text is cut in the middle of it."""
    reason = "x" * 295 + "secret-password-1"
    told = message(secrets=("secret-password-1",), news=(standing(Kind.FAILED, reason=reason),))
    assert "secret" not in told.body
    assert "…" in told.body


def test_a_message_is_short() -> None:
    """However many and long texts are, a body has room on any service, and ends with plan and link."""
    some = tuple(
        standing(
            Kind.PLANNED, "k" * 200 + str(n), label="l" * 500, reason=f"{n}" * 5000, source=Source("f" * 999, 1, 1)
        )
        for n in range(50)
    )
    told = message(PAGE, news=some, digest=DIGEST)
    assert len(told.body) <= LONGEST
    plan = f"Plan, to compare with what is reviewed: {DIGEST}"
    assert told.body.splitlines()[-4:] == ["…", "", plan, f"Status: {PAGE}/"]
    assert len(told.title) < 250


def test_a_test_says_that_it_is_one() -> None:
    """Nobody who gets it thinks that something happened."""
    assert a_test(None).body == (
        "This is a test of the AhaSend key reconciler. Nothing happened, and there is nothing to do."
    )
    assert a_test(PAGE).body.endswith(f"Status: {PAGE}/")
