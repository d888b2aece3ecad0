"""The workflows of GitHub as teams meet them: their steps are run as they stand, against a small forge."""

import re

from forges import BOT
from shell import FILES
from stages import PLAN_TOKEN, WIDENED, Stage
from world import TOKEN

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DENYING = (
    "version: 1\nrules: [{id: no-domains, when: '\"domains:read\" in key.scopes', severity: deny, message: not here}]\n"
)


def digest_in(text: str) -> str:
    found = DIGEST.findall(text)
    assert len(set(found)) == 1
    return str(found[0])


def test_a_plan_is_one_comment_that_is_kept_up_to_date(stage: Stage) -> None:
    """The second run writes over the first one's comment, and leaves alone what others wrote."""
    forged = stage.forge.someone_comments("<!-- ahasend-keys/plan -->\nall is well")
    other = stage.forge.someone_comments("Thanks! <!-- ahasend-keys/plan -->", BOT)
    stage.propose()
    job = stage.plan()
    assert not job.red, job.log
    (first,) = stage.own_comments("plan")
    assert "domains:read" in first
    assert "exit code 2" in first
    assert job.summary.strip() == first
    assert (stage.puts, stage.tokens()) == (0, {PLAN_TOKEN})
    stage.propose(WIDENED.replace("domains:read", "messages:read:all"))
    stage.plan()
    (second,) = stage.own_comments("plan")
    assert "messages:read:all" in second
    assert stage.head[:12] in second
    assert [forged["body"], other["body"]] == [
        "<!-- ahasend-keys/plan -->\nall is well",
        "Thanks! " + "<!-- ahasend-keys/plan -->",
    ]
    assert len(stage.forge.comments) == 3


def test_a_changed_policy_is_said_before_all_else(stage: Stage) -> None:
    """A request that brings another policy is judged by that, and the comment begins with it; others say nothing."""
    stage.propose()
    stage.plan()
    assert "This changes the policy" not in stage.own_comments("plan")[0]
    stage.propose(**{"config/policy.yaml": DENYING})
    job = stage.plan()
    (told,) = stage.own_comments("plan")
    assert "\n\n**This changes the policy**" in told[: told.index("domains:read")]
    assert "**This changes the policy**" in job.summary
    stage.propose(**{"config/policy.yaml": DENYING, "config/rules/keys/more.yaml": "version: 1\n"})
    stage.merged()
    stage.propose(WIDENED.replace("domains:read", "messages:read:all"))
    stage.plan()
    assert "This changes the policy" not in stage.own_comments("plan")[0]
    stage.propose(**{"config/rules/keys/more.yaml": "version: 1\nrules: []\n"})
    stage.plan()
    assert "This changes the policy" in stage.own_comments("plan")[0]


def test_what_was_reviewed_is_applied(stage: Stage) -> None:
    """The plan's digest is kept with the head; after the merge exactly its change is written, and told there."""
    stage.failing = frozenset({"github/codeql-action/upload-sarif"})  # as in a private repository without it
    stage.propose()
    job = stage.plan()
    assert not job.red
    assert job.ran[-2:] == ["Show findings in the diff", "Say how it ended"]
    (status,) = stage.forge.statuses
    assert (status["sha"], status["state"], status["context"]) == (stage.head, "success", "ahasend-keys/plan")
    assert status["description"].startswith(digest_in(stage.own_comments("plan")[0]))
    stage.merged()
    job = stage.apply()
    assert not job.red, job.log
    assert (stage.puts, stage.tokens()) == (1, {TOKEN})
    (told,) = stage.own_comments("apply")
    assert "exit code 0" in told
    assert "Applied 1 of 1 change" in told
    assert len(stage.own_comments("plan")) == 1
    assert (stage.folder / "store/2/ahasend-keys-apply-1/apply.json").is_file()


def test_an_account_that_changed_meanwhile_is_left_alone(stage: Stage) -> None:
    """Where the plan is another one by now, nothing is written; the digest of the new one, typed in, goes on."""
    stage.propose()
    stage.plan()
    stage.merged()
    stage.edited_by_hand()
    job = stage.apply()
    assert job.red
    assert stage.puts == 0
    (told,) = stage.own_comments("apply")
    assert "exit code 3" in told
    assert "messages:read:all" in told
    reviewed = DIGEST.findall(stage.forge.statuses[0]["description"])
    (new,) = set(DIGEST.findall(told)) - set(reviewed)
    again = stage.apply(digest=new)
    assert not again.red, again.log
    assert stage.puts == 1


def test_what_nobody_reviewed_is_not_applied(stage: Stage) -> None:
    """A commit that no pull request brought is planned and not applied; what differs makes the job red."""
    stage.propose()
    stage.merged()
    stage.forge.pulls = []
    job = stage.apply()
    assert job.red
    assert (stage.puts, stage.forge.comments) == (0, [])
    assert "Nothing was applied: this commit is no merge of a pull request" in job.summary
    assert "exit code 3" in job.summary


def test_nothing_to_do_needs_no_digest(stage: Stage) -> None:
    """A direct push after which files and account agree is green."""
    job = stage.apply()
    assert not job.red, job.log
    assert stage.puts == 0


def test_files_that_do_not_load(stage: Stage) -> None:
    """They make the job red, are shown at their lines, tell no secret, and leave no digest and no SARIF."""
    greedy = FILES.replace("${AHASEND_ACCOUNT_ID}", "${AHASEND_API_KEY}")
    stage.propose(greedy.replace("name: shop", "nmae: shop"))
    job = stage.plan()
    assert job.red
    assert re.search(r"^::error file=config/keys/keys.yaml,line=6,col=6::unknown field 'nmae'", job.log, re.MULTILINE)
    assert all(line.startswith(("::error file=", "| ")) for line in job.log.splitlines())
    (told,) = stage.own_comments("plan")
    assert "unknown field 'nmae'" in told
    assert "${AHASEND_API_KEY} holds a secret" in told
    assert PLAN_TOKEN[7:] not in told + job.log + job.summary
    (status,) = stage.forge.statuses
    assert (status["state"], status["description"]) == ("failure", "no digest: exit code 1")
    assert "Show findings in the diff" not in job.ran


def test_an_account_that_cannot_be_read(stage: Stage) -> None:
    """It makes the job red, with a comment that says so, and leaves no digest."""
    stage.plan_token = "aha-sk-" + "n" * 64
    stage.propose()
    job = stage.plan()
    assert job.red
    assert "exit code 1: files or settings do not load, or no account could be read" in stage.own_comments("plan")[0]
    assert stage.forge.statuses[0]["description"] == "no digest: exit code 1"
    assert stage.plan_token not in stage.own_comments("plan")[0] + job.log + job.summary


def test_what_is_held_back_is_red_and_keeps_its_digest(stage: Stage) -> None:
    """A denied change makes the job red; merged in spite of it, that change stays undone and the rest is done."""
    stage.propose(**{"config/policy.yaml": DENYING})
    job = stage.plan()
    assert job.red
    assert stage.forge.statuses[0]["state"] == "failure"
    assert DIGEST.match(stage.forge.statuses[0]["description"])
    assert "Show findings in the diff" in job.ran
    stage.merged()
    assert stage.apply().red
    assert stage.puts == 0


def test_a_fork_has_a_plan_without_a_credential(stage: Stage) -> None:
    """It goes by the listing that the default branch keeps, and is told in the summary alone."""
    assert not stage.save_listing().red
    assert stage.tokens() == {PLAN_TOKEN}
    stage.propose()
    job = stage.plan(fork=True)
    assert not job.red, job.log
    assert "domains:read" in job.summary
    for command in stage.commands():
        held = {name for name in command["env"] if "TOKEN" in name or "KEY" in name or "SECRET" in name}
        assert held == set()
    assert (stage.forge.comments, stage.forge.statuses, stage.forge.asked) == ([], [], [])


def test_the_tools_are_those_of_the_base(stage: Stage) -> None:
    """What a branch puts in their place, or beside its files, is not run."""
    evil = "raise SystemExit('run')\n"
    stage.propose(
        **{"ci/reconciler/reviewed.py": evil, "click.py": evil, "reconciler/__init__.py": evil, "json.py": evil}
    )
    job = stage.plan()
    assert not job.red, job.log
    assert len(stage.own_comments("plan")) == 1


def test_a_link_shows_nothing_of_the_runner(stage: Stage) -> None:
    """A request with a link below config is not planned, a fork's neither, and what the link leads to is not told."""
    secret = stage.folder / "secret"
    secret.write_text("hunter2-of-the-runner\n", encoding="utf-8")
    (stage.origin / "config/policy.yaml").symlink_to(secret)
    (stage.origin / "config/keys/##[add-mask]a\r::notice::all is well\r\x1b[31m").symlink_to(secret)
    stage.save_listing()
    stage.propose()
    for job in (stage.plan(), stage.plan(fork=True)):
        assert job.red
        assert "config/policy.yaml: no link is followed here" in job.summary
        assert "hunter2" not in job.summary + job.log
        assert not re.search(r"##\[|::notice|[\r\x1b]", job.summary + job.log)
        assert stage.commands() == []
