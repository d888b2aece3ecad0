"""The campaign: stories that seeds make up, against an emulator that keeps every state which a key went through."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import campaign

CHUNK = 50
CAMPAIGN = Path(campaign.__file__)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("first", range(1, 201, CHUNK))
def test_the_files_come_to_be_obeyed_whatever_goes_wrong(first: int) -> None:
    """With faults, kills and edits the passes end where they would without, and break no law on the way there."""
    verdicts = campaign.try_seeds(range(first, first + CHUNK))
    broken = [str(verdict) for verdict in verdicts if verdict.breaches]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("seed", [324, 348, 411, 296, 233])
def test_processes_that_are_killed(seed: int) -> None:
    """Processes that are killed in the middle, again and again, leave nothing that the next one does not put right."""
    verdict = campaign.try_sockets(seed)
    assert not verdict.breaches, str(verdict)


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Nothing in a story comes from the clock, from the order of a hash or from the process that it runs in."""
    told = [_told("--seed", "7", PYTHONHASHSEED=str(number)) for number in (0, 1)]
    assert told[0] == told[1]
    assert "every law held" in told[0]


def test_the_command_line_tries_many(capsys: pytest.CaptureFixture[str]) -> None:
    """It says how many seeds it tried, and which of them broke a law."""
    assert campaign.main(["--seeds", "1-3", "--processes", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("3 seeds in ")
    assert "broken: []" in shown


def _told(*arguments: str, **environment: str) -> str:
    command = [sys.executable, str(CAMPAIGN), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=True)
    # The folder of the files has another name each time.
    return "\n".join(line for line in done.stdout.splitlines() if "asked for at" not in line)
