"""``reconciler validate`` as its users meet it: what is over, what is about nothing, and what only deserves a note."""

from pathlib import Path

import pytest
import time_machine

from shell import FILES, Shell

WAIVER = "waivers: [{rule: no-wildcard, key: shop, until: 2026-12-24, owner: team-sec, reason: INC-204}]\n"
POLICY = """version: 1
rules:
  - {id: no-wildcard, uses: no-wildcard, severity: deny}
  - {id: old-shops, uses: older-than, with: {age: 365d}, severity: note, match: {label: "old *"}}
  - {id: strays, uses: unmanaged-key, severity: warn, match: {managed: false}}
"""
PAUSED = FILES.replace("name: shop,", "name: shop, paused: {reason: move, until: 2026-12-24},")
VALID = "valid: 2 keys in 1 account, 1 file, 3 rules\n"
FAILED = "error: 1 problem in the files, nothing was done\n"
PAUSE_ENDS = (
    "config/keys/keys.yaml:6:5: note: the pause of shop ends with 2026-12-24 (then the key is reconciled again: move)\n"
)
WAIVER_ENDS = (
    "config/policy.yaml:6:11: note: the waiver of no-wildcard for shop ends with 2026-12-24 (mend what it was for, or "
    "agree on a new date with team-sec: INC-204)\n"
)
PAUSE_ENDED = (
    "config/keys/keys.yaml:6:5: the pause of shop ended with 2026-12-24, 1 day ago: "
    "remove it from the file, or set a new date\n"
)
WAIVER_ENDED = (
    "config/policy.yaml:6:11: the waiver of no-wildcard for shop ended with 2026-12-24, 1 day ago: mend what it was "
    "for, or agree on a new date with team-sec: INC-204\n"
)


def write_policy(text: str) -> None:
    Path("config/policy.yaml").write_text(text, encoding="utf-8")


def test_a_policy_that_is_right(shell: Shell) -> None:
    """Files and policy that load are counted; nothing is asked of anybody."""
    write_policy(POLICY)
    assert shell.run("validate") == 0
    assert (shell.out, shell.err) == (VALID, "")
    write_policy("version: 1\n")
    assert shell.run("validate") == 0
    assert shell.out == "valid: 2 keys in 1 account, 1 file\n"
    assert shell.emulator.requests["GET"] == 0


def test_strict(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --strict a rule that is about no key of the files is noted, with its place; that fails nothing."""
    write_policy(POLICY)
    told = (
        "config/policy.yaml:4:5: note: the rule old-shops is about none of the keys in the files (correct its match, "
        f"or keep it for keys to come)\n{VALID}"
    )
    assert shell.run("validate", "--strict") == 0
    assert (shell.out, shell.err) == (told, "")
    monkeypatch.setenv("RECONCILER_STRICT", "yes")
    assert shell.run("validate") == 0
    assert shell.out == told
    shell.write(FILES.replace("name: shop,", "name: shop, label: old shop,"))
    assert shell.run("validate") == 0
    assert shell.out == VALID


@time_machine.travel("2026-12-27T12:00:00Z", tick=False)
def test_a_window_that_is_in_force(shell: Shell) -> None:
    """Whether nothing may be changed today says nothing about the files; what is over is a mistake a day later."""
    write_policy(POLICY + "freeze: [{from: 2026-12-20, until: 2026-12-27, reason: year end}]\n")
    assert shell.run("validate") == 0
    assert (shell.out, shell.err) == (VALID, "")
    with time_machine.travel("2026-12-29T00:00:00Z", tick=False):
        assert shell.run("validate") == 0
    with time_machine.travel("2026-12-29T00:00:01Z", tick=False):
        assert shell.run("validate") == 1


@pytest.mark.parametrize("strict", [(), ("--strict",)])
@pytest.mark.parametrize(
    ("now", "told", "code"),
    [
        ("2026-12-10T23:59:59Z", VALID, 0),
        (
            "2026-12-11T00:00:00Z",
            WAIVER_ENDS + VALID,
            0,
        ),
        ("2026-12-24T23:59:59Z", WAIVER_ENDS + VALID, 0),
        ("2026-12-25T00:00:00Z", WAIVER_ENDED + FAILED, 1),
    ],
)
def test_a_waiver_that_ends(shell: Shell, now: str, told: str, code: int, strict: tuple[str, ...]) -> None:
    """It is noted from 14 days before its end on, and fails validate from 24:00 UTC of its day on."""
    write_policy(POLICY.replace("old *", "shop") + WAIVER)
    with time_machine.travel(now, tick=False):
        assert shell.run("validate", *strict) == code
    assert (shell.out, shell.err) == (("", told) if code else (told, ""))


@pytest.mark.parametrize(
    ("now", "told", "code"),
    [
        ("2026-12-10T23:59:59Z", VALID, 0),
        (
            "2026-12-11T00:00:00Z",
            PAUSE_ENDS + VALID,
            0,
        ),
        ("2026-12-25T00:00:00Z", PAUSE_ENDED + FAILED, 1),
    ],
)
def test_a_pause_that_ends(shell: Shell, now: str, told: str, code: int) -> None:
    """A pause ends in the same way."""
    write_policy(POLICY)
    shell.write(PAUSED)
    with time_machine.travel(now, tick=False):
        assert shell.run("validate") == code
    assert (shell.out, shell.err) == (("", told) if code else (told, ""))


@time_machine.travel("2027-01-01T00:00:00Z", tick=False)
def test_all_that_is_over_is_told_at_once(shell: Shell) -> None:
    """Ended waivers, pauses and change windows, and waivers about nothing, are told together, after all notes."""
    more = ", {rule: strays, key: shpo, until: 2027-01-10, owner: o, reason: r}]\n"
    freeze = "freeze: [{from: 2026-12-20, until: 2026-12-27, reason: year end}]\n"
    write_policy(POLICY + WAIVER[:-2] + more + freeze)
    shell.write(PAUSED)
    assert shell.run("validate") == 1
    assert shell.out == (
        "config/policy.yaml:6:96: note: the waiver of strays for shpo ends with 2027-01-10 (mend what it was for, or "
        "agree on a new date with o: r)\n"
    )
    assert shell.err == (
        f"{PAUSE_ENDED}{WAIVER_ENDED}".replace("1 day", "8 days")
        + "config/policy.yaml:6:96: the waiver of strays for shpo: the files have no key of that name: did you mean "
        "'shop'?\n"
        "config/policy.yaml:7:10: the change window 'year end' ended with 2026-12-27, 5 days ago: remove it, or give "
        "it new days\nerror: 4 problems in the files, nothing was done\n"
    )


@time_machine.travel("2027-01-01T00:00:00Z", tick=False)
def test_what_is_over_fails_nothing_else(shell: Shell) -> None:
    """Elsewhere what has ended counts as absent: a warning tells of it, and the pass goes on."""
    write_policy(POLICY + WAIVER)
    shell.write(PAUSED)
    shell.drift("domains:read")
    assert shell.run("apply", "-o", "json") == 0
    report = shell.report()
    assert [(each["rule"], each["severity"]) for each in report["findings"]] == [
        ("waiver-ended", "warn"),
        ("pause-ended", "warn"),
    ]
    assert report["summary"]["applied"] == 1


def test_problems_of_both_are_told_before_what_is_over(shell: Shell) -> None:
    """Where files do not load, that is told first, those of the policy and of the keys together."""
    write_policy(POLICY.replace("no-wildcard, severity", "no-wildcart, severity") + WAIVER)
    shell.write(FILES.replace("name: shop,", "nmae: shop,"))
    assert shell.run("validate") == 1
    assert "config/policy.yaml:3:29: " in shell.err
    assert "config/keys/keys.yaml:6:6: " in shell.err
    assert "ended" not in shell.err
    assert shell.out == ""


def test_sub_accounts_are_counted(shell: Shell) -> None:
    """Keys of rules for sub accounts count by themselves, and a rule of the policy may be about them alone."""
    write_policy(POLICY.replace("label: ", "sub_account: ").partition("  - {id: strays")[0])
    shell.write(FILES + 'sub_accounts: [{select: {name: "A *"}, keys: [{name: sender, scopes: ["domains:read"]}]}]\n')
    assert shell.run("validate", "--strict") == 0
    assert shell.out == "valid: 2 keys in 1 account, 1 key in 1 rule for sub accounts, 1 file, 2 rules\n"


@pytest.mark.parametrize("arguments", [["--strict=yes"], ["--fail-on", "warn"], ["--actual", "x"], ["extra"]])
def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    """What validate does not know is wrong usage."""
    assert shell.run("validate", *arguments) == 64
    assert shell.out == ""


def test_the_starter_policy_is_no_default_of_validate(shell: Shell) -> None:
    """Only an audit falls back on the starter policy: validate checks the files that there are."""
    assert shell.run("validate", "--strict") == 0
    assert shell.out == "valid: 2 keys in 1 account, 1 file\n"


def test_a_change_window_that_is_about_nothing(shell: Shell) -> None:
    """A change window for an account that no file names is a problem: it would freeze nothing."""
    window = "{from: 2026-12-20, until: 2027-01-03, account: 9*, reason: year end}"
    Path("config/policy.yaml").write_text(f"version: 1\nfreeze: [{window}]\n")
    assert shell.run("validate") == 1
    assert "config/policy.yaml:2:10: the change window 'year end' is about none of the accounts" in shell.err
    Path("config/policy.yaml").write_text(f"version: 1\nfreeze: [{window.replace('9*', '1*')}]\n")
    assert shell.run("validate") == 0
