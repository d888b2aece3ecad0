"""The environment variables that are ours, and those that were probably meant to be.

A variable that is misspelt would be ignored without a word, and ``RECONCILER_DRYRUN=true`` keeps nobody from writing.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import click

BESIDE_OPTIONS: Final = {
    "AHASEND_API_KEY": "The credential. For an account with `credential: my-prod` it is AHASEND_API_KEY_MY_PROD.",
    "AHASEND_ACCOUNT_ID": "The account that export reads, and what ${AHASEND_ACCOUNT_ID} in a file stands for.",
    "AHASEND_ENDPOINT": "Another address than https://api.ahasend.com, such as an emulator's.",
    "RECONCILER_SELF_KEY_ID": "The id of the reconciler's own key, which the guardrail guardian protects; "
    "RECONCILER_SELF_KEY_ID_MY_PROD for that credential. A file reconciler_self_key_id of the secrets directory wins.",
    "RECONCILER_HOLD": "Why nothing may be changed at present: every pass only plans.",
    "RECONCILER_TOKEN": "What a request to run for a pass must bear.",
    "RECONCILER_NOTIFY": "The addresses that run notifies, one a line.",
    "RECONCILER_SECRETS_DIR": "A directory of files named ahasend_api_key and so on, as the variables of AhaSend; a "
    "file wins over the environment.",
    "NO_COLOR": "No colours, also on a terminal.",
}
"""What there is beside the variables of options, and what each holds."""
_OURS: Final = ("RECONCILER_", "AHASEND_")
_BEGINNINGS: Final = ("RE", "AH")
_MOST_EDITS: Final = 2
_LONG: Final = len("RECONCILER_HOLD")
"""Of shorter names two edits leave next to nothing."""
_OF_KUBERNETES: Final = re.compile(
    r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes sets for each Service, whatever that is called."""


def misspelt(environment: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give each variable that was probably meant to be a ``known`` one, and that one.

    That is one within two edits, but no known one with something after it, such as a credential's name, and nothing
    that Kubernetes sets.
    """
    from reconciler.core.scopes import edits

    names = sorted(name for name in known if name.startswith(_OURS))
    for name in sorted(environment):
        if any(re.fullmatch(rf"{each}(_?[0-9]*|_.+)", name) for each in names):
            continue
        distance, meant = min((edits(name, each), each) for each in names)
        if distance <= (_MOST_EDITS if len(meant) >= _LONG else 1):
            yield name, meant


def strange(environment: Iterable[str], known: Collection[str]) -> list[str]:
    """Give the variables that look like ours, and are not known."""
    from reconciler.core.scopes import edits

    def looks_ours(name: str) -> bool:
        begins, bar, _ = name.partition("_")
        return bool(bar) and any(edits(f"{begins}_", ours) <= _MOST_EDITS for ours in _OURS)

    others = (name for name in environment if name not in known and not _OF_KUBERNETES.fullmatch(name))
    return [name for name in others if name[:2] in _BEGINNINGS and looks_ours(name)]


def variables_of(parameter: click.Parameter) -> tuple[str, ...]:
    """Give the variables of one option; the first that is set counts."""
    match parameter.envvar:
        case None:
            return ()
        case str() as name:
            return (name,)
        case names:
            return tuple(names)


def variables(command: click.Command) -> Iterator[str]:
    """Give the variables of a command's options, and of those of the commands below it."""
    for each in command.params:
        yield from variables_of(each)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from variables(command.get_command(context, name) or click.Command(name))


def warn(context: click.Context, environment: Mapping[str, str]) -> None:
    """Tell of variables that are misspelt, once, as a line of the log where that is for machines.

    Other commands are only looked at where there is a variable that this command does not know.
    """
    own = {*variables(context.command)}
    if own and (found := strange(environment, own | {*BESIDE_OPTIONS})):
        for name, meant in misspelt(found, {*BESIDE_OPTIONS, *variables(context.find_root().command)}):
            _tell(context, name, meant)


def _tell(context: click.Context, name: str, meant: str) -> None:
    log_format = context.params.get("log_format", "console")
    if log_format == "json" or (log_format is None and not sys.stderr.isatty()):
        from reconciler.core.events import VariableMisspelt
        from reconciler.logs import LogFormat, LogLevel, log_observer

        observe = log_observer(sys.stderr, format=LogFormat.JSON, level=LogLevel.WARNING, secrets=tuple)
        observe(VariableMisspelt(name, meant))
    else:
        click.echo(f"warning: {name} is no variable of the reconciler: did you mean {meant}?", err=True)
