"""How commands are laid out for people: what each is for, its options by section, and examples to copy.

In the text of a command each line that begins with ``Example:`` is one; it is shown whole, at the end, where a terminal
stops scrolling.
"""

import inspect
import os
import re
from collections.abc import Iterator
from typing import Any, Final

import click

WIDEST: Final = 100
"""Columns of the widest help; a narrower terminal gets a narrower one."""
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST}
_EXAMPLE: Final = "Example:"
_HYPHEN: Final = "\N{NON-BREAKING HYPHEN}"
_FEW: Final = 7
"""Options that need no sections."""
_SECTIONS: Final = {
    "Files": ("desired", "policy", "actual", "since", "to", "overwrite"),
    "Account": ("account", "credential", "sub_accounts", "shard"),
    "Safety": ("dry_run", "allow", "digest", "check_domains"),
    "Schedule": ("every", "jitter", "cron", "time_zone"),
    "Web server": ("listen", "page", "page_host"),
    "Notifications": ("notify_every", "page_url"),
    "Limits": ("rate", "burst", "account_timeout", "pass_timeout"),
    "Trail": ("trail", "trail_size"),
    "Output": ("output", "detailed_exitcode", "fail_on", "metrics_file", "log_format", "log_level"),
}
_OTHER: Final = "Other options"


def split_help(command: click.Command) -> tuple[str, tuple[str, ...]]:
    """Give what the text of a command says, and the examples in it, each on one line."""
    prose: list[str] = []
    examples: list[str] = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith(_EXAMPLE):
            joined = " ".join(line.strip() for line in paragraph.splitlines())
            examples += (part.strip() for part in joined.split(_EXAMPLE) if part.strip())
        else:
            prose.append(paragraph)
    return "\n\n".join(prose), tuple(examples)


def option_sections(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, list[click.Parameter]]]:
    """Give the options of a command by section, each section with a title."""
    left = [each for each in command.get_params(ctx) if isinstance(each, click.Option) and not each.hidden]
    if len(left) <= _FEW:
        yield "Options", [*left]
        return
    for title, names in _SECTIONS.items():
        found = sorted((each for each in left if each.name in names), key=lambda each: names.index(each.name or ""))
        if found:
            yield title, [*found]
        left = [each for each in left if each not in found]
    yield _OTHER, [*left]


def _unbroken(text: str) -> str:
    """Give a text whose words are not broken at their hyphens: somebody will copy them."""
    return re.sub(r"(?<=\S)-(?=\S)", _HYPHEN, text)


class _Laid(click.Command):
    """The layout that commands and groups share."""

    def get_help(self, ctx: click.Context) -> str:
        """Give the whole help."""
        return super().get_help(ctx).replace(_HYPHEN, "-")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # click's
        """Write what the command is for, but not its examples."""
        prose, _ = split_help(self)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_unbroken(prose))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, by section."""
        for title, options in option_sections(self, ctx):
            records = (each.get_help_record(ctx) for each in options)
            with formatter.section(title):
                formatter.write_dl([(record[0], _unbroken(record[1])) for record in records if record])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, unwrapped, and what follows them."""
        if examples := split_help(self)[1]:
            with formatter.section("Examples" if len(examples) > 1 else "Example"):
                for example in examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class Command(_Laid):
    """A command that does something, and tells of variables of the environment that are misspelt."""

    def invoke(self, ctx: click.Context) -> Any:
        """Do it."""
        from reconciler.cli.variables import warn

        warn(ctx, os.environ)
        return super().invoke(ctx)


class Group(_Laid, click.Group):
    """A command that has others below it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and what there is below."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
