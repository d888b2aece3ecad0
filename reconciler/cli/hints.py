"""What is wrong with a command line that cannot be understood, and what somebody probably meant who typed it."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

import click

from reconciler.cli.habits import ARGUMENTS, COMMANDS, OPTIONS, Answers

_NOT_A_CHOICE: Final = re.compile(r"'(.*)' is not one of ")
_TOO_MANY: Final = "Got unexpected extra argument"
_MOST_EDITS: Final = 2
_LETTERS_AN_EDIT: Final = 2
"""Of a word with fewer letters an edit leaves next to nothing."""
_SHORTEST_BEGINNING: Final = 3
_MOST_GUESSES: Final = 3


def message(error: click.ClickException) -> str:
    """Say what is wrong, on one line and without guesses: those are for `hint`."""
    match error:
        case click.exceptions.NoSuchCommand() | click.exceptions.NoSuchOption():
            return error.message
        case click.exceptions.MissingParameter(param=click.Argument(type=click.Choice(choices=choices))):
            return f"Missing argument: one of {', '.join(map(str, choices))}."
        case _:
            return error.format_message()


def hint(error: click.ClickException) -> str:
    """Say what somebody probably meant, or nothing."""
    match error:
        case click.exceptions.NoSuchCommand(ctx=click.Context(command=click.Group() as group) as context):
            name = error.command_name.lower()
            habit = next((told for habits, told in COMMANDS if name in habits), "")
            return habit or near(name, group.list_commands(context))
        case click.exceptions.NoSuchOption(ctx=click.Context() as context):
            return _option_hint(error.option_name, context)
        case click.BadParameter(param=click.Parameter(type=click.Choice(choices=choices))):
            wrong = _NOT_A_CHOICE.match(error.message)
            found = get_close_matches(wrong[1].lower(), [*map(str, choices)], n=1) if wrong else ()
            return f"did you mean {found[0]!r}?" if found else ""
        case click.UsageError(ctx=click.Context() as context) if error.message.startswith(_TOO_MANY):
            return _answer(ARGUMENTS, context)
        case _:
            return ""


def near(name: str, names: Iterable[str]) -> str:
    """Give ``did you mean ...?`` for those of ``names`` within two edits, best first, else for those that begin so."""
    from reconciler.core.scopes import edits

    known = sorted({*names})
    letters = len(name.lstrip("-"))
    ranked = sorted((edits(name, each), each) for each in known)
    found = [each for distance, each in ranked if distance <= min(_MOST_EDITS, letters // _LETTERS_AN_EDIT)]
    if not found and letters >= _SHORTEST_BEGINNING:
        found = [each for each in known if each.startswith(name)]
    return f"did you mean {' or '.join(map(repr, found[:_MOST_GUESSES]))}?" if found else ""


def _option_hint(option: str, context: click.Context) -> str:
    """Say what is written here for an option of other tools; else which one is near, or which commands have it."""
    habit = next((_answer(answers, context) for habits, answers in OPTIONS if option in habits), "")
    return habit or near(option, _options(context.command, context)) or _elsewhere(option, context)


def _answer(answers: Answers, context: click.Context) -> str:
    """Give the first answer that is about the command at hand, or nothing."""
    name = context.command_path.removeprefix(context.find_root().command_path).strip()
    options = frozenset(_options(context.command, context))
    return next((answer.told for answer in answers if answer.fits(name, options)), "")


def _elsewhere(option: str, context: click.Context) -> str:
    """Name the commands that have the option."""
    root = context.find_root()
    if not isinstance(root.command, click.Group):
        return ""
    commands = ((name, root.command.get_command(root, name)) for name in root.command.list_commands(root))
    found = [name for name, command in commands if command is not None and option in _options(command, root)]
    if not found:
        return ""
    placed = "options stand after the command: " if context is root else ""
    return f"{placed}{option} is an option of {_listed(found)}"


def _options(command: click.Command, context: click.Context) -> list[str]:
    return [name for each in command.get_params(context) if isinstance(each, click.Option) for name in each.opts]


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
