"""The manual page is that of these commands, and troff takes it as it is meant."""

import re
import subprocess

import required
from manual import PAGE, escape, manual
from reconciler.cli.group import COMMANDS

DOCS = PAGE.parent.parent
SECTIONS = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "COMMANDS",
    "EXIT STATUS",
    "ENVIRONMENT",
    "FILES",
    "EXAMPLES",
    "SEE ALSO",
]


def test_it_is_current() -> None:
    """The committed page is what the commands say now: if this fails, run `make man` and look at what changed."""
    assert PAGE.read_text(encoding="utf-8") == manual()


def test_it_is_whole() -> None:
    """It has the sections that a manual page has, and each command, option and variable."""
    page = manual()
    assert re.findall(r"^\.SH (.*)$", page, re.MULTILINE) == SECTIONS
    assert all(f".SS reconciler {escape(name)}\n" in page for name in COMMANDS)
    assert "\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFORMAT[=FILE]\\fR" in page
    assert "\n\\fBRECONCILER_TRAIL_HEAD\\fR\n" in page
    assert "\n\\fBAHASEND_API_KEY\\fR\n" in page
    assert "..." in page
    assert "…" not in page


def test_it_names_every_page() -> None:
    """SEE ALSO names each page that lies in docs/ itself, and the index, which names those below."""
    seen = manual().partition(".SH SEE ALSO")[2].replace("\\-", "-")
    assert sorted(re.findall(r"[A-Za-z-]+\.md", seen)) == sorted(page.name for page in DOCS.glob("*.md"))


def test_nothing_is_taken_for_a_request() -> None:
    """A dot that begins a line, a backslash, hyphens and quotes are shown as they are to be copied."""
    assert escape(".x -y 'z' \\n `~^") == "\\&.x \\-y \\(aqz\\(aq \\en \\(ga\\(ti\\(ha"
    assert not [line for line in manual().splitlines() if line.startswith("'")]


def test_mandoc_finds_nothing() -> None:
    """Mandoc's lint has nothing to say but that there is no date."""
    process = subprocess.run(
        [required.tool("mandoc"), "-Tlint", str(PAGE)], capture_output=True, text=True, check=False
    )
    said = [line for line in process.stdout.splitlines() if "missing date" not in line]
    assert said == []


def test_it_reads_well() -> None:
    """Rendered, options stand as they are typed, and no name of a variable is broken in two."""
    command = [required.tool("mandoc"), "-Tascii", "-Owidth=78", str(PAGE)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = re.sub(r".\x08", "", shown)
    assert "       reconciler who-can [OPTIONS] WHAT [DOMAIN]\n" in text
    assert "\n     --detailed-exitcode\n" in text or "\n       --detailed-exitcode\n" in text
    assert not re.search(r"(RECONCILER|AHASEND)_?\w*-\n", text)
