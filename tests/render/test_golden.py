"""Two rich reports in every format, whole: what is in the files is what users see."""

import pytest

from golden import FOLDER, FORMATS
from render.rich import BOTH


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("ending", FORMATS)
def test_it_is_rendered_as_it_was(name: str, ending: str) -> None:
    """Each rendering is what was looked at and committed, to the letter; ``make golden`` writes the files anew."""
    expected = (FOLDER / f"{name}.{ending}").read_text(encoding="utf-8")
    assert FORMATS[ending](BOTH[name]) == expected


def test_every_file_is_of_some_format() -> None:
    """No file lies there that nothing holds."""
    names = {f"{name}.{ending}" for name in BOTH for ending in FORMATS}
    assert {path.name for path in FOLDER.iterdir()} == names
