"""What a pass needs, built from files and settings, and who is told of it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.ahasend.pace import Paces, Stop
from reconciler.cli.options import Options
from reconciler.cli.serving import Daemon
from reconciler.cli.wiring import MOST_OF_ADDRESSES, MOST_SECRETS, Secrets, Wiring, keep_trail, make_observer
from reconciler.core.changes import Action, Change, Outcome
from reconciler.core.events import ChangeApplied, ChangeStarted, PassFinished, PassStarted
from reconciler.core.keys import AccountRef
from reconciler.core.report import SCHEMA, Mode, Report, RequestCounts, Summary
from reconciler.daemon.schedule import Schedule
from reconciler.errors import TrailError
from reconciler.files.desired import Loaded, load_desired
from reconciler.metrics import Metrics
from reconciler.reconcile import PassInputs
from shell import FILES, Shell

REPORT = Report(SCHEMA, "0.1.0", Mode.APPLY, "r", "t0", "t1", None, None, (), (), (), Summary(), RequestCounts())
POLICY = "version: 1\nrules: [{id: wide, uses: no-wildcard, severity: deny}]\n"


def inputs(wiring: Wiring) -> PassInputs:
    """What one more pass of the same process needs."""
    return wiring.inputs(Paces(25.0, 50), Stop())


def wired(*policy: str) -> Wiring:
    return Wiring(Options((Path("config/keys"),), tuple(map(Path, policy)), 25.0, 50), lambda event: None)


def write(name: str, text: str = POLICY) -> Path:
    path = Path("config") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_no_policy_is_needed_where_there_was_none(shell: Shell) -> None:
    """A process that began without a policy makes its passes without one, and by one once it is there."""
    wiring = wired()
    assert [inputs(wiring).policy.digest for _ in range(2)] == [None, None]
    write("policy.yaml")
    assert len(inputs(wiring).policy.rules) == 1


def test_what_is_no_policy_by_its_name(shell: Shell) -> None:
    """A copy that an editor left is not taken for a policy of another name."""
    write("policy.yaml.bak")
    assert inputs(wired()).policy.rules == ()


def test_what_cannot_be_looked_at_is_not_absent(shell: Shell) -> None:
    """Where nobody can tell whether there are files and a policy, an audit does not judge as if there were none."""
    Path("config/keys/keys.yaml").unlink()
    Path("config/keys").rmdir()
    Path("config").rmdir()
    Path("config").symlink_to("config")
    assert shell.run("audit") == 1
    assert "config/policy.yaml: " in shell.err
    assert "config/keys: " in shell.err
    assert shell.emulator.requests["GET"] == 0


def test_a_file_in_the_place_of_the_folder_holds_no_policy(shell: Shell) -> None:
    """Below a file there is nothing: that is known, and an audit goes on without files."""
    Path("config/keys/keys.yaml").unlink()
    Path("config/keys").rmdir()
    Path("config").rmdir()
    Path("config").write_text("", encoding="utf-8")
    assert shell.run("audit", "--fail-on", "never") == 0
    assert "judged by the starter policy" in shell.out


CHANGE = Change(AccountRef("d3b0"), Action.UPDATE, "shop", "3c90", "shop", None)


def failures(metrics: Metrics) -> str:
    return metrics.exposition()[0].decode().split("\nreconciler_trail_failures_total ")[1].split("\n")[0]


def test_what_the_trail_cannot_store_is_counted(tmp_path: Path) -> None:
    """A write that the trail forbids is counted as its failure, and so is a pass that ends with something untold."""
    secrets, metrics = Secrets(), Metrics(lambda: 0.0)
    path = tmp_path / "trail"
    with keep_trail(path, 0, secrets) as kept:
        observe = make_observer("json", "error", secrets, kept, metrics)
        observe(PassStarted("r", Mode.APPLY, 1))
        observe(ChangeStarted("r", CHANGE))
        observe(ChangeApplied("r", CHANGE.ended(Outcome.APPLIED)))
        assert failures(metrics) == "0.0"
        path.write_text("somebody else was here\n")
        with pytest.raises(TrailError):
            observe(ChangeStarted("r", CHANGE))
        assert failures(metrics) == "1.0"
        observe(PassFinished("r", REPORT, 1.0))
        assert failures(metrics) == "2.0"


def test_what_goes_wrong_in_the_loop_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody waited for is a line of the log with its place, whether or not it came with an error."""
    secrets = Secrets()
    wiring = Wiring(Options((), (), 25.0, 50), make_observer("json", "info", secrets), secrets)
    daemon = Daemon(wiring, Schedule.every(timedelta(minutes=1)), (), None)
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyError) as raised:
        dict[str, str]()["door"]
    daemon.faulted(loop, {"message": "not retrieved", "exception": raised.value})
    daemon.faulted(loop, {"message": "a socket was lost"})
    loop.close()
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["error"]) == ("daemon.faulted", "KeyError: 'door'")
    assert first["where"].startswith("test_what_goes_wrong_in_the_loop_is_told:")
    assert (second["error"], second["where"]) == ("a socket was lost", "")


def test_what_a_pass_of_a_daemon_is_to_know(shell: Shell) -> None:
    """A pass knows which policy files it goes by, so that one that is gone is missed, and the time of day."""
    assert inputs(wired()).policy_files == frozenset()
    write("policy.yaml")
    write("rules/a.yaml", POLICY.replace("wide", "other"))
    assert inputs(wired()).policy_files == {"config/policy.yaml"}
    known = inputs(wired("config/policy.yaml", "config/rules"))
    assert known.policy_files == {"config/policy.yaml", "config/rules/a.yaml"}
    assert known.clock
    assert abs((known.clock() - datetime.now(UTC)).total_seconds()) < 60


def test_secrets_of_long_ago_are_forgotten() -> None:
    """However often secrets are rotated, as many are looked for as were in use last."""
    secrets = Secrets()
    for number in range(MOST_SECRETS + 5):
        secrets.hide("the first one")
        secrets.hide(f"token-{number:05}")
    kept = tuple(secrets())
    assert len(kept) == MOST_SECRETS
    assert "the first one" in kept
    assert f"token-{MOST_SECRETS + 4:05}" in kept
    assert "token-00000" not in kept


def test_addresses_of_people_push_no_credential_out() -> None:
    """However many secrets they have: those have room of their own, which is bounded, too."""
    secrets = Secrets()
    secrets.hide("the credential")
    for number in range(MOST_OF_ADDRESSES):
        secrets.hide_address((f"part-{number:05}", f"also-{number:05}"))
    kept = tuple(secrets())
    assert len(kept) == MOST_OF_ADDRESSES + 1
    assert "the credential" in kept
    assert f"also-{MOST_OF_ADDRESSES - 1:05}" in kept


def test_a_key_that_moves_to_another_file_meanwhile(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was in no file while they were read, since it moves from one to another, is not taken for unmanaged."""
    without = FILES.replace("  - {name: shop,", "  # {name: shop,")
    acting = "unmanaged: {then: quarantine, min_age: 24h, include_senders: true}\n"
    shell.write(f"{without}{acting}")
    loads = []

    def moving(*arguments: Any, **options: Any) -> Loaded:
        loads.append(load_desired(*arguments, **options))
        moved = 'keys: [{name: shop, scopes: ["messages:send:{shop.example.com}"], ip_allow_list: [203.0.113.0/24]}]\n'
        if len(loads) == 1:
            Path("config/keys/other.yaml").write_text(f"version: 1\naccount: ${{AHASEND_ACCOUNT_ID}}\n{moved}")
        return loads[-1]

    monkeypatch.setattr("reconciler.cli.wiring.load_desired", moving)
    assert shell.run("apply", "-o", "json") == 0
    assert (shell.report()["summary"]["quarantine"], shell.emulator.requests["PUT"]) == (0, 0)
    assert len(loads) == 2
