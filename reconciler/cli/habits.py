"""What people type who come from other tools, and what is written here for it.

What stands in backquotes can be typed: a whole command line, or options of the command at hand.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Answer:
    """What is written for a habit: by ``commands``, or by those that have ``option``; by every one where neither is."""

    told: str
    option: str = ""
    commands: tuple[str, ...] = ()

    def fits(self, command: str, options: frozenset[str]) -> bool:
        """Tell whether it is about a command, by its whole name, that has these options."""
        return command in self.commands if self.commands else not self.option or self.option in options


Answers = tuple[Answer, ...]

_KEPT: Final = "`state: quarantined` in the files switches one off"
COMMANDS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("diff", "drift", "preview", "compare", "dry-run"), "`reconciler plan` shows what differs, and writes nothing"),
    (("check", "lint", "test", "verify"), "`reconciler validate` checks the files"),
    (("sync", "reconcile", "fix", "heal", "push", "update", "deploy"), "`reconciler apply` writes what differs"),
    (("import", "dump", "init", "pull", "backup", "get"), "`reconciler export` writes the files from an account"),
    (("serve", "daemon", "watch", "start", "loop", "server"), "`reconciler run` makes passes until told to stop"),
    (
        ("health", "healthcheck", "ready", "ping"),
        "`reconciler status --quiet` asks a running daemon whether it does its work, `reconciler status` how it stands",
    ),
    (
        ("dashboard", "ui", "web", "page"),
        "`reconciler run` serves a status page at http://127.0.0.1:8080, `reconciler status` tells it at a terminal",
    ),
    (
        ("list", "ls", "show", "keys", "describe"),
        "`reconciler audit -o json` lists every key, `reconciler explain KEY` tells all about one",
    ),
    (("log", "logs", "history"), "`reconciler trail show --key NAME FILE` tells what happened to a key"),
    (
        ("rollback", "undo", "revert"),
        "write the files as they were, such as by reverting a commit, and `reconciler apply`",
    ),
    (("create", "add", "new"), "keys are not made yet: make one in AhaSend's dashboard, and name it in the files"),
    (("delete", "destroy", "remove", "revoke", "disable"), f"keys are not deleted yet: {_KEPT}"),
    (("rotate",), f"keys get no new secrets here: AhaSend's dashboard makes another key; {_KEPT}"),
    (("notifications", "alert", "alerts", "notify-test"), "`reconciler notify --test` sends a message to each address"),
    (
        ("man", "manual", "docs", "usage"),
        "`man reconciler` tells everything, `reconciler help COMMAND` of one command",
    ),
    (("version",), "`reconciler --version` tells it"),
)
"""Commands of other tools."""

_SCHEDULE: Final = "`reconciler run --every 5m` makes passes on a schedule"
OPTIONS: Final[tuple[tuple[tuple[str, ...], Answers], ...]] = (
    (
        ("--dryrun", "--dry", "--noop", "--no-op", "--check", "--plan", "-n"),
        (
            Answer("`--dry-run` only plans", option="--dry-run"),
            Answer("leave it out: it never writes to an account", commands=("plan", "audit", "who-can", "explain")),
            Answer("`reconciler plan` is the dry run: it never writes"),
        ),
    ),
    (
        ("--json", "--text", "--format", "--output-format", "--out"),
        (
            Answer("`-o json` writes JSON", commands=("status", "who-can", "trail show")),
            Answer("`-o json` writes JSON, `-o html=FILE` a page into a file", option="--output"),
        ),
    ),
    (
        ("--markdown", "--html", "--sarif"),
        (
            Answer("`-o text` and `-o json` are all there is", commands=("status", "who-can", "trail show")),
            Answer(
                "`-o html=FILE` writes a page into a file, `-o markdown` and `-o sarif` other things", option="--output"
            ),
        ),
    ),
    (
        ("--yes", "-y", "--auto-approve", "--assume-yes", "--no-input", "--non-interactive", "--approve"),
        (Answer("leave it out: no command ever asks"),),
    ),
    (
        ("--force", "--skip-checks", "--no-verify"),
        (
            Answer(
                "there is no such way past the guardrails: `--allow GUARDRAIL` lets one through, by name",
                option="--allow",
            ),
            Answer("`--overwrite` replaces a file that is there already", option="--overwrite"),
            Answer(
                "there is no such way past the guardrails: `reconciler apply --allow GUARDRAIL` lets one through",
                option="--desired",
            ),
            Answer("leave it out: there is nothing to force"),
        ),
    ),
    (
        ("--verbose", "-v", "-vv", "--debug", "-d"),
        (
            Answer(
                "`reconciler --version` tells it; `reconciler plan --log-level debug` logs most",
                commands=("",),
            ),
            Answer("`--log-level debug` logs the most", option="--log-level"),
            Answer("leave it out: it logs nothing"),
        ),
    ),
    (
        ("--quiet", "-q", "--silent"),
        (
            Answer("`--quiet` asks in a line", option="--quiet"),
            Answer("`--log-level error` logs the least", option="--log-level"),
            Answer("leave it out: it logs nothing"),
        ),
    ),
    (
        ("--config", "-c", "--file", "-f", "--keys", "--files", "--input", "-i"),
        (
            Answer("`--desired PATH` names the files, `--policy PATH` the policy", option="--desired"),
            Answer("`--seed FILE` names the file with accounts and keys", option="--seed"),
            Answer("write the files without it, in their order", commands=("trail show", "trail verify")),
            Answer("`--to PATH` names the folder to write into", option="--to"),
        ),
    ),
    (
        ("--once", "--one-shot", "--oneshot"),
        (
            Answer("leave it out: without `--watch` it asks once", commands=("status",)),
            Answer("`reconciler apply` makes one pass", commands=("run",)),
            Answer("leave it out: a single pass is all that it makes", commands=("apply", "plan")),
        ),
    ),
    (
        ("--daemon", "--daemonize", "--background", "--detach"),
        (
            Answer("leave it out: it makes passes until told to stop, in the foreground", commands=("run",)),
            Answer("`reconciler run` makes passes until told to stop", option="--desired"),
        ),
    ),
    (
        ("--interval", "--period", "--refresh"),
        (
            Answer("`--watch --every 5s` asks again and again", commands=("status",)),
            Answer("`--every 5m` says how often", commands=("run",)),
            Answer(_SCHEDULE, option="--desired"),
        ),
    ),
    (
        ("--schedule", "--loop", "--watch", "--follow"),
        (
            Answer("`--watch` goes on until Ctrl-C", commands=("status",)),
            Answer(
                "leave it out: it goes on, and sees when a file changes; `--every 5m` says how often",
                commands=("run",),
            ),
            Answer(_SCHEDULE, option="--desired"),
        ),
    ),
    (
        ("--token", "--api-key", "--apikey", "--secret", "--password", "--credentials"),
        (
            Answer(
                "a credential on a command line is for all to see: set AHASEND_API_KEY, or RECONCILER_SECRETS_DIR; "
                "RECONCILER_TOKEN is for requests to it",
                commands=("run",),
            ),
            Answer(
                "a credential on a command line is for all to see: set AHASEND_API_KEY, or RECONCILER_SECRETS_DIR; "
                "`--credential NAME` says which",
                option="--credential",
            ),
            Answer(
                "a credential on a command line is for all to see: set AHASEND_API_KEY, or RECONCILER_SECRETS_DIR",
                option="--rate",
            ),
            Answer("leave it out: it needs no credential"),
        ),
    ),
    (
        ("--account", "--account-id", "-a"),
        (
            Answer("`--account ID` names it", option="--account"),
            Answer("the files name their account, as `account: ${AHASEND_ACCOUNT_ID}`", option="--desired"),
        ),
    ),
    (
        ("--endpoint", "--url", "--base-url", "--api-url", "--address"),
        (
            Answer("`--at HOST:PORT` says where the daemon listens", commands=("status",)),
            Answer("the addresses may hold secrets: set RECONCILER_NOTIFY", commands=("notify",)),
            Answer("set AHASEND_ENDPOINT", option="--rate"),
            Answer("set AHASEND_ENDPOINT", commands=("export",)),
        ),
    ),
    (
        ("--port", "-p", "--host", "--bind", "--listen"),
        (
            Answer("`--listen 127.0.0.1:8080` says where it listens", commands=("run",)),
            Answer("`--at HOST:PORT` says where the daemon listens", commands=("status",)),
            Answer("`--host 127.0.0.1 --port 4280` says where it listens", commands=("emulator",)),
        ),
    ),
    (
        ("--send", "--test-message"),
        (Answer("`--test` sends a test message to each address", commands=("notify",)),),
    ),
    (
        ("--notify", "--notify-url", "--notifications", "--webhook"),
        (
            Answer(
                "the addresses may hold secrets: set RECONCILER_NOTIFY; see docs/notifications.md",
                commands=("run", "notify"),
            ),
            Answer("only `reconciler run` notifies people: at the addresses of RECONCILER_NOTIFY"),
        ),
    ),
    (
        ("--no-color", "--no-colour", "--color", "--colour"),
        (Answer("set NO_COLOR=1; only terminals get colours"),),
    ),
    (("-V",), (Answer("`reconciler --version` tells it"),)),
    (
        ("--prune", "--delete"),
        (Answer("`unmanaged:` in the files says what becomes of keys that no file names", option="--desired"),),
    ),
)
"""Options of other tools."""

ARGUMENTS: Final[Answers] = (
    Answer("`--test` sends a test message to each address", commands=("notify",)),
    Answer("it takes one domain at a time", commands=("who-can",)),
    Answer("write a name that has blanks in quotes; `--desired PATH` names the files", commands=("explain",)),
    Answer("`--at HOST:PORT` says which daemon to ask", option="--at"),
    Answer("`--seed FILE` names the file with accounts and keys", option="--seed"),
    Answer("`--to PATH` names the folder to write into", option="--to"),
    Answer("`--desired PATH` names the files, `--policy PATH` the policy", option="--desired"),
)
"""What is written for a word too many."""
