"""Completion in the real shells: what somebody sees who presses the tabulator."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pexpect
import pytest

import required
from reconciler.cli.completion import SHELLS, script

ROOT: Final = Path(__file__).parent.parent.parent
COMMAND: Final = """#!/bin/sh
if [ -n "$_RECONCILER_COMPLETE" ] || [ "$1" = completion ]; then exec {0} -m reconciler "$@"; fi
printf 'given'; printf '<%s>' "$@"; printf 'end\\n'
"""
"""A command that completes, and otherwise shows what it was given."""
KEYS: Final = """version: 1
keys:
  - name: storefront
    scopes: [domains:read]
  - {name: "analytics", scopes: [domains:read]}
sub_accounts:
  - select: {name: "acme west"}
    keys: [{name: sender, scopes: [domains:read]}]
"""
INTERACTIVE: Final = {"bash": ("--norc", "-i"), "zsh": ("-f", "-i")}


@dataclass(frozen=True)
class Home:
    """A folder with files of a user who has the command on the path."""

    folder: Path
    environment: dict[str, str]

    def told(self, *command: str) -> list[str]:
        """The lines that a shell prints; it prints no errors."""
        process = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=30, cwd=self.folder, env=self.environment
        )
        assert process.stderr == ""
        return process.stdout.splitlines()

    @contextmanager
    def session(self, shell: str, *setup: str) -> Iterator["Session"]:
        """An interactive shell that was set up."""
        program = required.tool(shell)
        with pexpect.spawn(
            program,
            [*INTERACTIVE[shell]],
            dimensions=(50, 200),
            encoding="utf-8",
            timeout=20,
            cwd=str(self.folder),
            env=self.environment,
        ) as spawned:
            spawned.delaybeforesend = None
            spawned.sendline(f"PS1='> '; {'; '.join(setup)}; printf 'set%s\\n' up")
            spawned.expect("setup\r")
            spawned.expect("> ")
            yield Session(spawned)


@dataclass(frozen=True)
class Session:
    """A shell at whose prompt somebody types."""

    shell: "pexpect.spawn[str]"

    def complete(self, line: str) -> list[str]:
        """What the command is given where the tabulator is pressed at the end of the line."""
        self.shell.send(f"{line}\t\r")
        self.shell.expect(r"given(.*?)end\r")
        given = self.shell.match.group(1) if isinstance(self.shell.match, re.Match) else ""
        self.shell.expect("> ")
        return re.findall("<(.*?)>", given)

    def listed(self, line: str, last: str) -> str:
        """What is shown below the line where the tabulator is pressed, up to ``last``; the line is taken away."""
        self.shell.send(f"{line}\t")
        self.shell.expect_exact("\r\n")
        self.shell.expect_exact(last)
        shown = str(self.shell.before)
        self.shell.send("\x15")
        return shown


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    (folder / "bin").mkdir()
    command = folder / "bin/reconciler"
    command.write_text(COMMAND.format(shlex.quote(sys.executable)))
    command.chmod(0o755)
    (folder / "config/keys").mkdir(parents=True)
    (folder / "config/keys/shop.yaml").write_text(KEYS)
    (folder / "my plan.json").touch()
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    there = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")}
    ours = ("RECONCILER_", "AHASEND_")
    return Home(folder, {name: text for name, text in os.environ.items() if not name.startswith(ours)} | there)


@pytest.fixture(scope="module", params=["bash", "zsh"])
def session(home: Home, request: pytest.FixtureRequest) -> Iterator[Session]:
    shell = str(request.param)
    with home.session(shell, f'eval "$(reconciler completion {shell})"') as one:
        yield one


BASH: Final = """
eval "$(reconciler completion bash)"
compopt() { local IFS=' '; echo "compopt $*"; }
offer() {
    COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    _reconciler reconciler
    printf '%s\\n' "${COMPREPLY[@]}"
    echo ---
}
"""
FISH: Final = """
reconciler completion fish | source
function offer
    complete -C $argv[1]
    echo ---
end
"""


def bash(home: Home, *lines: str) -> list[list[str]]:
    """What bash would insert for the word at the end of each line."""
    return _offered(home, "bash", "--norc", "-c", BASH, lines)


def fish(home: Home, *lines: str) -> list[list[str]]:
    """What fish offers for each line, without the meanings."""
    return _offered(home, required.tool("fish"), "--no-config", "-c", FISH, lines)


def _offered(home: Home, shell: str, quiet: str, option: str, program: str, lines: Iterable[str]) -> list[list[str]]:
    asked = "".join(f"\noffer {shlex.quote(line)}" for line in lines)
    offers = "\n".join(home.told(shell, quiet, option, program + asked)).split("---")[:-1]
    return [[word.partition("\t")[0] for word in offer.split("\n") if word] for offer in offers]


WORDS: Final = [
    ("reconciler pl", ["plan"]),
    ("reconciler trail ", ["show", "verify"]),
    ("reconciler plan --detailed-exitcode -o text --des", ["--desired"]),
    ("reconciler apply --allow restore --allow in", ["in-use"]),
    ("reconciler plan --log-format ", ["console", "json"]),
    ("reconciler who-can statistics", ["statistics-transactional:read"]),
    ("reconciler explain ", ["analytics", "sender", "storefront"]),
    ("reconciler trail show --key st", ["storefront"]),
    ("reconciler run --time-zone Europe/Berl", ["Europe/Berlin"]),
    ("reconciler help trail v", ["verify"]),
    ("reconciler nonsense x", []),
    ("reconciler schema -- --", []),
]


@pytest.mark.parametrize("complete", [bash, fish])
def test_words(home: Home, complete: Callable[..., list[list[str]]]) -> None:
    """Commands, options, choices and names are offered, each where it may stand."""
    assert complete(home, *(line for line, _ in WORDS)) == [offered for _, offered in WORDS]


FILES: Final = ["compopt -o default -o filenames"]


def test_bash_leaves_files_to_itself(home: Home) -> None:
    """Bash completes file names on its own, also those after a format; a format may go on with one."""
    assert bash(home, "reconciler plan --policy ", "reconciler plan -o json=", "reconciler plan -o json=x -o sar") == [
        FILES,
        FILES,
        ["sarif", "sarif="],
    ]


LINES: Final = [
    ("reconciler pl", ["plan"]),
    ("reconciler plan --actual my", ["plan", "--actual", "my plan.json"]),
    ("reconciler plan -o json=my", ["plan", "-o", "json=my plan.json"]),
    ("reconciler plan --output=html=my", ["plan", "--output=html=my plan.json"]),
    ("reconciler plan --output=sa", ["plan", "--output=sarif"]),
    ("reconciler plan --log-format=js", ["plan", "--log-format=json"]),
    ("reconciler plan 'x y' --actual 'my", ["plan", "x y", "--actual", "my plan.json"]),
    ("reconciler who-can messages:se", ["who-can", "messages:send"]),
    ("reconciler trail sh", ["trail", "show"]),
    ("reconciler apply --allow max-w", ["apply", "--allow", "max-widened"]),
]


def test_lines(session: Session) -> None:
    """A line is completed as its shell completes every line: names with blanks are quoted, `=` and `:` part nothing."""
    assert [session.complete(line) for line, _ in LINES] == [given for _, given in LINES]


COMPINIT: Final = ("autoload -Uz compinit", "compinit -D")


@pytest.mark.parametrize(
    "setup",
    [
        ['eval "$(reconciler completion zsh)"', *COMPINIT],
        [*COMPINIT, 'eval "$(reconciler completion zsh)"'],
        ["mkdir -p f", "reconciler completion zsh > f/_reconciler", "fpath=($PWD/f $fpath)", *COMPINIT],
    ],
    ids=["before", "after", "a file"],
)
def test_zsh_is_set_up_in_any_order(home: Home, setup: list[str]) -> None:
    """In zsh the line may stand before or after that of compinit, or the script in a folder of fpath."""
    with home.session("zsh", *setup) as session:
        assert session.complete("reconciler plan --det") == ["plan", "--detailed-exitcode"]


def test_files_in_fish(home: Home) -> None:
    """Fish is offered whole words, also where a part of one is an option or a format."""
    lines = ["plan --actual my", "plan -o json=my", "plan --output=html=conf", "plan --output=sa"]
    assert fish(home, *(f"reconciler {line}" for line in lines)) == [
        ["my plan.json"],
        ["json=my plan.json"],
        ["--output=html=config/"],
        ["--output=sarif", "--output=sarif="],
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_all_that_is_printed(home: Home, shell: str) -> None:
    """The command prints the script that the shell reads, and each tells how it is set up."""
    assert home.told("reconciler", "completion", shell) == script(shell).splitlines()
    assert f"reconciler completion {shell}" in script(shell)


def test_nothing_is_left_behind(home: Home) -> None:
    """Completion writes no file and prints no error, also where the files are broken or the line is nonsense."""
    broken = home.folder / "config/keys/broken.yaml"
    broken.write_bytes(b"keys: [\xff{name: x")
    before = sorted(home.folder.rglob("*"))
    lines = ["explain ", "explain --desired /nowhere/at/all ", 'plan --rate x -o "json=']
    offered = bash(home, *(f"reconciler {line}" for line in lines))
    assert offered == [["analytics", "sender", "storefront"], [], FILES]
    assert sorted(home.folder.rglob("*")) == before
    broken.unlink()


@pytest.mark.parametrize("place", ["config.fish", "completions/reconciler.fish"])
def test_fish_offers_nothing_of_its_own_making(home: Home, place: str) -> None:
    """What fish makes of the manual page offers every option to every command: ours takes its place, also later on."""
    program = required.tool("fish")
    made = home.folder / ".local/share/fish/generated_completions/reconciler.fish"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text("complete -c reconciler -l junk -d 'of another command'\n")
    file = home.folder / ".config/fish" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("reconciler completion fish | source\n" if place == "config.fish" else script("fish"))
    asked = "complete -C 'reconciler schema --'; complete -C 'reconciler schema po'; complete -C 'reconciler --j'"
    assert home.told(program, "-c", asked) == ["--help\tShow this message and exit.", "policy"]
    file.unlink()
    assert home.told(program, "-c", "complete -C 'reconciler --j'") == ["--junk\tof another command"]
    made.unlink()


def test_zsh_describes_only_what_has_a_meaning(home: Home) -> None:
    """A value without a meaning stands alone in zsh's list, and one with a meaning beside it."""
    with home.session("zsh", 'eval "$(reconciler completion zsh)"') as session:
        assert "--" not in session.listed("reconciler apply --allow max-", "max-widened")
        assert re.search(r"--detailed-exitcode +-- $", session.listed("reconciler plan --de", "Exit 2 when"))
