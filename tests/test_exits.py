"""Exit codes: the numbers that scripts build on, and the order in which they apply."""

from reconciler.exits import ExitCode


def test_the_numbers_stay() -> None:
    """Each code has the number that README promises, in the order in which the first that holds is taken."""
    assert [int(code) for code in ExitCode] == [130, 64, 1, 4, 3, 2, 0]


def test_each_says_what_it_means() -> None:
    """Each has a sentence of its own, and is shown as its number."""
    assert all(code.meaning.endswith(".") for code in ExitCode)
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)
    assert f"{ExitCode.HELD_BACK} {ExitCode.USAGE:d}" == "3 64"
