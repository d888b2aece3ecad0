"""What somebody probably meant whose command line cannot be understood: near names, and habits from other tools."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

import click

_COMMANDS: Final = {
    "`reconciler plan` shows what differs, and writes nothing": ("diff", "drift", "preview", "compare", "dry-run"),
    "`reconciler validate` checks the files": ("check", "lint", "test", "verify"),
    "`reconciler apply` writes what differs": ("sync", "reconcile", "fix", "heal", "push", "update", "deploy"),
    "`reconciler export` writes the files from an account": ("import", "dump", "init", "pull", "backup", "get"),
    "`reconciler run` makes passes until told to stop": ("serve", "daemon", "watch", "start", "loop", "server"),
    "`reconciler status` asks a running daemon how it is, --quiet in a line": (
        "health",
        "healthcheck",
        "ready",
        "ping",
    ),
    "`reconciler audit -o json` lists every key, `reconciler explain KEY` tells all about one": (
        "list",
        "ls",
        "show",
        "keys",
        "describe",
    ),
    "`reconciler trail show --key KEY` tells what happened to a key": ("log", "logs", "history"),
    "write the files as they were, such as by reverting a commit, and apply": ("rollback", "undo", "revert"),
    "keys are neither made nor deleted: in the files, `state: quarantined` switches one off": (
        "create",
        "delete",
        "destroy",
        "rotate",
        "revoke",
    ),
    "`reconciler --version` tells it": ("version",),
}
_OPTIONS: Final[tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...]] = (
    (
        ("--dryrun", "--dry", "--noop", "--no-op", "--check", "--plan", "-n"),
        (("--dry-run", "--dry-run only plans"), ("", "`reconciler plan` is the dry run: it never writes")),
    ),
    (
        ("--json", "--markdown", "--html", "--sarif", "--text", "--format", "--output-format", "--out"),
        (("--output", "-o json writes JSON, -o html=FILE a page into a file"),),
    ),
    (
        ("--yes", "-y", "--auto-approve", "--assume-yes", "--no-input", "--non-interactive", "--approve"),
        (("", "leave it out: no command ever asks"),),
    ),
    (
        ("--force", "--skip-checks", "--no-verify"),
        (
            ("--allow", "there is no such way past them all: --allow GUARDRAIL lets one through, by name"),
            ("--overwrite", "--overwrite replaces a file that is there already"),
            ("", "there is no such way past the guardrails: `reconciler apply --allow GUARDRAIL` lets one through"),
        ),
    ),
    (("--verbose", "-v", "-vv", "--debug", "-d"), (("--log-level", "--log-level debug logs the most"),)),
    (("--quiet", "-q", "--silent"), (("--log-level", "--log-level error logs the least"),)),
    (
        ("--config", "-c", "--file", "-f", "--keys", "--files", "--input", "-i"),
        (("--desired", "--desired PATH names the files, --policy PATH the policy"),),
    ),
    (
        ("--interval", "--schedule", "--period", "--loop", "--watch", "--daemon", "--once"),
        (("--every", "--every 5m or --cron"), ("", "`reconciler run --every 5m` makes passes on a schedule")),
    ),
    (
        ("--token", "--api-key", "--apikey", "--secret", "--password", "--credentials"),
        (("", "a credential on a command line is for all to see: set AHASEND_API_KEY, or RECONCILER_SECRETS_DIR"),),
    ),
    (("--account", "--account-id", "-a"), (("", "the files name their account, as ${AHASEND_ACCOUNT_ID} say"),)),
    (("--endpoint", "--url", "--base-url", "--api-url"), (("", "set AHASEND_ENDPOINT"),)),
    (("--port", "-p", "--host", "--bind"), (("--listen", "--listen HOST:PORT"),)),
    (("--no-color", "--no-colour", "--color", "--colour"), (("", "set NO_COLOR=1; only terminals get colours"),)),
    (("-V",), (("", "`reconciler --version` tells it"),)),
    (("--prune", "--delete"), (("", "`unmanaged:` in the files says what becomes of keys that no file names"),)),
)
_NOT_A_CHOICE: Final = re.compile(r"'(.*)' is not one of ")


def near(name: str, names: Iterable[str], *, at_most: int = 1) -> str:
    """Give ``did you mean ...?`` where some of ``names`` are near, else nothing."""
    found = get_close_matches(name.lower(), list(names), n=at_most)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else ""


def hint(error: click.ClickException) -> str:
    """Say what somebody probably meant, or nothing."""
    match error:
        case click.exceptions.NoSuchCommand():
            return _command_hint(error)
        case click.exceptions.NoSuchOption(ctx=click.Context() as context):
            return _habit(error.option_name, context) or _elsewhere(error.option_name, context)
        case click.BadParameter(param=click.Parameter(type=click.Choice(choices=choices))):
            wrong = _NOT_A_CHOICE.match(error.message)
            return near(wrong[1], map(str, choices)) if wrong else ""
        case _:
            return ""


def _command_hint(error: click.exceptions.NoSuchCommand) -> str:
    name = error.command_name
    context = error.ctx
    there = context.command.list_commands(context) if context and isinstance(context.command, click.Group) else ()
    return next((told for told, habits in _COMMANDS.items() if name.lower() in habits), "") or near(name, there)


def _habit(option: str, context: click.Context) -> str:
    """Say what is written here for an option of other tools."""
    there = _options(context.command)
    for habits, answers in _OPTIONS:
        if option in habits:
            return next((told for wanted, told in answers if not wanted or wanted in there), "")
    return ""


def _elsewhere(option: str, context: click.Context) -> str:
    """Name the commands that have the option."""
    root = context.find_root()
    if not isinstance(root.command, click.Group):
        return ""
    found = [
        name
        for name in root.command.list_commands(root)
        if (command := root.command.get_command(root, name)) is not None and option in _options(command)
    ]
    return f"{option} is an option of {_listed(found)}" if found else ""


def _options(command: click.Command) -> set[str]:
    return {name for each in command.params if isinstance(each, click.Option) for name in each.opts}


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
