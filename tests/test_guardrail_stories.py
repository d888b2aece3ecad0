"""What must keep working, and the limits that a policy sets, as stories: files + policy + account, then outcomes."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.events import ChangeStarted
from reconciler.core.report import Report, exit_code
from world import ACCOUNT, FAMILY_MANAGER, OFFICE, OTHER, World, below, change_of, key, key_id, outcomes, sub_account

SHOP = "messages:send:{shop.example.com}"
NEWS = "messages:send:{news.example.com}"
MUST_SEND = 'require: [{domain: shop.example.com, can: "messages:send"}]\n'
FENCED = ["192.0.2.1/32"]
LOST = "no key in use could do what must keep working: messages:send for shop.example.com"
WAY_OUT = "let it through with --allow coverage or correct what it requires in the policy"


def reason(report: Report, name: str) -> str:
    return change_of(report, name).reason or ""


def guardrails(report: Report) -> list[str]:
    return [refusal.guardrail for refusal in report.refusals]


def sender(number: int, label: str, **fields: Any) -> dict[str, Any]:
    return key(number, label, SHOP, "domains:read", **fields)


# What must keep working


def test_the_last_sender_keeps_its_right(tmp_path: Path) -> None:
    """The change after which nobody could send is refused, with the domain, the key that can, and the way out."""
    files = 'keys: [{name: shop, scopes: ["domains:read"]}]\n'
    world = World(tmp_path, [sender(1, "shop")], files, policy=MUST_SEND)
    report = world.apply()
    assert outcomes(report) == {"shop": "refused"}
    assert [refusal.message for refusal in report.refusals] == [
        f"shop: {LOST} (now 'shop' ({key_id(1)}) can); {WAY_OUT}"
    ]
    assert reason(report, "shop") == f"coverage: {report.refusals[0].message}"
    assert world.puts == 0
    assert exit_code(report) == 3
    world.policy = ""
    assert outcomes(world.plan()) == {"shop": "planned"}
    world.policy = MUST_SEND
    assert outcomes(world.apply(allowed=frozenset({"coverage"}))) == {"shop": "applied"}
    assert world.plan().changes == ()


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        ({}, "applied"),
        ({"scopes": ["*"]}, "applied"),
        ({"scopes": [NEWS]}, "refused"),
        ({"ip_allow_list": FENCED}, "refused"),
        ({"ip_allow_list": ["10.0.0.0/8"]}, "refused"),
    ],
)
def test_another_key_that_can_send(tmp_path: Path, other: dict[str, Any], outcome: str) -> None:
    """Where another key can still do it, the change is made; one that is fenced or that nobody can reach does not."""
    files = 'keys: [{name: shop, scopes: ["domains:read"]}]\n'
    world = World(tmp_path, [sender(1, "shop"), sender(2, "other", **other)], files, policy=MUST_SEND)
    assert outcomes(world.apply()) == {"shop": outcome}


@pytest.mark.parametrize(
    "wanted",
    ["scopes: ['messages:send:{shop.example.com}'], state: quarantined", "scopes: ['*'], ip_allow_list: [10.0.0.0/8]"],
)
def test_a_sender_is_lost_by_its_networks_too(tmp_path: Path, wanted: str) -> None:
    """To fence the last sender, or to let nobody reach it, takes the ability as well."""
    world = World(tmp_path, [key(1, "shop", SHOP)], f"keys: [{{name: shop, {wanted}}}]\n", policy=MUST_SEND)
    report = world.apply(allowed=frozenset({"unreachable"}))
    assert outcomes(report) == {"shop": "refused"}
    assert guardrails(report) == ["coverage"]


def test_of_two_last_senders_one_stays(tmp_path: Path) -> None:
    """Two changes that each rely on the other key are not both made: one of them is refused, the other goes on."""
    files = 'keys: [{name: east, scopes: ["domains:read"]}, {name: west, scopes: ["domains:read"]}]\n'
    world = World(tmp_path, [sender(1, "east"), sender(2, "west")], files, policy=MUST_SEND)
    report = world.apply()
    assert sorted(outcomes(report).values()) == ["applied", "refused"]
    assert sum(SHOP in world.remote(number)["scopes"] for number in (1, 2)) == 1
    assert f"'east' ({key_id(1)}), 'west' ({key_id(2)}) can" in report.refusals[0].message


MOVED = """
    keys:
      - {name: new, scopes: ["messages:send:{shop.example.com}"], ip_allow_list: [198.51.100.0/24]}
      - {name: old, scopes: ["domains:read"]}
    """


def moving(tmp_path: Path) -> World:
    """A story in which one key may send but nobody can reach it yet, so that another one is to lose the right."""
    keys = [key(1, "new", SHOP, ip_allow_list=["10.0.0.0/8"]), sender(2, "old")]
    return World(tmp_path, keys, MOVED, policy=MUST_SEND)


def test_what_is_approved_is_asked_again_before_the_write(tmp_path: Path) -> None:
    """Where the PUT that lets another key in fails, the right stays where it is, although both were approved."""
    world = moving(tmp_path)
    assert set(outcomes(world.plan()).values()) == {"planned"}
    world.faults({"method": "PUT", "path": f"*/{key_id(1)}", "rate": 1, "do": {"status": 422}})
    report = world.apply()
    assert outcomes(report) == {"new": "failed", "old": "refused"}
    assert reason(report, "old") == f"coverage: {LOST} (now 'old' ({key_id(2)}) can)"
    assert [refusal.message for refusal in report.refusals] == [f"old: {LOST} (now 'old' ({key_id(2)}) can); {WAY_OUT}"]
    assert SHOP in world.remote(2)["scopes"]
    assert exit_code(report) == 4
    world.faults()
    assert set(outcomes(world.apply()).values()) == {"applied"}
    assert world.plan().changes == ()


@pytest.mark.parametrize(("new", "old"), [("new", "old"), ("z-new", "old")])
def test_a_right_moves_in_one_pass(tmp_path: Path, new: str, old: str) -> None:
    """Where both keys get other networks, the one that nobody could reach is let in before the other one loses."""
    both = "[203.0.113.0/24, 198.51.100.0/24]"
    files = f"""
        keys:
          - {{name: {new}, scopes: ["messages:send:{{shop.example.com}}"], ip_allow_list: [198.51.100.0/24]}}
          - {{name: {old}, scopes: ["domains:read"], ip_allow_list: {both}}}
        """
    keys = [key(1, new, SHOP, ip_allow_list=["10.0.0.0/8"]), sender(2, old)]
    world = World(tmp_path, keys, files, policy=MUST_SEND)
    report = world.apply()
    assert [change.access.direction.value for change in report.changes] == ["mixed", "mixed"]
    assert outcomes(report) == {new: "applied", old: "applied"}
    assert [event.change.name for event in world.events if isinstance(event, ChangeStarted)] == [new, old]
    assert world.plan().changes == ()


def test_of_mixed_changes_those_that_take_no_scope_go_first(tmp_path: Path) -> None:
    """What takes a scope comes after what only moves networks, before what narrows, whatever their names."""
    files = """
        keys:
          - {name: a-narrowed, scopes: ["domains:read"]}
          - {name: b-exchanged, scopes: ["messages:send:{news.example.com}"]}
          - {name: c-moved, scopes: ["domains:read"], ip_allow_list: [198.51.100.0/24]}
          - {name: d-fenced, state: quarantined}
          - {name: e-widened, scopes: ["domains:read", "routes:read:all"]}
          - {name: f-given, scopes: ["domains:read", "routes:read:all"], ip_allow_list: [203.0.113.0/25]}
        """
    keys = [
        sender(1, "a-narrowed"),
        key(2, "b-exchanged", "suppressions:read"),
        *(key(number, label, "domains:read") for number, label in ((3, "c-moved"), (5, "e-widened"), (6, "f-given"))),
        key(4, "d-fenced", "domains:read"),
    ]
    world = World(tmp_path, keys, files)
    report = world.apply(allowed=frozenset({"max-changes"}))
    assert set(outcomes(report).values()) == {"applied"}
    order = [event.change.name for event in world.events if isinstance(event, ChangeStarted)]
    assert order[0] == "e-widened"
    assert set(order[1:3]) == {"c-moved", "f-given"}
    assert order[3:] == ["b-exchanged", "a-narrowed", "d-fenced"]


def test_what_was_let_through_is_not_asked_again(tmp_path: Path) -> None:
    """With coverage allowed for the run, the revocation goes on although the grant failed."""
    world = moving(tmp_path)
    world.faults({"method": "PUT", "path": f"*/{key_id(1)}", "rate": 1, "do": {"status": 422}})
    assert outcomes(world.apply(allowed=frozenset({"coverage"}))) == {"new": "failed", "old": "applied"}


def test_what_moved_by_hand_is_seen(tmp_path: Path) -> None:
    """Where the other key was fenced by hand after it was listed, what is left of the ability is not taken away."""
    world = moving(tmp_path)

    def fence(request: object) -> None:
        if world.emulator.requests["GET"] == 1:
            with world.edited() as keys:
                keys[key_id(1)]["ip_allow_list"] = FENCED

    world.before = fence
    report = world.apply()
    assert outcomes(report) == {"new": "stale", "old": "refused"}
    assert guardrails(report) == ["coverage"]


def test_a_change_that_is_held_back_provides_nothing(tmp_path: Path) -> None:
    """The state is judged without what is paused: the key that was to be let in is not, so the other one stays."""
    files = MOVED.replace("[198.51.100.0/24]", "[198.51.100.0/24], paused: {reason: move, until: 2027-01-31}")
    keys = [key(1, "new", SHOP, ip_allow_list=["10.0.0.0/8"]), sender(2, "old")]
    report = World(tmp_path, keys, files, policy=MUST_SEND).plan()
    assert outcomes(report) == {"new": "paused", "old": "refused"}


@pytest.mark.parametrize(
    "required",
    [
        'require: [{domain: old.example.com, can: "messages:send"}]\n',
        f'require: [{{domain: shop.example.com, can: "messages:send", account: {OTHER}}}]\n',
        "require: [{can: domains:write}]\n",
    ],
)
def test_what_never_worked_here_is_not_kept(tmp_path: Path, required: str) -> None:
    """What no key could do before, or what is of another account, refuses nothing."""
    files = 'keys: [{name: shop, scopes: ["domains:read"]}]\n'
    assert outcomes(World(tmp_path, [sender(1, "shop")], files, policy=required).apply()) == {"shop": "applied"}


def test_a_requirement_of_no_account_is_told(tmp_path: Path) -> None:
    """What is required of an account that no file has protects nothing: each pass warns of it, at its place."""
    required = (
        f'require: [{{domain: shop.example.com, can: "messages:send", account: {OTHER}}}, {{can: domains:read}}]\n'
    )
    world = World(tmp_path, [sender(1, "shop")], f"keys: [{{name: shop, scopes: ['domains:read', '{SHOP}']}}]\n")
    world.policy = required
    for report in (world.plan(), world.apply()):
        (finding,) = report.findings
        assert (finding.rule, finding.severity.value) == ("requirement-matches-nothing", "warn")
        assert finding.message == (
            "the requirement of messages:send for shop.example.com is about none of the accounts in the files"
        )
        assert finding.source is not None
        assert str(finding.source).endswith("-policy.yaml:2:11")


def test_all_that_speaks_against_a_change_is_told_at_once(tmp_path: Path) -> None:
    """A last sender in use that is to be switched off is told both, and needs both to be allowed, in one run."""
    used = {"last_used_at": "2026-11-23T11:00:00Z"}
    policy = MUST_SEND + "guardrails: {in_use: {within: 1d}}\n"
    world = World(tmp_path, [sender(1, "shop", **used)], "keys: [{name: shop, state: quarantined}]\n", policy=policy)
    report = world.apply()
    assert (outcomes(report), guardrails(report)) == ({"shop": "refused"}, ["in-use", "coverage"])
    assert reason(report, "shop") == "; ".join(f"{each.guardrail}: {each.message}" for each in report.refusals)
    assert guardrails(world.apply(allowed=frozenset({"in-use"}))) == ["coverage"]
    assert outcomes(world.apply(allowed=frozenset({"in-use", "coverage"}))) == {"shop": "applied"}


def test_each_sub_account_keeps_what_it_can(tmp_path: Path) -> None:
    """A sub account is watched over by itself: another one that can send does not stand in for it."""
    files = """
        sub_accounts:
          - select: {name: "Acme *"}
            keys: [{name: sender, scopes: ["domains:read"]}]
        """
    shops = (sub_account(1, "Acme East", sender(1, "sender")), sub_account(2, "Beta", sender(2, "sender")))
    required = MUST_SEND.replace("}]", f', sub_account: "{below(1)}"}}]')
    world = World(tmp_path, [], files, policy=required, manager=FAMILY_MANAGER, sub_accounts=shops)
    report = world.apply()
    assert outcomes(report) == {"sender": "refused"}
    assert [(each.guardrail, each.sub_account_id) for each in report.refusals] == [("coverage", below(1))]


def test_an_account_is_not_its_sub_accounts(tmp_path: Path) -> None:
    """A requirement for an account keeps nothing in its sub accounts, and none of their keys stands in for it."""
    files = """
        keys: [{name: shop, scopes: ["domains:read"]}]
        sub_accounts:
          - select: {name: "Acme *"}
            keys: [{name: sender, scopes: ["domains:read"]}]
        """
    shops = (sub_account(1, "Acme East", sender(2, "sender")),)
    required = MUST_SEND.replace("}]", f', account: "{ACCOUNT}"}}]')
    world = World(tmp_path, [sender(1, "shop")], files, policy=required, manager=FAMILY_MANAGER, sub_accounts=shops)
    report = world.apply()
    assert outcomes(report) == {"shop": "refused", "sender": "applied"}
    world.policy = MUST_SEND
    assert outcomes(world.plan()) == {"shop": "refused"}


# Limits


@pytest.mark.parametrize(
    ("used", "setting", "outcome"),
    [
        ("2026-11-23T11:45:00Z", "", "applied"),
        (None, "within: 15m", "applied"),
        ("2026-11-23T11:45:00Z", "within: 15m", "refused"),
        ("2026-11-23T11:44:59Z", "within: 15m", "applied"),
        ("2026-11-23T12:00:30Z", "within: 15m", "refused"),
        ("2026-11-23T11:59:00Z", "within: 15m, allow: [shop]", "applied"),
        ("2026-11-23T11:59:00Z", f'within: 15m, allow: ["{key_id(1)}"]', "applied"),
        ("2026-11-23T11:59:00Z", "within: 15m, allow: [other]", "refused"),
    ],
)
def test_a_key_in_use_is_not_switched_off(tmp_path: Path, used: str | None, setting: str, outcome: str) -> None:
    """One that was used within the window stays as it is, unless it is named; one that was not is switched off."""
    policy = f"guardrails: {{in_use: {{{setting}}}}}\n" if setting else ""
    keys = [key(1, "shop", SHOP, last_used_at=used)]
    world = World(tmp_path, keys, "keys: [{name: shop, state: quarantined}]\n", policy=policy)
    report = world.apply()
    assert outcomes(report) == {"shop": outcome}
    assert world.remote(1)["ip_allow_list"] == (FENCED if outcome == "applied" else OFFICE)


@pytest.mark.parametrize(("allowed", "outcome"), [((), "refused"), (("in-use",), "applied")])
def test_a_key_that_is_used_after_it_was_listed(tmp_path: Path, allowed: tuple[str, ...], outcome: str) -> None:
    """A use between the listing and the PUT protects a key, too: it is asked for again right before."""
    policy = "guardrails: {in_use: {within: 15m}}\n"
    world = World(tmp_path, [key(1, "shop", SHOP)], "keys: [{name: shop, state: quarantined}]\n", policy=policy)

    def use(request: httpx.Request) -> None:
        if request.method == "GET" and request.url.path.endswith(key_id(1)):
            with world.edited() as keys:
                keys[key_id(1)]["last_used_at"] = "2026-11-23T12:00:00Z"

    world.before = use
    report = world.apply(allowed=frozenset(allowed))
    assert outcomes(report) == {"shop": outcome}
    assert (world.remote(1)["ip_allow_list"] == FENCED) is (outcome == "applied")
    if outcome == "refused":
        assert (change_of(report, "shop").reason or "").startswith("in-use: it was used ")
        assert (world.puts, exit_code(report)) == (0, 3)


def test_a_key_in_use_is_narrowed_unless_asked_otherwise(tmp_path: Path) -> None:
    """To take something from a key in use is refused only with narrowing; to give it something never is."""
    files = """
        keys:
          - {name: narrowed, scopes: ["domains:read"]}
          - {name: widened, scopes: ["domains:read", "messages:send:{shop.example.com}", "suppressions:read"]}
        """
    used = {"last_used_at": "2026-11-23T10:00:00Z"}
    policy = "guardrails: {in_use: {within: 24h, narrowing: true}}\n"
    world = World(tmp_path, [sender(1, "narrowed", **used), sender(2, "widened", **used)], files, policy=policy)
    report = world.apply()
    assert outcomes(report) == {"narrowed": "refused", "widened": "applied"}
    assert report.refusals[0].message == (
        "narrowed: it was used 2 hours before, and guardrails.in_use protects what was used within 24 hours; let it "
        "through with --allow in-use or list its name or id under guardrails.in_use.allow in the policy"
    )
    world.policy = policy.replace(", narrowing: true", "")
    assert outcomes(world.apply()) == {"narrowed": "applied"}


WIDER = """
    keys:
      - {name: mixed, scopes: ["messages:send:{news.example.com}"]}
      - {name: narrowed, scopes: ["domains:read"]}
      - {name: opened, scopes: ["suppressions:read"], ip_allow_list: []}
      - {name: widened, scopes: ["domains:read", "messages:send:{shop.example.com}", "suppressions:read"]}
    """
ALL = {"mixed": "applied", "narrowed": "applied", "opened": "applied", "widened": "applied"}


def wider(tmp_path: Path, guardrails: str) -> World:
    """A story with three changes that grant something, one of them mixed, and one that does not."""
    keys = [key(1, "mixed", "routes:read:all"), sender(2, "narrowed"), key(3, "opened", "suppressions:read")]
    return World(tmp_path, [*keys, sender(4, "widened")], WIDER, policy=f"guardrails: {{{guardrails}}}\n")


@pytest.mark.parametrize(
    ("setting", "held_back"),
    [("true", []), ("[mixed, opened, widened]", []), ("[mixed]", ["opened", "widened"])],
)
def test_who_may_be_given_more(tmp_path: Path, setting: str, held_back: list[str]) -> None:
    """Only the keys that are named may be given more, in scopes or in networks; any may lose."""
    report = wider(tmp_path, f"allow_widening: {setting}").apply()
    assert outcomes(report) == ALL | dict.fromkeys(held_back, "refused")
    assert set(guardrails(report)) <= {"widening"}


def test_nobody_may_be_given_more(tmp_path: Path) -> None:
    """With allow_widening: false nothing is granted; each refusal says what would be, and how to let it through."""
    world = wider(tmp_path, "allow_widening: false")
    report = world.apply()
    assert outcomes(report) == dict.fromkeys(ALL, "refused") | {"narrowed": "applied"}
    assert report.refusals[1].message == (
        "opened: it would be given more (anywhere), and guardrails.allow_widening does not name it; let it through "
        "with --allow widening or list its name under guardrails.allow_widening in the policy"
    )
    assert set(outcomes(world.apply(allowed=frozenset({"widening"}))).values()) == {"applied"}


@pytest.mark.parametrize("setting", ["allow_widening: false", "max_widened: {percent: 0}"])
def test_a_leak_is_closed_whatever_its_file_gives_it(tmp_path: Path, setting: str) -> None:
    """A key that is switched off and listed with one scope more is switched off: nobody can use what it is given."""
    files = 'keys: [{name: leak, state: quarantined, scopes: ["domains:read", "suppressions:read"]}]\n'
    policy = f"guardrails: {{{setting}}}\n"
    world = World(tmp_path, [key(1, "leak", "domains:read")], files, policy=policy)
    report = world.apply()
    assert outcomes(report) == {"leak": "applied"}
    assert (world.remote(1)["ip_allow_list"], len(world.remote(1)["scopes"])) == (FENCED, 2)
    world.write('keys: [{name: leak, scopes: ["domains:read"], ip_allow_list: [203.0.113.0/24]}]\n')
    report = world.apply(allowed=frozenset({"restore"}))
    assert (outcomes(report), len(guardrails(report))) == ({"leak": "refused"}, 1)


def test_how_many_may_be_given_more(tmp_path: Path) -> None:
    """As many as the limit may be given more; one more refuses the whole plan of the account, narrowing too."""
    world = wider(tmp_path, "max_widened: {percent: 0, at_least: 2}")
    report = world.apply()
    assert outcomes(report) == dict.fromkeys(ALL, "refused")
    assert [(each.guardrail, each.limit, each.actual) for each in report.refusals] == [("max-widened", 2, 3)]
    assert outcomes(world.plan(allowed=frozenset({"max-widened"}))) == dict.fromkeys(ALL, "planned")
    world.policy = world.policy.replace("2", "3")
    assert outcomes(world.apply()) == ALL


def test_what_is_refused_alone_does_not_count(tmp_path: Path) -> None:
    """Changes that another guardrail or a rule holds back do not count for the limit of the whole plan."""
    world = wider(tmp_path, "allow_widening: [mixed, widened], max_widened: {percent: 0, at_least: 1}")
    world.policy += "rules: [{id: never, severity: deny, when: 'key.name == \"widened\"', message: never}]\n"
    report = world.apply()
    assert outcomes(report) == ALL | {"opened": "refused", "widened": "denied"}
    assert guardrails(report) == ["widening"]


def test_the_starter_policy_refuses_nothing_unasked(tmp_path: Path) -> None:
    """The policy to begin with has the limits that there are without one, and denies only what nobody wants."""
    starter = (Path(__file__).parent.parent / "config" / "policy.yaml").read_text(encoding="utf-8")
    world = wider(tmp_path, "")
    world.policy = starter.replace("version: 1\n", "", 1)
    assert outcomes(world.apply()) == ALL
