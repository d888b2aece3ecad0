"""The garbage collector while very many values are made."""

import gc

import pytest

from reconciler.collector import collector_paused


def test_collector_paused() -> None:
    """It is off inside, and afterwards as it was before, also after an error."""
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collector_paused():
        _ = 1 / 0
    assert gc.isenabled()
