"""The pipeline of GitLab: its scripts are run as they stand, against a small forge."""

import re

import pytest

from forges import BOT, GITLAB_TOKEN
from pipelines import gitlab
from stages import PLAN_TOKEN, Stage
from world import TOKEN


def test_a_plan_is_one_note_that_is_kept_up_to_date(stage: Stage) -> None:
    """The plan is written over our note alone and its digest kept, by the tools of the base."""
    forged = stage.forge.someone_comments("<!-- ahasend-keys/plan -->\nall is well")
    stage.forge.someone_comments("<!-- ahasend-keys/plan -->\nold", BOT)
    evil = "raise SystemExit('run')\n"
    stage.propose(**{"ci/reconciler/reviewed.py": evil, "ci/reconciler/requirements.txt": evil, "click.py": evil})
    code, log, where = stage.gitlab_plan()
    assert code == 0, log
    (told,) = stage.own_comments("plan")
    assert "domains:read" in told
    assert (where / "ahasend-keys-report/plan.sarif").is_file()
    assert forged["body"] == "<!-- ahasend-keys/plan -->\nall is well"
    assert (stage.puts, stage.tokens()) == (0, {PLAN_TOKEN})
    (status,) = stage.forge.statuses
    assert (status["state"], status["sha"], status.get("pipeline_id")) == ("success", stage.head, None)


def test_a_changed_policy_is_said_before_all_else(stage: Stage) -> None:
    """The note of a request whose policy is another one begins with that; others say nothing."""
    stage.propose()
    stage.gitlab_plan()
    assert "policy is not that" not in stage.own_comments("plan")[0]
    stage.propose(**{"config/policy.yaml": "version: 1\nrules: []\n"})
    code, log, _ = stage.gitlab_plan()
    assert code == 0, log
    (told,) = stage.own_comments("plan")
    assert "\n\n**The policy is not that of the target branch**" in told[: told.index("domains:read")]


def test_what_was_reviewed_is_applied_and_nothing_else(stage: Stage) -> None:
    """After the merge the reviewed plan is applied, or nothing; a digest that a person types goes on."""
    stage.propose()
    stage.gitlab_plan()
    stage.merged()
    stage.edited_by_hand()
    code, log, _ = stage.gitlab_apply()
    assert (code, stage.puts) == (3, 0), log
    (told,) = stage.own_comments("apply")
    reviewed = stage.forge.statuses[0]["description"]
    (new,) = (digest for digest in set(re.findall(r"sha256:[0-9a-f]{64}", told)) if digest not in reviewed)
    code, log, _ = stage.gitlab_apply(new)
    assert (code, stage.puts, stage.tokens()) == (0, 1, {TOKEN}), log


def test_what_nobody_reviewed_is_not_applied(stage: Stage) -> None:
    """A commit that no merge request brought is planned and not applied; what differs makes the job red."""
    stage.propose()
    stage.merged()
    stage.forge.pulls = []
    code, log, _ = stage.gitlab_apply()
    assert (code, stage.puts, stage.forge.comments) == (3, 0, [])
    assert "Nothing was applied: this commit is no merge of a pull request" in log


def test_what_fails_is_red(stage: Stage) -> None:
    """Files that do not load end the job with their exit code, are told in the note, and leave no digest."""
    stage.propose("version: 1\n")
    code, log, _ = stage.gitlab_plan()
    assert code == 1
    assert "'account' is missing" in stage.own_comments("plan")[0]
    assert stage.forge.statuses[0]["state"] == "failed"
    assert GITLAB_TOKEN not in log


def test_a_fork_goes_by_the_listing(stage: Stage) -> None:
    """In the fork's project the listing of the other one is fetched, and planned by with nothing else."""
    code, log, where = stage.gitlab("ahasend-keys-listing", stage.base, **stage._variables(PLAN_TOKEN))
    assert code == 0, log
    path = "/projects/7/jobs/artifacts/main/raw/listing.json"
    stage.forge.files = {path: (where / "listing.json").read_bytes()}
    stage.propose()
    about = {"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_PROJECT_ID": "8", "CI_JOB_TOKEN": "of-the-job"}
    code, log, _ = stage.gitlab("ahasend-keys-fork", stage.head, **about)
    assert code == 0, log
    assert "domains:read" in log
    assert stage.tokens() == {""}
    assert stage.forge.asked == []


def test_a_link_shows_nothing_of_the_runner(stage: Stage) -> None:
    """A request with a link below config is not planned, and what the link leads to is not told."""
    secret = stage.folder / "secret"
    secret.write_text("hunter2-of-the-runner\n", encoding="utf-8")
    (stage.origin / "config/policy.yaml").symlink_to(secret)
    stage.propose()
    code, log, _ = stage.gitlab_plan()
    assert code == 1
    assert "config/policy.yaml: no link is followed here" in log
    assert "hunter2" not in log
    assert stage.commands() == []


OURS = {"CI_PROJECT_ID": "7", "CI_DEFAULT_BRANCH": "main"}
REQUEST = {
    **OURS,
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
}
FORK = {"CI_PROJECT_ID": "8", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}


def begun(source: str, branch: str | None = "main", **more: str) -> dict[str, str]:
    return {**OURS, "CI_PIPELINE_SOURCE": source, **({"CI_COMMIT_BRANCH": branch} if branch else {}), **more}


def holds(expression: str, variables: dict[str, str]) -> bool:
    """Tell whether a rule's condition holds, as GitLab evaluates it: what is not set is null, and empty is false."""

    def value(word: str) -> str | None:
        return word[1:-1] if word.startswith('"') else variables.get(word.removeprefix("$"))

    for term in expression.split("&&"):
        words = term.split()
        assert len(words) in (1, 3), term
        if len(words) == 1:
            met = bool(value(words[0]))
        else:
            assert words[1] in ("==", "!="), term
            met = (value(words[0]) == value(words[2])) is (words[1] == "==")
        if not met:
            return False
    return True


@pytest.mark.parametrize(
    ("pipeline", "jobs"),
    [
        (REQUEST, {"plan"}),
        (REQUEST | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "stable"}, set()),
        (REQUEST | FORK, {"fork"}),
        (REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}, set()),
        (begun("push"), {"apply"}),
        (begun("push", "change"), set()),
        (begun("push", None), set()),
        (begun("web"), set()),
        (begun("web", TYPED_DIGEST="sha256:ab"), {"apply"}),
        (begun("web", "change", TYPED_DIGEST="sha256:ab"), set()),
        (begun("api", TYPED_DIGEST="sha256:ab"), set()),
        (begun("schedule"), {"listing"}),
        (begun("schedule", "change"), set()),
    ],
)
def test_which_jobs_a_pipeline_has(pipeline: dict[str, str], jobs: set[str]) -> None:
    """What writes runs for the default branch alone, what plans for requests into it, and a fork's without a secret."""
    started = {
        name.removeprefix("ahasend-keys-")
        for name, job in gitlab().items()
        if not name.startswith(".") and any(holds(rule["if"], pipeline) for rule in job["rules"])
    }
    assert started == jobs


def test_what_a_job_may_read() -> None:
    """Each job has the variables of one environment, a fork's of none; only the listing is for whoever may read all."""
    jobs = gitlab()
    environments = {name: job.get("environment", {}) for name, job in jobs.items() if not name.startswith(".")}
    assert environments == {
        "ahasend-keys-plan": {"name": "ahasend-plan", "action": "access"},
        "ahasend-keys-fork": {},
        "ahasend-keys-apply": {"name": "ahasend-apply"},
        "ahasend-keys-listing": {"name": "ahasend-plan", "action": "access"},
    }
    access = {name: job["artifacts"]["access"] for name, job in jobs.items() if "artifacts" in job}
    assert access == {".ahasend-keys": "developer", "ahasend-keys-listing": "all"}
