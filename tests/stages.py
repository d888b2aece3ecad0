"""A repository of a team with its forge and its account: changes are proposed, planned, merged and applied."""

import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forges import BOT, GITHUB_TOKEN, GITLAB_TOKEN, Forge
from pipelines import CI, INSTALL, Job, bash, git, gitlab, plain_environment, workflow
from reconciler.emulator.server import Emulator
from shell import FILES, SHOP
from world import ACCOUNT, TOKEN, admin, key, key_id

STANDING_IN = '''"""Tells that it was started, and has a process that is loaded already do the work."""
import json, os, sys

def run():
    with open(os.environ["TOLD"], "a") as told:
        told.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}) + "\\n")
    os.execv(os.environ["QUICK"], ["reconciler", *sys.argv[1:]])
'''
PLAN_TOKEN = "aha-sk-" + "r" * 64
WIDENED = FILES.replace(f'["{SHOP}"]', f'["{SHOP}", "domains:read"]')
KEYS = "config/keys/keys.yaml"


def wheel(folder: Path) -> str:
    """Write a wheel of the reconciler's name, whose command tells that it was started; give its requirement."""
    name = "ahasend_key_reconciler-0.1.0"
    info = f"{name}.dist-info"
    texts = {
        "standing_in.py": STANDING_IN,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ahasend-key-reconciler\nVersion: 0.1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nreconciler = standing_in:run\n",
        f"{info}/RECORD": "",
    }
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for each, text in texts.items():
            packed.writestr(each, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"ahasend-key-reconciler==0.1.0 --hash=sha256:{digest}\n"


def install(folder: Path, requirement: str | None = None) -> tuple[int, str]:
    """Run the step that installs, as the plan's workflow has it."""
    tools = folder / "trusted/ci/reconciler"
    tools.mkdir(parents=True)
    wanted = wheel(tools)
    (tools / "requirements.txt").write_text(requirement or wanted, encoding="utf-8")
    steps = workflow("plan")["jobs"]["plan"]["steps"]
    (step,) = (each for each in steps if each["name"] == INSTALL)
    return bash(step["run"], folder, plain_environment(RUNNER_TEMP=str(folder), PIP_NO_INDEX="1"))


def seed() -> dict[str, Any]:
    """An account with the reconciler's key, the one that plans, and a shop's."""
    planner = key(2, "planner", "api-keys:read", secret_key=PLAN_TOKEN, ip_allow_list=[])
    return {
        "accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"], "keys": [admin(), key(1, "shop", SHOP), planner]}]
    }


@dataclass
class Stage:
    """All that takes part; ``base`` is what the default branch holds, ``head`` what is proposed."""

    folder: Path
    forge: Forge
    emulator: Emulator
    endpoint: str
    quick: Path
    """The `reconciler` that starts quickly."""
    installed: Path
    base: str = ""
    head: str = ""
    merge: str = ""
    jobs: int = 0
    puts_before: int = 0
    failing: frozenset[str] = frozenset()
    plan_token: str = PLAN_TOKEN
    attempt: str = "1"
    more: dict[str, str] = field(default_factory=dict)
    """Variables that a runner has beside."""

    @property
    def origin(self) -> Path:
        return self.folder / "origin"

    @property
    def told(self) -> Path:
        return self.folder / "told.jsonl"

    def begin(self) -> None:
        """Make the repository, with the tools where users put them."""
        tools = self.origin / "ci/reconciler"
        tools.mkdir(parents=True)
        (tools / "requirements.txt").write_text(wheel(tools), encoding="utf-8")
        shutil.copy(CI / "reviewed.py", tools)
        git(self.origin, "init", "-q", "-b", "main")
        self.base = self.commit({KEYS: FILES})
        self.forge.tip = self.base
        self.puts_before = self.emulator.requests["PUT"]

    def commit(self, files: dict[str, str]) -> str:
        """Commit files to the branch that is checked out."""
        for name, text in files.items():
            path = self.origin / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(self.origin, "add", "-A")
        git(self.origin, "commit", "-q", "-m", "change")
        return git(self.origin, "rev-parse", "HEAD")

    def propose(self, text: str = WIDENED, **more: str) -> None:
        """Push another commit to the branch that is to be merged, and let the forge try the merge."""
        git(self.origin, "checkout", "-q", "-B", "change", self.head or self.base)
        self.head = self.commit({KEYS: text, **more})
        git(self.origin, "checkout", "-q", "--detach", self.base)
        git(self.origin, "merge", "-q", "--no-ff", "-m", "merge", self.head)
        self.merge = git(self.origin, "rev-parse", "HEAD")

    def merged(self) -> None:
        """Merge what was proposed."""
        git(self.origin, "checkout", "-q", "-B", "main", self.merge)
        self.base = self.forge.tip = self.merge
        about = {
            "number": 12,
            "iid": 12,
            "merged_at": "2026-11-23T12:00:00Z",
            "state": "merged",
            "target_branch": "main",
        }
        about |= {"base": {"ref": "main"}, "head": {"sha": self.head}, "sha": self.head}
        self.forge.pulls = [about | {"merge_commit_sha": self.merge, "squash_commit_sha": None}]

    def edited_by_hand(self) -> None:
        """Let somebody take a scope from the reconciler's neighbours in the dashboard."""
        state = self.emulator.dump()
        for one in state["accounts"][0]["keys"]:
            if one["id"] == key_id(1):
                one["scopes"] = ["messages:read:all"]
        self.emulator.load(state)

    # GitHub

    def _github(self, name: str, job: str, sha: str, event: str, values: dict[str, str]) -> Job:
        self.jobs += 1
        self.told.write_text("", encoding="utf-8")
        env = plain_environment(
            GITHUB_ACTIONS="true",
            GITHUB_API_URL=self.forge.address,
            GITHUB_SERVER_URL="https://github.com",
            GITHUB_REPOSITORY="team/keys",
            GITHUB_RUN_ID=str(self.jobs),
            GITHUB_RUN_ATTEMPT=self.attempt,
            GITHUB_SHA=sha,
            GITHUB_REF_NAME="main",
            GITHUB_EVENT_NAME=event,
            AHASEND_ENDPOINT=self.endpoint,
            QUICK=str(self.quick),
            TOLD=str(self.told),
            **self.more,
        )
        values = {
            "github.repository": "team/keys",
            "github.event.repository.default_branch": "main",
            "github.run_attempt": self.attempt,
            "github.ref_name": "main",
            "github.ref_type": "branch",
            "github.sha": sha,
            "github.token": GITHUB_TOKEN,
            **values,
        }
        made = Job(self.folder / f"job{self.jobs}", values, env, self.folder / "store", self.origin, self.failing)
        return made.run(workflow(name)["jobs"][job], self.installed)

    def plan(self, *, fork: bool = False) -> Job:
        """Run the workflow of the pull request."""
        values = {
            "github.event.pull_request.head.repo.full_name": "mallory/keys" if fork else "team/keys",
            "github.event.pull_request.user.login": "mallory" if fork else "dana",
            "github.event.pull_request.head.sha": self.head,
            "github.event.pull_request.base.sha": self.base,
            "github.event.pull_request.number": "12",
        }
        secrets = {} if fork else self._secrets(self.plan_token)
        return self._github("plan", "fork" if fork else "plan", self.merge, "pull_request", values | secrets)

    def apply(self, digest: str = "") -> Job:
        """Run the workflow of the push, or with a digest the one that a person starts."""
        event = "workflow_dispatch" if digest else "push"
        return self._github("apply", "apply", self.base, event, self._secrets(TOKEN) | {"inputs.digest": digest})

    def save_listing(self) -> Job:
        """Run the workflow of the schedule."""
        saved = self._github("listing", "listing", self.base, "schedule", self._secrets(self.plan_token))
        # The newest is one that a fork made, of a branch that is called as ours.
        runs = ((99, 2, "main"), (98, 1, "change"), (self.jobs, 1, "main"))
        about = ({"id": run, "repository_id": 1, "head_repository_id": of, "head_branch": on} for run, of, on in runs)
        self.forge.artifacts = [{"expired": False, "workflow_run": run} for run in about]
        return saved

    def _secrets(self, token: str) -> dict[str, str]:
        return {
            "secrets.AHASEND_API_KEY": token,
            "vars.AHASEND_ACCOUNT_ID": ACCOUNT,
            "vars.RECONCILER_SELF_KEY_ID": key_id(0),
        }

    # GitLab

    def gitlab(self, job: str, sha: str, **more: str) -> tuple[int, str, Path]:
        """Run a job of GitLab; give its exit code, its log and the folder that it ran in."""
        self.jobs += 1
        self.told.write_text("", encoding="utf-8")
        where = self.folder / f"job{self.jobs}"
        git(self.folder, "clone", "-q", str(self.origin), str(where))
        git(where, "checkout", "-q", "--detach", sha)
        env = plain_environment(
            CI="true",
            CI_API_V4_URL=self.forge.address,
            CI_PROJECT_ID="7",
            CI_PROJECT_DIR=str(where),
            CI_PIPELINE_ID="900",
            CI_JOB_URL=f"https://gitlab.example.com/jobs/{self.jobs}",
            CI_COMMIT_SHA=sha,
            CI_DEFAULT_BRANCH="main",
            TMPDIR=str(self.folder),
            AHASEND_ENDPOINT=self.endpoint,
            QUICK=str(self.quick),
            TOLD=str(self.told),
            **self.more,
        )
        jobs = gitlab()
        template = jobs[".ahasend-keys"]
        install = "python3 -I -m venv --without-pip"
        assert install in template["before_script"][0]
        script = "\n".join([*template["before_script"], *jobs[job]["script"]])
        # What these lines give is there already.
        begin, end = script.index(install), script.index('out="$CI_PROJECT_DIR')
        script = f'{script[:begin]}ln -s "{self.installed}" "$tools/venv"\n{script[end:]}'
        code, log = bash(script, where, env | more)
        return code, log, where

    def gitlab_plan(self) -> tuple[int, str, Path]:
        """Run the job of the merge request, as merged results pipelines do."""
        about = {"CI_MERGE_REQUEST_IID": "12", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
        about |= {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": self.head, "FORGE_TOKEN": GITLAB_TOKEN}
        return self.gitlab("ahasend-keys-plan", self.merge, **about, **self._variables(PLAN_TOKEN))

    def gitlab_apply(self, digest: str = "") -> tuple[int, str, Path]:
        """Run the job of the push, or with a digest the one that a person starts."""
        about = {"FORGE_TOKEN": GITLAB_TOKEN} | ({"TYPED_DIGEST": digest} if digest else {})
        return self.gitlab("ahasend-keys-apply", self.base, **about, **self._variables(TOKEN))

    def _variables(self, token: str) -> dict[str, str]:
        return {"AHASEND_API_KEY": token, "AHASEND_ACCOUNT_ID": ACCOUNT, "RECONCILER_SELF_KEY_ID": key_id(0)}

    # What became of it

    @property
    def puts(self) -> int:
        """How many writes the account has seen since this began."""
        return int(self.emulator.requests["PUT"]) - self.puts_before

    def own_comments(self, kind: str) -> list[str]:
        """Give what our comments of a kind say."""
        bodies = [each["body"] for each in self.forge.comments if each["user"]["login"] == BOT]
        return [body for body in bodies if body.startswith(f"<!-- ahasend-keys/{kind} -->")]

    def commands(self) -> list[dict[str, Any]]:
        """Give how the reconciler was started in the last job: ``argv`` and ``env``."""
        return [json.loads(line) for line in self.told.read_text(encoding="utf-8").splitlines()]

    def tokens(self) -> set[str]:
        """Give the credentials that it was started with."""
        return {command["env"].get("AHASEND_API_KEY", "") for command in self.commands()}
