"""Every command that a page shows was run, and printed what the page shows; or the page's source says why not."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import required
from pages.page import DOCS, executed_pages, read_page
from pages.quick import quick
from pages.session import ACCOUNTS, NO_ACCOUNT, agree, play

PAGES = {str(path.relative_to(DOCS)): read_page(path.read_text(encoding="utf-8")) for path in executed_pages()}
RUN = [name for name, page in PAGES.items() if page.is_run]
MADE_UP = """# A page

<!-- account: none -->

```console
$ echo one; false
one
$ echo $?
1
$ grep -q a <<< a
$ cat <<END
> two
> END
two
```

```yaml
# there/it.yaml
a: 1
```

- in a list:

  ```console
  $ tail -n 1 there/it.yaml
  a: 1
  ```

<!-- not run: it would take long -->
```console
$ sleep 1000
```

```sh
sleep 1000
```
"""


@pytest.fixture(scope="module")
def playing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, "Future[str]"]]:
    """Play the pages that were asked for, two at a time: most of a page's time its session waits for a start."""
    asked = {
        item.callspec.params.get("name")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    for tool in ("bash", "curl", "git"):
        required.tool(tool)
    folder = tmp_path_factory.mktemp
    with quick(folder("quick")) as commands, ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(play, PAGES[name], folder("page"), commands) for name in RUN if name in asked}


@pytest.mark.parametrize("name", RUN)
def test_its_commands_print_what_it_shows(name: str, playing: dict[str, "Future[str]"]) -> None:
    """Each command of a page prints what the page shows, in one session, in an empty folder."""
    wrong = playing[name].result()
    assert not wrong, wrong


def test_there_are_pages_that_run() -> None:
    """The tutorial is run, and so is most of what the how-to pages show."""
    assert RUN[0] == "tutorial.md"
    assert len(RUN) > 5


@pytest.mark.parametrize("name", PAGES)
def test_no_block_is_overlooked(name: str) -> None:
    """Each block of commands is run, or says why not."""
    blocks = [block for block in PAGES[name].blocks if block.holds_commands]
    assert [block.line for block in blocks if not block.is_run and block.not_run is None] == []
    assert all(list(block.commands) for block in blocks if block.is_run)


def test_no_account_is_left_over() -> None:
    """Each account that waits for a page has one."""
    assert {page.account for page in PAGES.values()} - {None, NO_ACCOUNT} == {
        path.stem for path in ACCOUNTS.glob("*.yaml")
    }


def test_a_made_up_page() -> None:
    """Commands go on over lines, files are found, also in lists, and only what is marked is not run."""
    blocks = read_page(MADE_UP).blocks
    assert [block.not_run for block in blocks] == [None, None, None, "it would take long", None]
    assert [block.is_run for block in blocks] == [True, False, True, False, False]
    assert [block.holds_commands for block in blocks] == [True, False, True, True, True]
    assert [block.file for block in blocks] == [None, "there/it.yaml", None, None, None]
    assert [command.text for command in blocks[0].commands] == [
        "echo one; false\n",
        "echo $?\n",
        "grep -q a <<< a\n",
        "cat <<END\ntwo\nEND\n",
    ]
    assert [command.line for command in blocks[0].commands] == [6, 8, 10, 11]


def test_a_page_without_an_account_is_not_run() -> None:
    """Where no comment asks for it, no command of a page is run, whoever wrote it."""
    page = read_page(MADE_UP.replace("<!-- account: none -->", ""))
    assert not page.is_run
    assert not any(block.is_run for block in page.blocks)
    assert page.blocks[0].not_run is None


def test_a_page_may_say_it_of_all() -> None:
    """One comment says of all blocks of a page why they are not run; it cannot stand where something is."""
    nothing = "<!-- nothing here is run: it needs a cluster -->"
    page = read_page(MADE_UP.replace("<!-- account: none -->", nothing))
    assert {block.not_run for block in page.blocks} == {"it needs a cluster", "it would take long"}
    with pytest.raises(AssertionError, match="a page is run, or it is not"):
        read_page(MADE_UP + nothing)


def test_a_true_page_is_played(tmp_path: Path) -> None:
    """A page whose commands print what it shows has nothing wrong."""
    assert play(read_page(MADE_UP), tmp_path) == ""


def test_a_silent_failure_is_told(tmp_path: Path) -> None:
    """A command that fails and prints nothing is told, though the page shows nothing either."""
    wrong = play(read_page(MADE_UP.replace("<<< a", "<<< b")), tmp_path)
    assert wrong == "line 10: $ grep -q a <<< b\n--- it prints nothing, and ends with 1"


def test_a_wrong_page_is_told(tmp_path: Path) -> None:
    """A page that shows something else is told, with the line of the command, what it shows and what came."""
    wrong = play(read_page(MADE_UP.replace("\n1\n", "\n0\n")), tmp_path)
    assert wrong == "line 8: $ echo $?\n--- the page shows\n0\n--- what came\n1\n"


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        ("", "", True),
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("", "warning\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("a\n...\nc\n", "a\nb\n", False),
        ("a...\n", "ab\n", False),
        ("at 2026-11-27 07:13 UTC\n", "at 2027-01-01 00:00 UTC\n", True),
        ("sha256:00\n", "sha256:01\n", False),
        ("commit 46f474758966\n", "commit aaaaaaaaaaaa\n", True),
    ],
)
def test_what_agrees(*, shown: str, came: str, same: bool) -> None:
    """A page agrees with what came to the letter, but for times and commits; ``...`` is any number of whole lines."""
    assert agree(shown, came) is same
