"""What docs/policy.md tells is what the product does: its story is carried out, its tables are complete."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine

from reconciler.cli import main
from reconciler.core.allowable import ALLOWABLE
from reconciler.core.vocabulary import VARIABLES
from reconciler.files.policy import load_policy
from reconciler.files.rule_entries import BUILTINS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(yaml|console)\n(.*?)```", PAGE, re.DOTALL)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@time_machine.travel("2026-11-23T12:00:00Z")
def test_the_story_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file of the story is written and every command run, with no credential: each prints just what is shown."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "config/examples/listing.json", tmp_path)
    ran, code = 0, 0
    for kind, block in BLOCKS:
        named = re.match(r"# (config/\S+)\n", block)
        if kind == "yaml" and named:
            Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(named[1]).write_text(block, encoding="utf-8")
        for command, output in commands(block) if kind == "console" else ():
            if command == "echo $?":
                assert f"{code}\n" == output
                continue
            code = main(shlex.split(command)[1:])
            assert "".join(capsys.readouterr()) == output, command
            ran += 1
    assert ran == 8


@pytest.mark.parametrize(
    "block", [block for kind, block in BLOCKS if kind == "yaml" and not block.startswith("# config/")]
)
def test_the_snippets_load(block: str, tmp_path: Path) -> None:
    """Each snippet that is no whole file is a part of a policy that loads, with the rules that it speaks of."""
    waived = re.findall(r"^  - rule: (\S+)", block, re.MULTILINE)
    rules = "".join(f"  - {{id: {name}, uses: no-wildcard, severity: deny}}\n" for name in waived)
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n" + (f"rules:\n{rules}" if rules else "") + block, encoding="utf-8")
    loaded = load_policy([path])
    assert loaded.policy.rules or loaded.limits.require or loaded.limits.windows


def test_no_variable_is_told_that_there_is_not() -> None:
    """The variables that the page names are some of those that there are; the reference has all of them."""
    told = set(re.findall(r"`((?:key|change)\.[a-z_]+)`", section("Expressions")))
    assert told
    assert told <= {*VARIABLES}


def test_the_built_in_rules_are_counted() -> None:
    """The page says how many there are, and names none that there is not; the reference has all of them."""
    assert f"There are {len(BUILTINS)} of them" in section("Built-in rules")
    assert {*re.findall(r"`([a-z]+(?:-[a-z]+)+)`", section("Built-in rules"))} <= {*BUILTINS}


def test_every_setting_is_told_with_its_guardrail() -> None:
    """The table of settings names guardrails that there are; the others have no setting."""
    told = re.findall(r"^\| `[a-z_]+: .*?` \| `([a-z-]+)` \|", section("Guardrails"), re.MULTILINE)
    without = {"empty-desired", "guardian", "coverage", "unreachable", "freeze"}
    assert sorted(told) == sorted(set(ALLOWABLE) - without)


def test_every_severity_and_bound_is_told() -> None:
    """The bounds of expressions that the page tells are those of the code."""
    from reconciler.core.expressions import MOST_CHARACTERS
    from reconciler.core.scrutiny import MOST_ADDITIONS

    assert f"{MOST_CHARACTERS:,} characters" in PAGE.replace("\n", " ")
    assert MOST_ADDITIONS == 6
    assert "put together more than six times" in PAGE.replace("\n", " ")
