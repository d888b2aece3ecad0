"""Writes the manual page reconciler(1) from the commands themselves; ``make man``.

One page for all of them, with exit codes, files and the variables beside the options, and the same on every day: that
is why it is made here, and by no general tool.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import Final

import click

from command_tree import walk
from reconciler.cli.command import split_help
from reconciler.cli.variables import BESIDE_OPTIONS, variables_of
from reconciler.exits import ExitCode

_DESCRIPTION: Final = """\
reconciler compares YAML files, which say which AhaSend API keys exist, what each may do and from where, with an
account,
lets guardrails and a policy judge the difference, and closes it with the fewest, safest writes: once (apply), for ever
(run) or not at all (plan and audit hold nothing that could write). No command ever asks a question.

Results go to stdout or to files, logs to stderr. On a terminal a line tells how far a command has come.
"""
EXIT_CODES: Final = tuple((str(int(code)), code.meaning) for code in sorted(ExitCode))
_FILES: Final = (
    ("config/keys", "The desired state: a file, or a folder that is read whole."),
    ("config/policy.yaml", "The policy; it may be absent."),
    ("$RECONCILER_SECRETS_DIR/ahasend_api_key", "A credential; it wins over the environment, and is read anew."),
    ("~/.bashrc, ~/.zshrc, ~/.config/fish/config.fish", "Where the line stands that sets completion up."),
)
_EXAMPLES: Final = (
    ("Take over an account, and see that nothing differs:", "reconciler export && reconciler plan"),
    ("Apply exactly the plan that was reviewed:", "reconciler apply --digest sha256:..."),
    ("What would this pull request do, with no credential?", "reconciler plan --actual listing.json -o markdown"),
    ("Who can send for the shop?", "reconciler who-can messages:send shop.example.com"),
    ("A page for the security officer:", "reconciler audit -o html=audit.html"),
    ("Left to itself:", "reconciler run --every 5m --trail trail.jsonl"),
)
_SEE_ALSO: Final = (
    "docs/README.md beside the source, which lists every page: tutorial.md, command-line.md, policy.md, reports.md, "
    "running.md, status-page.md, notifications.md, trail.md, http.md, metrics.md, logs.md, emulator.md."
)
_WIDEST: Final = 70
"""Characters of a line before it is escaped."""
_ESCAPES: Final = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "…": "..."}


PAGE: Final = Path(__file__).parent.parent / "docs/man/reconciler.1"


def manual() -> str:
    """Give the page, in the language of man(7); it holds no date, so that it changes with the commands alone."""
    return "\n".join((*_head(), *_commands(), *_tail())) + "\n"


def escape(text: str) -> str:
    """Escape what troff would obey, or show as another letter than the one that is to be copied."""
    for plain, escaped in _ESCAPES.items():
        text = text.replace(plain, escaped)
    return f"\\&{text}" if text.startswith(".") else text


def _prose(text: str) -> str:
    """Give a text to be filled, in lines that no tool finds too long."""
    lines = wrap(" ".join(text.replace("`", "").split()), _WIDEST, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(escape, lines))


def _head() -> Iterator[str]:
    yield '.\\" Written by `make man` from the commands: change those.'
    yield '.TH RECONCILER 1 "" "AhaSend key reconciler" "User Commands"'
    yield ".nh"
    yield ".SH NAME"
    yield "reconciler \\- keep AhaSend API keys exactly as files say"
    yield ".SH SYNOPSIS"
    yield "\n.br\n".join(_usages())
    yield ".SH DESCRIPTION"
    yield from _paragraphs(_DESCRIPTION.split("\n\n"))


def _usages() -> Iterator[str]:
    for name, command, context in walk():
        if not isinstance(command, click.Group):
            pieces = (f" \\fI{escape(piece)}\\fR" for piece in command.collect_usage_pieces(context))
            yield f"\\fBreconciler {escape(name)}\\fR{''.join(pieces)}"


def _paragraphs(paragraphs: Iterable[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *map(escape, paragraph.splitlines()[1:]), ".fi")
        else:
            yield _prose(paragraph)


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    yield "Each takes \\fB\\-h\\fR and \\fB\\-\\-help\\fR."
    for name, command, context in walk():
        prose, examples = split_help(command)
        yield f".SS reconciler {escape(name)}"
        yield from _paragraphs(prose.split("\n\n"))
        for each in command.get_params(context):
            if isinstance(each, click.Option) and "--help" not in each.opts:
                yield from _option(each, context)
        yield from _shown(examples)


def _option(option: click.Option, context: click.Context) -> Iterator[str]:
    record = option.get_help_record(context)
    if record is None:
        return
    flags, meaning = record
    written = ", ".join(f"\\fB{escape(flag)}\\fR{_value(value)}" for flag, value in map(_parted, flags.split(", ")))
    yield ".TP"
    yield written
    names = variables_of(option)
    variable = f"  Environment: {', else '.join(names)}." if names else ""
    yield _prose(f"{meaning}{variable}")


def _parted(name: str) -> tuple[str, str]:
    flag, _, value = name.partition(" ")
    return flag, value


def _value(value: str) -> str:
    return f" \\fI{escape(value)}\\fR" if value else ""


def _shown(examples: Iterable[str]) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".nf", *map(escape, examples), ".fi", ".RE")


def _tail() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield "The first that applies, from 64 over 1, 4, 3 and 2 to 0."
    yield from _terms(EXIT_CODES)
    yield ".SH ENVIRONMENT"
    yield _prose(
        "What an option says on the command line wins over its variable. Those that may be given several times take "
        "values parted by commas."
    )
    yield from _terms(_variables())
    yield ".SH FILES"
    yield from _terms(_FILES)
    yield ".SH EXAMPLES"
    for what, command in _EXAMPLES:
        yield from (".TP 4", _prose(what), ".nf", escape(command), ".fi")
    yield ".SH SEE ALSO"
    yield _prose(_SEE_ALSO)


def _terms(terms: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in terms:
        yield from (".TP", f"\\fB{escape(term)}\\fR", _prose(meaning))


def _variables() -> Iterator[tuple[str, str]]:
    """Give each variable: those beside the options, then those of options with the commands that have them."""
    yield from BESIDE_OPTIONS.items()
    found: dict[str, dict[str, list[str]]] = {}
    for name, command, _ in walk():
        for each in command.params:
            for variable in variables_of(each):
                found.setdefault(variable, {}).setdefault(each.opts[-1], []).append(name)
    for variable, options in sorted(found.items()):
        yield variable, "; ".join(f"{option} of {', '.join(names)}" for option, names in options.items()) + "."


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(manual(), encoding="utf-8")
