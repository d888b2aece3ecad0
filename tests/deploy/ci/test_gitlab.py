"""The pipeline of GitLab: its scripts are run as they stand, against a small forge."""

import re

from forges import GITLAB_TOKEN
from stages import PLAN_TOKEN, WIDENED, Stage
from world import TOKEN


def test_a_plan_is_one_note_that_is_kept_up_to_date(stage: Stage) -> None:
    """The second pipeline writes over the first one's note and leaves alone one of somebody else."""
    forged = stage.forge.someone_comments("<!-- ahasend-keys/plan -->\nall is well")
    stage.propose()
    code, log, where = stage.gitlab_plan()
    assert code == 0, log
    assert "domains:read" in stage.own_comments("plan")[0]
    assert (where / "ahasend-keys-report/plan.sarif").is_file()
    stage.propose(WIDENED.replace("domains:read", "messages:read:all"))
    code, log, _ = stage.gitlab_plan()
    assert code == 0, log
    (second,) = stage.own_comments("plan")
    assert "messages:read:all" in second
    assert forged["body"] == "<!-- ahasend-keys/plan -->\nall is well"
    assert (stage.puts, stage.tokens()) == (0, {PLAN_TOKEN})
    assert [status["state"] for status in stage.forge.statuses] == ["success", "success"]


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
    stage.forge.tip = "f" * 40
    code, log, _ = stage.gitlab_apply()
    assert code == 0
    assert "the branch has moved on" in log


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
