"""The HTML file as markup: what stands where, that it is whole in itself, and that no text becomes markup."""

import hashlib
import re
from base64 import b64encode
from dataclasses import replace

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.networks import FENCE
from reconciler.core.plan import KeyCounts
from reconciler.core.report import AccountStatus, Mode, Report, ReportedAccount, ReportedRefusal
from reconciler.errors import visible
from reconciler.render.html import render
from render.markup import Markup
from render.reports import account, below, broken, change, failed, finding, report
from render.rich import ACCOUNT, AUDITED, BOTH, HOSTILE, KEYS, PLANNED, RULES, WAIVERS, key

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def page(made: Report) -> Markup:
    return Markup(render(made))


def only(made: Report) -> str:
    """Give the text of the part of a page that is no style and no script."""
    (body,) = page(made).find("main")
    return re.sub(r"\s+", " ", body.text)


def keyed(*keys: object) -> Report:
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(0, len(keys)), inventory=keys)  # type: ignore[arg-type]
    return replace(report(own, mode=Mode.AUDIT), as_of="2026-11-24T09:00:00Z")


@pytest.mark.parametrize("name", BOTH)
def test_it_is_one_whole_document(name: str) -> None:
    """It is well-formed, needs no other file, and names each part that a link leads to."""
    text = render(BOTH[name])
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert text.endswith("</html>\n")
    made = Markup(text)
    assert not {"img", "link", "iframe", "object", "embed", "base"} & {each.name for each in made.elements}
    assert not any(each.attributes.get("src") or each.attributes.get("style") for each in made.elements)
    ids = [each.attributes["id"] for each in made.elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = [each.attributes["href"] or "" for each in made.find("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    labelled = {each.attributes["aria-labelledby"] for each in made.find("section")}
    assert labelled <= set(ids)


def test_it_allows_its_own_script_and_style_alone() -> None:
    """By hash it allows the script and the style that are in it, and no request, no form and no other base."""
    text = render(AUDITED)
    made = Markup(text)
    (policy,) = made.find("meta", **{"http-equiv": "Content-Security-Policy"})
    assert (policy.attributes["content"] or "").startswith("default-src 'none'; ")
    for name in ("script", "style"):
        (own,) = made.find(name)
        digest = b64encode(hashlib.sha256(own.text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'; " in (policy.attributes["content"] or "")
    assert "base-uri 'none'; form-action 'none'" in (policy.attributes["content"] or "")


@pytest.mark.parametrize("name", BOTH)
def test_hostile_labels_are_texts(name: str) -> None:
    """Each label is seen as what it is, with what would be obeyed escaped; it makes no element and no attribute."""
    text = render(BOTH[name])
    quotes = {each.text for each in Markup(text).find("q", class_="text")}
    assert {visible(label) for label in HOSTILE} <= quotes
    assert OBEYED.findall(text) == []
    assert "onerror=alert(1)&gt;" in text
    assert "<img" not in text


def test_the_head_says_what_was_checked() -> None:
    """The title and the head say what kind of report it is, what it comes to, by which policy, over what, and when."""
    made = page(PLANNED)
    (title,) = made.find("title")
    assert title.text == "Plan of AhaSend keys, 2026-11-24: A person must act"
    facts = dict(zip((each.text for each in made.find("dt")), (each.text for each in made.find("dd")), strict=True))
    assert facts == {
        "Judged as of": "2026-11-24 09:00 UTC",
        "Accounts": f"{ACCOUNT}; 15 keys in 1 account and 1 sub account",
        "Besides": "2 keys have no ip_allow_list in the files, 1 of them is usable from anywhere",
        "Policy": f"{PLANNED.policy} (config/policy.yaml)",
        "Plan": f"to apply exactly this: reconciler apply --digest {PLANNED.digest}",
        "Run": f"{PLANNED.run_id} of reconciler 0.1.0; 4 GET",
    }
    bare = page(replace(keyed(), as_of="2026-11-20T09:00:00Z", started_at="2026-11-24T09:00:00Z"))
    told = [each.text for each in bare.find("dd")]
    assert told[0] == "2026-11-20 09:00 UTC; made 2026-11-24 09:00 UTC"
    assert "none: no rule has judged this" in told
    assert told[-1].endswith("; no requests")
    assert "the audit as of 2026-10-24T09:00:00Z" in page(AUDITED).find("header")[0].text


def test_changes_are_told_whole() -> None:
    """A change says what happens to which key, who asks for it, what comes and goes, how it ends, and why."""
    blocks = [re.sub(r"\s+", " ", each.text).strip() for each in page(PLANNED).find("article")]
    assert len(blocks) == len(PLANNED.changes)
    assert blocks[0] == (
        "update billing widens denied config/keys/shop.yaml:22 key 3c90c3cc-0d44-4b50-8888-000000000003 "
        "scopes - messages:read:all (still covered) - messages:send:all (still covered) + * "
        "no-wildcard: billing would hold * and could do everything"
    )
    assert any("label - Analytics + Analytics (read only)" in block for block in blocks)
    assert any(
        block.startswith("create new-shop widens skipped config/keys/shop.yaml:40 label + new-shop") for block in blocks
    )
    assert "Refused by guardrails max-changes 9 changes are more than 5;" in only(PLANNED)


def test_what_a_change_does_beyond_its_lines_is_told() -> None:
    """A deletion has no lines, so what it revokes is said; a change that could not be worked out has no direction."""
    gone = change("gone", scopes=(["domains:read"], []), networks=(["203.0.113.1"], [FENCE]))
    gone = replace(gone, fields=replace(gone.fields, scopes=None, ip_allow_list=None))
    assert "revokes domains:read; use from 203.0.113.1/32" in only(report(account(gone)))
    come = change("come", scopes=([], ["domains:read"]), networks=([FENCE], ["203.0.113.1"]))
    come = replace(come, fields=replace(come.fields, scopes=None, ip_allow_list=None))
    assert "grants domains:read; use from 203.0.113.1/32" in only(report(account(come)))
    unclear = change("twins", outcome=Outcome.FAILED, reason="pin the id\n  asked for at a.yaml:1:2")
    (block,) = page(report(account(unclear))).find("article")
    assert "same access" not in block.text
    (why,) = page(report(account(unclear))).find("p", class_="why")
    assert why.text == "pin the id asked for at a.yaml:1:2"


def test_many_sub_accounts_are_counted() -> None:
    """What is the same in many sub accounts is told once: ten of them by name, and how many more there are."""
    wide = change("sender", scopes=([], ["domains:read"]))
    many = [below(f"s-{number:02}", f"Shop {number:02}", wide) for number in range(12)]
    told = only(report(*many))
    assert "in 12 sub accounts of account a-1: Shop 00 s-00, Shop 01 s-01" in told
    assert "Shop 09 s-09 and 2 more" in told
    assert "Shop 11" not in told.split("Findings")[0]


def test_failures_are_told_first() -> None:
    """What could not be read stands before all else, with its error, as that of which nothing is known."""
    made = report(broken("s-1", "Shop", "403"), broken(EVERY_SUB_ACCOUNT, None, None), mode=Mode.AUDIT)
    told = only(made)
    assert told.startswith(" Not read Of these nothing is known")
    assert "Shop s-1 : 403" in told or "Shop s-1: 403" in told
    assert "all sub accounts of a-1" in told
    assert "it could not be read" in told


def test_findings_are_told_by_rule() -> None:
    """A rule is told once with what it checks and what to do; more than ten findings are folded, but for a deny."""
    told = only(AUDITED)
    assert "note owned (6, 6 new) checks require-owner (owners: *)What to do: write 'owner: <team>'" in told
    assert "1 waived finding" in told
    assert "until 2026-12-05, by team-sec: INC-204" in told
    silent = finding("r", Severity.WARN, key="ops", message="it is too old", source=None)
    assert "ops: it is too old" in only(report(account(), findings=[silent]))
    many = [finding("r", Severity.DENY, key=f"k{number}", key_id=f"id-{number}") for number in range(11)]
    (fold,) = page(report(account(), findings=many)).find("details")
    assert "open" in fold.attributes
    notes = [replace(each, severity=Severity.NOTE) for each in many]
    (fold,) = page(report(account(), findings=notes)).find("details")
    assert "open" not in fold.attributes
    assert "Nothing was found." in only(report(account()))
    waived = [one for one in AUDITED.findings if one.waived]
    assert "Nothing was found that is not waived." in only(report(account(), findings=waived))


def test_of_very_many_findings_the_others_are_in_the_table() -> None:
    """From the 1,001st on they are only counted, with a link to those keys that break the rule."""
    many = [finding("r", Severity.WARN, key=f"k{number}", hint=f"h{number}") for number in range(1003)]
    made = page(report(account(), findings=many))
    assert "1,000 of 1,003 findings" in only(report(account(), findings=many))
    assert "3 more; all of them are in -o json." in only(report(account(), findings=many))
    assert made.find("a", **{"data-show-rule": "r"}) == []
    with_keys = replace(keyed(key(1, "a")), findings=tuple(many))
    (link,) = page(with_keys).find("a", **{"data-show-rule": "r"})
    assert link.text == "table of keys"
    assert "3 more: those of keys that are there are marked in the table of keys; all" in only(with_keys)
    assert "h999" in made.find("main")[0].text
    assert "h1000" not in made.find("main")[0].text


def test_refusals_say_whom_they_are_about() -> None:
    """A refusal of a sub account names it; one over the whole run names none."""
    refusals = [ReportedRefusal("hold", None, None, None, "an incident", None, None)]
    refusals.append(ReportedRefusal("max-changes", "a-1", "s-1", None, "too many", 5, 9))
    told = only(report(below("s-1", "Shop"), below("s-2", "Other"), refusals=refusals))
    assert "hold an incident max-changes too many Shop s-1" in told


def test_what_became_of_keys_is_told() -> None:
    """Since the earlier audit: findings by standing, each key that is another one, and what cannot be compared."""
    told = only(AUDITED)
    assert "7 findings new, 1 still open, 1 gone or waived. Keys of 1 account cannot be compared" in told
    assert "billing 3c90c3cc-0d44-4b50-8888-000000000003" in told
    assert "warn stale news was not used for 120 days 3c90c3cc-0d44-4b50-8888-000000000063" in told
    assert AUDITED.since is not None
    quiet = replace(AUDITED, since=replace(AUDITED.since, keys=(), gone=(), not_compared=0))
    assert "No key appeared, changed its access, or is gone." in only(quiet)
    assert "Gone, or waived" not in only(quiet)
    assert "cannot be compared" not in only(quiet)
    assert "Since" not in only(PLANNED)


def test_the_table_tells_each_key() -> None:
    """A key's row has its name and id, where a file names it, what it may do, from where, its ages and findings."""
    made = page(AUDITED)
    rows = [re.sub(r"\s+", " ", each.text).strip() for each in made.find("tr") if "data-row" in each.attributes]
    assert len(rows) == len(KEYS) + 1
    assert next(row for row in rows if row.startswith("billing")) == (
        "billing 3c90c3cc-0d44-4b50-8888-000000000003 6a0d2c1e-5b7f-4c3e-9d8a-1f2e3d4c5b6a config/keys/shop.yaml:22"
        " messages:read:allmessages:send:all 198.51.100.7/32 203.0.113.0/25 2026-11-242025-03-01 no-wildcard, new"
    )
    paused = next(row for row in rows if row.startswith("old-importer"))
    assert "paused until 2026-12-24" in paused
    assert "switched off" in paused
    assert "never" in next(row for row in rows if row.startswith("break-glass"))
    assert "team-growth" in next(row for row in rows if row.startswith("storefront"))


def test_where_from_is_told_whole() -> None:
    """More than three networks are folded but there; what lets nobody in, or everybody, is said to."""
    many = tuple(f"203.0.113.{number}/32" for number in range(5))
    told = only(keyed(key(1, "many", networks=many)))
    assert "and 2 more203.0.113.3/32 203.0.113.4/32" in told
    assert "nobody: no public IPv4 10.0.0.0/8" in only(keyed(key(1, "inner", networks=("10.0.0.0/8",))))
    assert "anywhere 0.0.0.0/1 128.0.0.0/1" in only(keyed(key(1, "halves", networks=("0.0.0.0/1", "128.0.0.0/1"))))
    assert "nothing" in only(keyed(key(1, "none")))


def test_keys_that_may_do_the_same_share_a_line() -> None:
    """Of more than forty keys those with the same access share a line of the matrix, which says so."""
    listed = ("203.0.113.0/24", "198.51.100.0/24")
    keys = [key(number, f"k{number:02}", "domains:read", networks=(listed[number % 2],)) for number in range(30)]
    keys += [key(30 + number, f"a{number:02}", "domains:read") for number in range(10)]
    keys += [key(40 + number, f"i{number:02}", "domains:read", networks=(f"10.0.0.{number}",)) for number in range(2)]
    told = only(keyed(*keys))
    assert "Keys that may do the same kinds of things share a line, whatever their domains and networks." in told
    assert "10 keys such as a00, a01 anywhere" in told
    assert "30 keys such as k00, k01 2 different lists" in told
    assert "2 keys such as i00, i01 nobody: no public IPv4" in told
    halves = ("0.0.0.0/1", "128.0.0.0/1")
    keys += [key(50, "h0", "domains:read", networks=halves)]
    assert "11 keys such as a00, a01 anywhere" in only(keyed(*keys))
    assert "share a line" not in only(keyed(*keys[:40]))


def test_stale_keys_are_on_a_time_line() -> None:
    """Each has a bar; where there are many, how many of them, and where the others are, is said."""
    told = only(AUDITED)
    assert "Not used for 90 days or longer (1)" in told
    assert "Made as long ago, and never used (2)" in told
    assert len(page(AUDITED).find("circle")) == 3
    stale = [key(number, f"k{number:02}", used="2025-01-01T00:00:00Z") for number in range(41)]
    assert "The 40 that were unused for longest; the table has all." in only(keyed(*stale))
    assert "No key that can be used was left unused for 90 days." in only(keyed(key(1, "fresh")))


def test_waivers_pauses_and_rules_are_told() -> None:
    """They stand with their ends, who agreed and why, what needs them; rules with what they check and found."""
    told = only(AUDITED)
    (ends,) = [each for each in page(AUDITED).find("tr") if each.text.startswith("2026-12-05")]
    assert ends.text == (
        "2026-12-05 11 days leftwaiver of no-wildcard config/policy.yaml:21"
        "labels like break-glassteam-secINC-2041 finding"
    )
    assert 'key.last_used_at < now - duration("2160h")' in told
    over = replace(AUDITED, waivers=(replace(WAIVERS[0], until="2026-11-01"),))
    assert "2026-11-01 over" in only(over)
    assert "There are none." in only(keyed(key(1, "a")))
    assert "Needed by" in told
    assert "Needed by" not in only(PLANNED)
    assert "nothing that was read" in told
    assert "Keys of no file are judged by reconciler audit." in only(PLANNED)
    assert "none in what was read" in told
    nothing = replace(report(failed("401"), mode=Mode.AUDIT), rules=RULES)
    assert only(nothing).count("not known") == len(RULES)
    assert "Nothing was found: nothing was read." in only(nothing)
    assert "Nothing was found, in what was read." in only(report(failed("401"), replace(account(), inventory=())))
    assert "No rules: there is no policy, or it has none." in only(keyed(key(1, "a")))
    assert "unknown" in told
