"""What deploy/ci and the hook are held against: linters, schemas, and what must not come back by a later change."""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest
import yaml

from pipelines import CI, INSTALL, gitlab, workflow
from reconciler import __version__
from reconciler.cli import main
from required import beside_python
from shell import FILES
from stages import install

ROOT = CI.parents[1]
WORKFLOWS = sorted(CI.glob("github/*.yml"))
NAMES = ("plan", "apply", "listing")
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def jobs() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name}/{job}", made) for name in NAMES for job, made in workflow(name)["jobs"].items()]


def steps() -> list[dict[str, Any]]:
    return [step for _, job in jobs() for step in job["steps"]]


def test_zizmor_finds_nothing() -> None:
    """Not even as its strictest persona, which takes false alarms into account."""
    command = [beside_python("zizmor"), "--offline", "--no-progress", "--persona", "auditor", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    """Syntax, contexts, types of expressions, names of inputs and runners are as GitHub has them."""
    done = subprocess.run(
        [beside_python("actionlint"), *map(str, WORKFLOWS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_gitlab_takes_the_pipeline() -> None:
    """It is valid by GitLab's own JSON Schema."""
    path = files("check_jsonschema") / "builtin_schemas/vendor/gitlab-ci.json"
    jsonschema.Draft7Validator(json.loads(path.read_text(encoding="utf-8"))).validate(gitlab())


def test_nothing_is_permitted_that_is_not_asked_for() -> None:
    """Each workflow begins with no permission; only the plan's own job and the one that applies may write anything."""
    assert all(workflow(name)["permissions"] == {} for name in NAMES)
    writes = {name: {right for right, kind in job["permissions"].items() if kind == "write"} for name, job in jobs()}
    assert writes == {
        "plan/plan": {"pull-requests", "statuses", "security-events"},
        "plan/fork": set(),
        "apply/apply": {"pull-requests"},
        "listing/listing": set(),
    }


def test_who_gets_which_secret() -> None:
    """The API key is given to one step of a job, from an environment; a fork's job names neither."""
    for name, job in jobs():
        holding = [step["name"] for step in job["steps"] if "secrets." in json.dumps(step)]
        assert len(holding) == (0 if name == "plan/fork" else 1)
        environment = job.get("environment")
        assert (environment is None) == (name == "plan/fork")
        assert (environment == "ahasend-apply") == (name == "apply/apply")
        assert "secrets." not in json.dumps({part: value for part, value in job.items() if part != "steps"})


def test_no_workflow_runs_what_a_fork_wrote_with_our_rights() -> None:
    """Neither of the triggers that give a fork's code the rights of the repository is used."""
    for path in WORKFLOWS:
        assert not re.search(r"pull_request_target|workflow_run:", path.read_text(encoding="utf-8"))


def test_actions_are_pinned() -> None:
    """Each by its commit, with the version beside it, and the same action everywhere by the same commit."""
    lines = [line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines() if " uses:" in line]
    pins = {re.fullmatch(r" +(?:- )?uses: ([\w/-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)", line) for line in lines}
    assert None not in pins
    assert len({(pin[1], pin[2], pin[3]) for pin in pins if pin}) == len({pin[1] for pin in pins if pin}) == 5


def test_jobs_end() -> None:
    """Each job has a time limit, and each workflow says what happens where two of its runs meet."""
    assert all(job["timeout-minutes"] <= 60 for _, job in jobs())
    assert all("concurrency" in workflow(name) for name in NAMES)
    assert workflow("apply")["concurrency"] == {
        "group": "ahasend-keys-apply",
        "cancel-in-progress": False,
        "queue": "max",
    }
    assert gitlab()["ahasend-keys-apply"]["resource_group"] == "ahasend-keys-apply"


def test_expressions_stay_out_of_scripts() -> None:
    """What others wrote reaches a script as a variable alone, never as its text; isolated Python is all that runs."""
    for step in steps():
        assert "${{" not in step.get("run", "")
        assert all("python3 -I" in line for line in step.get("run", "").splitlines() if "python3" in line)


def test_the_reconciler_is_installed_alike(tmp_path: Path) -> None:
    """Every job installs it by the same lines, and a wheel that is another one than was pinned is refused."""
    (text,) = {step["run"].replace("trusted/", "") for step in steps() if step["name"] == INSTALL}
    (beside,) = gitlab()[".ahasend-keys"]["before_script"]
    words = " ".join(text.replace("$RUNNER_TEMP/reconciler", "$tools/venv").replace('"', "").split())
    assert words.replace(" ci/", " $tools/ci/") in " ".join(beside.replace('"', "").split())
    code, log = install(tmp_path, f"ahasend-key-reconciler==0.1.0 --hash=sha256:{'0' * 64}\n")
    assert code != 0
    assert "DO NOT MATCH THE HASHES" in log


def test_the_hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hook has what pre-commit asks for, runs whatever is committed, and its command is one of ours."""
    (hook,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    known = {"id", "name", "description", "entry", "language", "language_version", "always_run", "pass_filenames"}
    assert set(hook) == known | {"require_serial", "minimum_pre_commit_version"}
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("reconciler-validate", "python", False)
    assert hook["always_run"] is True
    (tmp_path / "config/keys").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    command, *arguments = hook["entry"].split()
    assert command == "reconciler"
    (tmp_path / "config/keys/a.yaml").write_text(FILES, encoding="utf-8")
    assert main(arguments) == 0
    (tmp_path / "config/keys/a.yaml").write_text("version: 2\n", encoding="utf-8")
    assert main(arguments) == 1


def test_the_page() -> None:
    """What it copies exists, and the names that it has people set are those that the pipelines use."""
    page = (ROOT / "docs/how-to/plan-on-pull-requests.md").read_text(encoding="utf-8")
    copied = re.findall(r'"\$clone/([^"]+)"', page)
    assert len(copied) == 5
    assert all((ROOT / path).is_file() for path in copied)
    pipelines = "".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, *CI.glob("gitlab/*")])
    named = {"ahasend-plan", "ahasend-apply", "AHASEND_ACCOUNT_ID", "RECONCILER_SELF_KEY_ID", "TYPED_DIGEST"}
    assert all(name in page and name in pipelines for name in named)
    assert "FORGE_TOKEN" in page
    included, hooked = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    assert included == {"include": [{"local": "ci/reconciler/ahasend-keys.gitlab-ci.yml"}]}
    (repository,) = hooked["repos"]
    assert (repository["rev"], repository["hooks"]) == (f"v{__version__}", [{"id": "reconciler-validate"}])
    assert all(f"\n| {code} | " in page or f" {code} | " in page for code in (0, 2, 3, 4, 64))
