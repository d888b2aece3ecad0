"""Commands as their users meet them: what they print where, and their exit codes."""

import json
import stat
from pathlib import Path

import click
import pytest

from reconciler.cli.group import COMMANDS, reconciler
from reconciler.core.events import Event, SubAccountsListed
from reconciler.emulator.server import Emulator
from reconciler.files.report import load_report
from served import served
from shell import FILES, SHOP, Shell
from world import ACCOUNT, OTHER, TOKEN, admin, key, key_id


def test_in_sync(shell: Shell) -> None:
    """In sync: one line, exit 0, nothing on stderr."""
    assert shell.run("plan") == 0
    assert "in sync" in shell.out
    assert shell.err == ""


def test_plan_shows_the_difference_and_exits_0(shell: Shell) -> None:
    """A plain plan exits 0 however much differs; it shows the key, the file and the digest."""
    shell.drift("domains:read")
    assert shell.run("plan") == 0
    assert "config/keys/keys.yaml:6" in shell.out
    assert "sha256:" in shell.out
    assert shell.emulator.requests["PUT"] == 0


def test_detailed_exit_code(shell: Shell) -> None:
    """With --detailed-exitcode: 0 in sync, 2 differs, 3 held back."""
    assert shell.run("plan", "--detailed-exitcode") == 0
    shell.drift("domains:read")
    assert shell.run("plan", "--detailed-exitcode") == 2
    shell.drift(ip_allow_list=["192.0.2.1/32"])
    assert shell.run("plan", "--detailed-exitcode") == 3
    assert shell.run("plan") == 0


def test_apply(shell: Shell) -> None:
    """Apply heals and exits 0, logging each change as a line on stderr; again, it sends no PUT."""
    shell.drift("domains:read")
    assert shell.run("apply") == 0
    assert shell.emulator.requests["PUT"] == 1
    lines = [json.loads(line) for line in shell.err.splitlines()]
    assert [line["event"] for line in lines] == [
        "pass.started",
        "account.listed",
        "plan.computed",
        "change.started",
        "change.applied",
        "pass.finished",
    ]
    assert len({line["run_id"] for line in lines}) == 1
    assert shell.run("apply") == 0
    assert shell.emulator.requests["PUT"] == 1


def test_apply_exactly_what_was_reviewed(shell: Shell) -> None:
    """The digest that plan printed lets that plan through, and no other."""
    shell.drift("domains:read")
    shell.run("plan", "-o", "json")
    digest = shell.report()["digest"]
    shell.drift("domains:read", "domains:write")
    assert shell.run("apply", "--digest", digest) == 3
    assert shell.emulator.requests["PUT"] == 0
    shell.drift("domains:read")
    assert shell.run("apply", "--digest", digest) == 0
    assert shell.run("apply", "--digest", digest) == 3
    assert "not the plan that was reviewed" in shell.out
    assert shell.emulator.requests["PUT"] == 1


def test_apply_held_back(shell: Shell) -> None:
    """A refused change exits 3; naming its guardrail lets it through."""
    shell.drift(ip_allow_list=["192.0.2.1/32"])
    assert shell.run("apply") == 3
    assert "--allow restore" in shell.out
    assert shell.run("apply", "--allow", "restore") == 0


def test_apply_dry_run(shell: Shell) -> None:
    """A dry run of apply plans only, and says in its report that it was a plan; what is held back still exits 3."""
    shell.drift("domains:read")
    assert shell.run("apply", "--dry-run", "-o", "json") == 0
    assert shell.report()["mode"] == "plan"
    shell.drift(ip_allow_list=["192.0.2.1/32"])
    assert shell.run("apply", "--dry-run") == 3
    assert shell.emulator.requests["PUT"] == 0


def test_apply_on_hold(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_HOLD makes apply plan only, with its reason."""
    shell.drift("domains:read")
    monkeypatch.setenv("RECONCILER_HOLD", "INC-7")
    assert shell.run("apply") == 3
    assert "INC-7" in shell.out
    assert shell.emulator.requests["PUT"] == 0


def test_something_failed(shell: Shell) -> None:
    """A change that failed exits 4, and the report is still printed and loads back."""
    shell.drift("domains:read")
    shell.emulator.set_faults({"rules": [{"method": "PUT", "path": "*", "rate": 1, "do": {"status": 403}}]})
    assert shell.run("apply", "-o", "json") == 4
    assert load_report(shell.out).summary.failed == 1


def test_no_account_could_be_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong credential exits 1, prints the JSON report, and names the variable but not the secret."""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-wrong")
    assert shell.run("plan", "-o", "json") == 1
    assert shell.report()["accounts"][0]["status"] == "failed"
    assert "AHASEND_API_KEY" in shell.out
    assert "aha-sk-wrong" not in shell.out + shell.err


def test_no_credential(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a credential the account fails with the name of the variable to set."""
    monkeypatch.delenv("AHASEND_API_KEY")
    assert shell.run("plan") == 1
    assert "AHASEND_API_KEY is not set" in shell.out


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://api.example.com", "https"),
        ("https://user:hunter2@api.example.com", "user name or password"),
        ("nonsense", "https"),
    ],
)
def test_a_wrong_endpoint(shell: Shell, monkeypatch: pytest.MonkeyPatch, address: str, words: str) -> None:
    """An endpoint without TLS outside loopback, or that is none, is an error before any request."""
    monkeypatch.setenv("AHASEND_ENDPOINT", address)
    assert shell.run("apply") == 1
    assert words in shell.err
    assert "hunter2" not in shell.err


def test_files_that_do_not_load(shell: Shell) -> None:
    """Every problem is printed with its place, then how many; exit 1, and nothing was asked of the API."""
    shell.write(FILES + "  - {name: shop, scope: []}\n")
    for command in (["validate"], ["plan"], ["apply"], ["run", "--listen", "none"]):
        assert shell.run(*command) == 1
        assert "config/keys/keys.yaml:7:" in shell.err
        assert "nothing was done" in shell.err
        assert "Traceback" not in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_validate(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that load exit 0 with their notes, also where the account's variable is not set."""
    monkeypatch.delenv("AHASEND_ACCOUNT_ID")
    assert shell.run("validate") == 0
    assert "note:" in shell.out
    assert "valid: 2 keys in 1 account, 1 file" in shell.out
    assert shell.emulator.requests["GET"] == 0


def test_validate_tells_all_files(shell: Shell) -> None:
    """Problems of the policy and of the desired state are told together."""
    shell.write("version: 2\n")
    Path("config/policy.yaml").write_text("version: 1\nguardrail: {}\n")
    assert shell.run("validate") == 1
    assert "config/keys/keys.yaml:1:10" in shell.err
    assert "config/policy.yaml:2:1" in shell.err


def test_a_policy_that_was_named_must_exist(shell: Shell) -> None:
    """The default policy may be absent, a named one not."""
    assert shell.run("plan", "--policy", "missing.yaml") == 1
    assert "missing.yaml" in shell.err


def test_the_policy_sets_limits(shell: Shell) -> None:
    """Limits of the default policy file are in force, and its digest is in the report."""
    Path("config/policy.yaml").write_text("version: 1\nguardrails: {max_changes: {percent: 0, at_least: 0}}\n")
    shell.drift("domains:read")
    assert shell.run("apply", "-o", "json") == 3
    assert shell.report()["refusals"][0]["limit"] == 0
    assert shell.report()["policy"].startswith("sha256:")


def test_outputs(shell: Shell) -> None:
    """Several outputs at once; files are replaced whole; with files only, stdout stays empty."""
    shell.drift("domains:read")
    Path("plan.json").write_text("old")
    assert shell.run("plan", "-o", "json=plan.json", "-o", "text=plan.txt") == 0
    assert shell.out == ""
    assert json.loads(Path("plan.json").read_text())["mode"] == "plan"
    assert "\x1b" not in Path("plan.txt").read_text()
    assert sorted(path.name for path in Path().glob("*")) == ["config", "plan.json", "plan.txt"]
    assert stat.S_IMODE(Path("plan.txt").stat().st_mode) & 0o077 == 0o044
    assert shell.run("plan", "-o", "json", "-o", "text=/dev/null") == 0
    assert shell.report()["mode"] == "plan"


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--no-such"],
        ["plan", "-o", "xml"],
        ["plan", "-o", "json="],
        ["plan", "-o", "json", "-o", "text"],
        ["plan", "-o", "json=x", "-o", "text=x"],
        ["plan", "--rate", "0"],
        ["plan", "--burst", "0"],
        ["plan", "--rate", "nan"],
        ["run", "--every", "9999999d"],
        ["run", "--cron", "0 0 30 2 *"],
        ["plan", "--desired", ""],
        ["plan", "extra"],
        ["apply", "--allow", "digest"],
        ["apply", "--allow", "hold"],
        ["apply", "--allow", "everything"],
        ["apply", "--digest", "sha256:1"],
        ["apply", "--every", "5m"],
        ["run", "--every", "5"],
        ["run", "--every", "0s"],
        ["run", "--every", "5m", "--jitter", "5m"],
        ["run", "--every", "5m", "--cron", "* * * * *"],
        ["run", "--cron", "* * * *"],
        ["run", "--digest", "sha256:" + "0" * 64],
        ["export", "--account", "nonsense"],
        ["export", "--credential", "Production"],
        ["schema", "everything"],
        ["emulator"],
        ["aply"],
        [],
    ],
)
def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    """Wrong usage exits 64 with a message on stderr; an unknown option never means drift, nor is it ignored."""
    assert shell.run(*arguments) == 64
    assert shell.err
    assert shell.out == ""


def test_a_misspelt_command(shell: Shell) -> None:
    """An unknown command is answered with the nearest."""
    shell.run("aply")
    assert "did you mean 'apply'?" in shell.err
    shell.run("zzz")
    assert "did you mean" not in shell.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECONCILER_OUTPUT", "xml"),
        ("RECONCILER_RATE", "fast"),
        ("RECONCILER_BURST", "-1"),
        ("RECONCILER_DETAILED_EXITCODE", "perhaps"),
        ("RECONCILER_LOG_LEVEL", "loud"),
        ("RECONCILER_DETAILED_EXITCODE", " "),
        ("RECONCILER_SELF_KEY_ID", "shop"),
    ],
)
def test_wrong_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A bad value of an environment variable is wrong usage, too."""
    monkeypatch.setenv(name, value)
    assert shell.run("plan") == 64


def test_a_blank_dry_run_does_not_apply(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one switch that must not fail open is refused when it is blank."""
    shell.drift("domains:read")
    monkeypatch.setenv("RECONCILER_DRY_RUN", " ")
    assert shell.run("apply") == 64
    assert shell.emulator.requests["GET"] == 0


def test_a_policy_that_is_a_dangling_link(shell: Shell) -> None:
    """A policy that is there but cannot be read is an error: unread is not absent."""
    Path("config/policy.yaml").symlink_to("missing.yaml")
    assert shell.run("apply") == 1
    assert "config/policy.yaml" in shell.err


def test_files_that_name_no_account(shell: Shell) -> None:
    """Files with roles alone name nothing to compare: that is no account in sync."""
    shell.write("version: 1\nroles: {sender: [domains:read]}\n")
    assert shell.run("plan") == 1
    assert "no account is named" in shell.err


def test_messages_do_no_harm_on_a_terminal(shell: Shell) -> None:
    """What a file holds is escaped in messages and notes."""
    shell.write(FILES + '  - {name: b, scopes: ["routes:read:all", "routes:read:{a\\e[31m.b}"]}\n')
    shell.run("validate")
    assert "\x1b" not in shell.out + shell.err
    assert "\\x1b" in shell.out + shell.err or "\\u001b" in shell.out + shell.err


def test_one_output_that_fails_costs_no_other(shell: Shell) -> None:
    """Where one output cannot be written, the others are, and the error is told."""
    shell.drift("domains:read")
    assert shell.run("apply", "-o", "json", "-o", "text=/dev/full") == 1
    assert shell.report()["summary"]["applied"] == 1
    assert "/dev/full cannot be written" in shell.err


def test_environment_instead_of_options(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeatable options are comma-separated in the environment; an option on the command line wins."""
    Path("config/keys").rename("a")
    Path("b").mkdir()
    Path("b/roles.yaml").write_text("version: 1\nroles: {}\n")
    monkeypatch.setenv("RECONCILER_DESIRED", "a, b")
    monkeypatch.setenv("RECONCILER_OUTPUT", "json")
    assert shell.run("plan") == 0
    assert shell.report()["summary"]["unchanged"] == 2
    assert shell.run("validate", "--desired", "missing") == 1


def test_cron_on_the_command_line_wins_over_every_in_the_environment(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of --every and --cron, the one on the command line wins over the other in the environment."""
    monkeypatch.setenv("RECONCILER_EVERY", "5m")
    assert shell.run("run", "--cron", "nonsense") == 64
    assert "five fields" in shell.err
    monkeypatch.setenv("RECONCILER_CRON", "nonsense")
    monkeypatch.delenv("RECONCILER_EVERY")
    shell.write("version: 2\n")
    assert shell.run("run", "--every", "5m", "--listen", "none") == 1


def test_an_output_that_cannot_be_written(shell: Shell) -> None:
    """A file that cannot be written is an error before the first request."""
    shell.drift("domains:read")
    for name in ("missing/report.json", "config"):
        assert shell.run("apply", "-o", f"json={name}") == 1
        assert "cannot be written" in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_export_then_plan(shell: Shell) -> None:
    """What export writes, plan finds in sync; it is the same to the byte each time, and never overwrites unasked."""
    assert shell.run("export", "--to", "out") == 0
    assert f"wrote 2 keys to out/{ACCOUNT}.yaml" in shell.out
    first = Path(f"out/{ACCOUNT}.yaml").read_text()
    assert shell.run("plan", "--desired", "out", "--detailed-exitcode") == 0
    assert "in sync" in shell.out
    assert shell.run("export", "--to", "out") == 1
    assert "--overwrite" in shell.err
    assert shell.run("export", "--to", "out", "--overwrite") == 0
    assert Path(f"out/{ACCOUNT}.yaml").read_text() == first
    assert shell.emulator.requests["PUT"] == 0


def test_export_of_another_account(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """--account and --credential name another account; the file says which credential it needs."""
    state = shell.emulator.dump()
    state["accounts"].append({"id": OTHER, "keys": [admin(OTHER, "aha-sk-other")]})
    shell.emulator.load(state)
    monkeypatch.setenv("AHASEND_API_KEY_OTHER_TEAM", "aha-sk-other")
    assert shell.run("export", "--to", "out", "--account", OTHER.upper(), "--credential", "other-team") == 0
    assert shell.out == f"wrote 1 key to out/{OTHER}.yaml\n"
    assert "credential: other-team" in Path(f"out/{OTHER}.yaml").read_text()
    assert shell.run("plan", "--desired", "out") == 0


def with_sub_accounts(shell: Shell, *scopes: str) -> None:
    """Give the account sub accounts, and the reconciler's key these scopes besides its own."""
    state = shell.emulator.dump()
    fenced = key(31, "old", "domains:read", ip_allow_list=["192.0.2.1/32"])
    state["accounts"][0]["keys"][0]["scopes"] += scopes
    state["accounts"][0]["sub_accounts"] = [
        {"id": key_id(30), "name": "Acme\n- x: y", "keys": [fenced, key(32, "shop", "*", ip_allow_list=[])]},
        {"id": key_id(40), "name": "Gone", "status": "suspended", "keys": [key(41, "shop", SHOP)]},
        {"id": key_id(50), "name": "Zed", "domains": ["shop.example.com"], "keys": [key(51, "shop", SHOP)]},
    ]
    shell.emulator.load(state)


def test_export_of_sub_accounts_then_plan(shell: Shell) -> None:
    """With --sub-accounts their keys are written too, but those of suspended ones, and plan finds all in sync."""
    with_sub_accounts(shell, "sub-accounts:read", "sub-account-api-keys:read")
    assert shell.run("export", "--to", "out", "--sub-accounts") == 0
    path = f"out/{ACCOUNT}.yaml"
    assert shell.out == f"wrote 5 keys of the account and 2 sub accounts, 1 suspended left out, to {path}\n"
    text = Path(path).read_text()
    assert f"  # Acme?- x: y\n  - select: {{id: {key_id(30)}}}\n" in text
    assert f'# Left out: sub account {key_id(40)} "Gone", which is suspended' in text
    assert key_id(41) not in text
    assert shell.run("plan", "--desired", "out", "--detailed-exitcode") == 0
    assert "in sync" in shell.out
    assert shell.run("export", "--to", "out", "--overwrite") == 0
    assert shell.out == f"wrote 2 keys to {path}\n"
    assert "select" not in Path(path).read_text()
    assert shell.emulator.requests["PUT"] == 0


def test_who_is_told_breaks_no_export(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An observer that fails when it is told how many sub accounts there are changes nothing of what is exported."""

    def observe(event: Event) -> None:
        if isinstance(event, SubAccountsListed):
            raise OSError("nobody listens")

    monkeypatch.setattr("reconciler.cli.exporting.make_observer", lambda *_: observe)
    with_sub_accounts(shell, "sub-accounts:read", "sub-account-api-keys:read")
    assert shell.run("export", "--to", "out", "--sub-accounts") == 0
    assert shell.out.startswith("wrote 5 keys of the account and 2 sub accounts")


def test_export_of_no_sub_accounts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_SUB_ACCOUNTS asks for them too; where there are none, it says so."""
    shell.drift("api-keys:read", "sub-accounts:read", number=0)
    monkeypatch.setenv("RECONCILER_SUB_ACCOUNTS", "true")
    assert shell.run("export", "--to", "out") == 0
    assert shell.out == f"wrote 2 keys of the account and 0 sub accounts to out/{ACCOUNT}.yaml\n"


@pytest.mark.parametrize("scopes", [(), ("sub-accounts:read",)])
def test_export_of_sub_accounts_that_may_not_be_read(shell: Shell, scopes: tuple[str, ...]) -> None:
    """Where the sub accounts, or the keys of one, may not be read, nothing is written."""
    with_sub_accounts(shell, *scopes)
    assert shell.run("export", "--to", "out", "--sub-accounts") == 1
    assert "sub-account" in shell.err
    assert not Path("out").exists()


def test_export_without_an_account(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export needs an account id that is one."""
    monkeypatch.setenv("AHASEND_ACCOUNT_ID", "aha-sk-pasted-here")
    assert shell.run("export") == 1
    assert "AHASEND_ACCOUNT_ID is not a UUID" in shell.err
    assert "pasted" not in shell.err
    monkeypatch.delenv("AHASEND_ACCOUNT_ID")
    assert shell.run("export") == 1
    assert "set AHASEND_ACCOUNT_ID" in shell.err


def test_export_with_a_wrong_credential(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that cannot be read leaves no file behind."""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-wrong")
    assert shell.run("export", "--to", "out") == 1
    assert "AHASEND_API_KEY" in shell.err
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["desired", "policy", "report", "status", "listing"])
def test_schema(shell: Shell, name: str) -> None:
    """Each schema is JSON Schema on stdout."""
    assert shell.run("schema", name) == 0
    assert json.loads(shell.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_help_and_version(shell: Shell) -> None:
    """Help and version exit 0."""
    assert shell.run("--help") == 0
    assert "validate" in shell.out
    assert shell.run("--version") == 0
    assert shell.run("apply", "--help") == 0
    assert "RECONCILER" not in shell.out
    assert "\nExamples:\n  reconciler apply" in shell.out


def test_the_table_of_commands_is_true() -> None:
    """Each command of the table exists, under its name and with the summary that it gives itself."""
    context = click.Context(reconciler)
    assert reconciler.list_commands(context) == list(COMMANDS)
    for name, summary in COMMANDS.items():
        command = reconciler.get_command(context, name)
        assert command is not None
        assert (command.name, command.short_help) == (name, summary)
        assert "Example: reconciler " in (command.help or "")


def test_interrupted_outside_a_pass(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C where no pass is under way ends with 130 and one word, as shells expect."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reconciler.files.desired.load_desired", interrupted)
    assert shell.run("validate") == 130
    assert shell.err.strip() == "interrupted"


def test_an_export_that_cannot_be_written(shell: Shell) -> None:
    """Where the folder to export to is a file, that is told."""
    assert shell.run("export", "--to", "config/keys/keys.yaml") == 1
    assert "cannot be written: not a directory" in shell.err


def test_demo(shell: Shell) -> None:
    """The demo heals 39 of 40 changed keys, leaves the fenced one alone, and ends in sync."""
    assert shell.run("demo") == 0
    assert "Applied 39 of 40 changes; 1 held back" in shell.out
    assert "service-200 was brought back" in shell.out
    assert shell.out.endswith("in sync\n")


def test_an_emulator_that_does_not_start(shell: Shell) -> None:
    """A missing or wrong seed, a host that is not loopback, or a taken port is one clear error."""
    Path("seed.yaml").write_text("accounts: 1\n")
    assert shell.run("emulator", "--seed", "seeds.yaml") == 1
    assert shell.err.startswith("seeds.yaml: cannot be read: no such file or directory: did you mean seed.yaml?\n")
    assert shell.run("emulator", "--seed", "seed.yaml") == 1
    assert "the emulator does not start" in shell.err
    assert "config/examples/emulator-seed.yaml is one" in shell.err
    Path("seed.yaml").write_text("accounts: []\n")
    assert shell.run("emulator", "--seed", "seed.yaml", "--host", "192.0.2.7") == 1
    with served(Emulator({"accounts": []})) as address:
        assert shell.run("emulator", "--seed", "seed.yaml", "--port", address.rpartition(":")[2]) == 1
        assert "the emulator does not start" in shell.err


def test_labels_do_no_harm_on_a_terminal(shell: Shell) -> None:
    """A label of control codes is shown escaped, in text and in logs."""
    shell.drift("domains:read", label="\x1b[31mred\x07\nnext")
    shell.write(FILES.replace("name: shop,", f"name: shop, id: {key_id(1)},"))
    assert shell.run("apply") == 0
    assert "\x1b" not in shell.out + shell.err
    assert "\\x1b[31mred" in shell.out


def test_no_secret_in_any_output(shell: Shell) -> None:
    """A secret that stands where none should, in a file or on the server, is masked everywhere."""
    shell.drift("domains:read", label=TOKEN)
    shell.write(FILES.replace("name: shop,", f"name: shop, id: {key_id(1)},"))
    for form in ("text", "json"):
        assert shell.run("apply", "-o", form, "--log-level", "info", "--dry-run") == 0
        assert TOKEN not in shell.out + shell.err
    for place in (SHOP, "name: shop,"):
        shell.write(FILES.replace(place, f"{TOKEN}" if place == SHOP else f'name: shop, label: "x {TOKEN}",'))
        assert shell.run("validate") == 1
        assert "this looks like a secret key" in shell.err
        assert TOKEN not in shell.out + shell.err


def test_files_that_the_account_gave_up(shell: Shell) -> None:
    """A key that is in no file is counted and named, and left alone."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"].append(key(5, "stranger", "domains:read"))
    shell.emulator.load(state)
    assert shell.run("apply") == 0
    assert "stranger" in shell.out
