"""What the pipelines' script finds, tells and refuses, in this process."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from forges import BOT, GITHUB_TOKEN, GITLAB_TOKEN, ME, Forge
from pipelines import CI
from reconciler.exits import ExitCode

DIGEST = f"sha256:{'d' * 64}"
COMMIT, HEAD, LATER = "a" * 40, "b" * 40, "c" * 40
Script = Callable[..., str]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reviewed", CI / "reviewed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["github", "gitlab"])
def either(request: pytest.FixtureRequest, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """A forge after a merge, of either kind."""
    forge.clear()
    forge.tip = COMMIT
    names = {"GITHUB_API_URL": forge.address, "GITHUB_REPOSITORY": "team/keys", "GITHUB_SHA": COMMIT}
    names |= {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "5", "GITHUB_RUN_ATTEMPT": "1"}
    names |= {"GITHUB_REF_NAME": "main", "GITHUB_EVENT_NAME": "push", "DEFAULT_BRANCH": "main"}
    names |= {"CI_API_V4_URL": forge.address, "CI_PROJECT_ID": "7", "CI_COMMIT_SHA": COMMIT, "HEAD_SHA": HEAD}
    names |= {"CI_DEFAULT_BRANCH": "main", "CI_JOB_URL": "https://gitlab.example.com/jobs/1"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if request.param == "github":
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("FORGE_TOKEN", f"{GITHUB_TOKEN if request.param == 'github' else GITLAB_TOKEN}\n")
    forge.pulls = [pull()]
    keep(forge, BOT, description=f"{DIGEST}, exit code 2")
    return forge


def keep(forge: Forge, author: str, sha: str = HEAD, **fields: str) -> None:
    forge.someone_sets(sha, author, **{"context": "ahasend-keys/plan", "name": "ahasend-keys/plan", **fields})


def pull(**fields: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"number": 12, "iid": 12, "merged_at": "2026-11-23T12:00:00Z", "state": "merged"}
    about |= {"base": {"ref": "main"}, "target_branch": "main", "head": {"sha": HEAD}, "sha": HEAD}
    return about | {"merge_commit_sha": COMMIT, "squash_commit_sha": None} | fields


FOUND = {"digest": DIGEST, "pull": "12", "why": ""}


def refused(why: str, pull: str = "12") -> dict[str, str]:
    return {"digest": "", "pull": pull, "why": f"Nothing was applied: {why}."}


def test_the_digest_of_the_head_is_found(script: ModuleType, either: Forge) -> None:
    """It is the newest of ours, whatever somebody else set after it or under another name."""
    assert script.find() == FOUND
    keep(either, "mallory", description=f"sha256:{'e' * 64}")
    keep(either, BOT, LATER, description=f"sha256:{'e' * 64}")
    keep(either, BOT, context="other", name="other", description=f"sha256:{'e' * 64}")
    for _ in range(110):
        keep(either, "mallory", context="tests", name="tests")
    assert script.find() == FOUND
    keep(either, BOT, description=f"sha256:{'f' * 64}, exit code 3")
    assert script.find() == FOUND | {"digest": f"sha256:{'f' * 64}"}


def test_no_plan_was_kept(script: ModuleType, either: Forge) -> None:
    """A newest status that has no digest, or more than one, is none to apply by."""
    for said in ("no digest: exit code 4", f"{DIGEST}0", f"see {DIGEST}", ""):
        keep(either, BOT, description=said)
        assert script.find() == refused("no plan was kept with the commit that was merged")


@pytest.mark.parametrize(
    "other",
    [
        {"merged_at": None, "state": "opened"},
        {"base": {"ref": "stable"}, "target_branch": "stable"},
        {"merge_commit_sha": LATER, "sha": LATER},
    ],
)
def test_what_is_no_merge_into_this_branch(script: ModuleType, either: Forge, other: dict[str, Any]) -> None:
    """A pull request counts only if it is merged, into this branch, and by this very commit."""
    either.pulls = [pull(**other)]
    assert script.find() == refused("this commit is no merge of a pull request, so that no plan of it was reviewed", "")
    either.pulls.append(pull())
    assert script.find() == FOUND


def test_an_older_commit_is_not_applied_again(
    script: ModuleType, either: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is started again after the branch moved on would undo what came later, by a digest that is right."""
    either.tip = LATER
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert script.find() == refused("the branch has moved on since this commit")
    monkeypatch.setenv("TYPED_DIGEST", DIGEST)
    monkeypatch.setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "1")
    assert script.find() == refused("the branch has moved on since this commit")
    either.tip = COMMIT
    assert script.find() == FOUND


def test_a_merge_soon_after_another(script: ModuleType, either: Forge) -> None:
    """GitHub starts pushes in their order, so one that waited is applied; on GitLab it may be an old one."""
    either.tip = LATER
    assert bool(script.find()["digest"]) is (script.forge().__class__.__name__ == "GitHub")


def test_what_a_person_types(script: ModuleType, either: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest that is typed comes first, also where no pull request was merged; what is none is refused."""
    either.pulls = []
    monkeypatch.setenv("TYPED_DIGEST", f" sha256:{'e' * 64} ")
    assert script.find() == {"digest": f"sha256:{'e' * 64}", "pull": "", "why": ""}
    monkeypatch.setenv("TYPED_DIGEST", f"{DIGEST}\nwhy=none")
    assert script.find() == refused("what was typed is no digest", "")


def test_a_comment_after_hundreds_of_others(script: ModuleType, either: Forge, tmp_path: Path) -> None:
    """Ours is found on whatever page it stands; the other kind's is not taken for it."""
    for number in range(205):
        either.someone_comments(f"comment {number}")
    either.someone_comments("<!-- ahasend-keys/apply -->\ndone", BOT)
    mine = either.someone_comments("<!-- ahasend-keys/plan -->\nold", BOT)
    script.comment("plan", tmp_path, 1, "12")
    assert len(either.comments) == 207
    assert "exit code 1" in mine["body"]


def test_a_comment_has_room(script: ModuleType, either: Forge, tmp_path: Path) -> None:
    """The longest report with the longest errors is shorter than GitHub takes; errors stay in their fence."""
    (tmp_path / "plan.md").write_text("x" * 60_000)
    (tmp_path / "errors.txt").write_text("````\n@everyone\n" + "y" * 9_000)
    text = script.text("plan", tmp_path, 4)
    assert len(text) < 65_536
    assert text.count("`````") == 2
    assert text.endswith("(the log has the rest)\n`````")
    assert "yyy" not in script.text("plan", tmp_path, 3)


def test_errors_are_shown_at_their_lines(script: ModuleType) -> None:
    """A problem becomes a workflow command in which nothing of it ends that or begins another; else nothing is one."""
    told = "config/a,b.yaml:6:9: unknown field '100%\r::set-env name=X::1'"
    assert script.annotation(told) == (
        "::error file=config/a%2Cb.yaml,line=6,col=9::unknown field '100%25%0D::set-env name=X::1'"
    )
    assert script.annotation("::add-mask::x") is None
    assert script.annotation("error: 1 problem in the files, nothing was done") is None


def test_the_account_of_a_listing(script: ModuleType, tmp_path: Path) -> None:
    """It is told where there is one; of several the files must name each."""
    listing = tmp_path / "listing.json"
    listing.write_text(json.dumps({"accounts": [{"account_id": "one"}]}))
    assert script.only_account(listing) == "one"
    listing.write_text(json.dumps({"accounts": [{"account_id": "one"}, {"account_id": "two"}]}))
    with pytest.raises(SystemExit, match="has 2 accounts"):
        script.only_account(listing)


def test_what_the_forge_refuses(script: ModuleType, either: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is none ends the script with what was asked, and says nothing of the token."""
    monkeypatch.setenv("FORGE_TOKEN", "wrong-token")
    with pytest.raises(SystemExit, match=r"^error: GET .*: the forge answers 401$") as caught:
        script.find()
    assert "wrong-token" not in str(caught.value)
    monkeypatch.setenv("FORGE_TOKEN", "")
    with pytest.raises(SystemExit, match="FORGE_TOKEN is not set"):
        script.find()


@pytest.mark.parametrize(
    "odd",
    [
        {"number": "12\ndigest=sha256:" + "e" * 64, "iid": "12\ndigest=sha256:" + "e" * 64},
        {"merge_commit_sha": None, "head": None, "squash_commit_sha": COMMIT, "iid": None},
    ],
)
def test_a_forge_that_says_odd_things(
    script: ModuleType, either: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], odd: Any
) -> None:
    """An answer that is not as it should be gives no digest, and adds no line to what a step hands on."""
    either.pulls = [pull(**odd)]
    monkeypatch.setattr(sys, "argv", ["reviewed.py", "find"])
    try:
        script.main()
    except SystemExit as ended:
        assert str(ended).startswith("error: what the forge or the reconciler says is not what was expected")  # noqa: PT017
    assert "digest=sha256" not in capsys.readouterr().out


def test_no_listing_is_kept(script: ModuleType, either: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is expired, of a fork or of another branch is no listing; of several the newest counts."""
    monkeypatch.setenv("FORGE_TOKEN", GITHUB_TOKEN)
    run = {"id": 1, "repository_id": ME, "head_repository_id": ME, "head_branch": "main"}
    either.artifacts = [
        {"expired": True, "workflow_run": run},
        {"expired": False, "workflow_run": run | {"head_branch": "x"}},
    ]
    with pytest.raises(SystemExit, match="keeps ahasend-keys-listing"):
        script.GitHub().listing_run()
    either.artifacts += [{"expired": False, "workflow_run": run | {"id": number}} for number in (1, 3, 2)]
    assert script.GitHub().listing_run() == "3"


def test_its_command_line(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command takes what its line in the docstring names."""
    for name, (wanted, _) in script.COMMANDS.items():
        (line,) = (each for each in str(script.__doc__).splitlines() if f"reviewed.py {name} " in f"{each} ")
        shown = line.split(f"reviewed.py {name}")[1].split("  ")[0].split()
        assert [each.lower().replace("plan", "kind") for each in shown] == list(wanted)
    (tmp_path / "errors.txt").write_text("a.yaml:1:2: wrong\n")
    monkeypatch.setattr(sys, "argv", ["reviewed.py", "annotate", str(tmp_path / "errors.txt")])
    script.main()
    assert capsys.readouterr().out == "::error file=a.yaml,line=1,col=2::wrong\n"


def test_every_exit_code_is_told(script: ModuleType) -> None:
    """What a comment says of an exit code is what that code means, and no code of a pass is without words."""
    codes = {int(code) for code in ExitCode} - {int(ExitCode.KILLED_BY_INTERRUPT)}
    assert set(script.MEANINGS) == codes
    assert "a person must act" in script.MEANINGS[ExitCode.HELD_BACK]
    assert "a retry may help" in script.MEANINGS[ExitCode.UNFINISHED]
    assert "could be read" in script.MEANINGS[ExitCode.ERROR]
    assert "differs" in script.MEANINGS[ExitCode.DIFFERENT]
