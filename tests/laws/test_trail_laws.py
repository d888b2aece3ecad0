"""Laws of the trail: whatever is done to it shows, the chain goes on at any size, a crash leaves it whole."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.chained import NOON, judged, sealed
from laws.universe import law
from reconciler.daemon.chain import Body, Break, Survey, survey
from reconciler.daemon.segments import TrailFile, read_files, segments

words = st.text(max_size=6) | st.sampled_from(['"hash":"', '"seq":2,', "\\", "}\n{", "😀", "\ud800", "\x7f"])
values = st.none() | words | st.integers(-(2**70), 2**70) | st.lists(words, max_size=3) | st.dictionaries(words, words)
bodies = st.builds(
    lambda event, said: {**said, "event": event, "time": "2026-11-23T12:00:00.000Z", "run_id": "run"},
    st.sampled_from(["decision", "write.started", "write.ended"]),
    st.dictionaries(st.sampled_from(["name", "label", "reason", "fields", "asked_by"]), values),
)
trails = st.lists(bodies, min_size=2, max_size=6).map(lambda made: sealed(*made))


def intact(lines: Sequence[bytes]) -> Survey:
    """What a trail holds that must be whole."""
    found = judged(BytesIO(b"".join(lines)))
    assert isinstance(found, Survey), str(found)
    return found


@settings(law)
@given(trails)
def test_what_was_sealed_is_intact(lines: list[bytes]) -> None:
    """Whatever lines say, the chain of them is whole."""
    assert intact(lines).lines == len(lines)


@settings(law)
@given(trails, st.data())
def test_a_changed_byte_shows(lines: list[bytes], data: st.DataObject) -> None:
    """No byte of a trail can be another one, be left out or be put in."""
    text = b"".join(lines)
    place = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).map(lambda number: bytes([number])))
    for other in (
        text[:place] + byte + text[place + 1 :],
        text[:place] + text[place + 1 :],
        text[:place] + byte + text[place:],
    ):
        assert other == text or isinstance(judged(BytesIO(other)), Break)


@settings(law)
@given(trails, st.data())
def test_lines_cannot_be_moved(lines: list[bytes], data: st.DataObject) -> None:
    """No line but the last can be taken out, none can be doubled, no two can change places."""
    one = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda place: place != one))
    place = data.draw(st.integers(0, len(lines)))
    if one < len(lines) - 1:
        assert isinstance(judged(lines[:one] + lines[one + 1 :]), Break)
    assert isinstance(judged([*lines[:place], lines[one], *lines[place:]]), Break)
    swapped = [*lines]
    swapped[one], swapped[other] = lines[other], lines[one]
    assert isinstance(judged(swapped), Break)


@settings(law)
@given(trails, bodies, st.data())
def test_a_line_cannot_be_made_anew(lines: list[bytes], body: Body, data: st.DataObject) -> None:
    """A line that is sealed anew, at the place of another one, breaks the chain at the next line."""
    place = data.draw(st.integers(0, len(lines) - 2))
    before = intact(lines[:place]).head if place else Survey().head
    (made,) = sealed(body, after=before)
    found = judged([*lines[:place], made, *lines[place + 1 :]])
    assert made == lines[place] or (isinstance(found, Break) and found.place.line == place + 2)


@settings(law)
@given(trails, st.data())
def test_a_cut_tail_shows_by_the_head(lines: list[bytes], data: st.DataObject) -> None:
    """With the head of the whole, no end of a trail can be cut off, at whichever byte."""
    text = b"".join(lines)
    head = intact(lines).head.hash
    found = judged(BytesIO(text[: data.draw(st.integers(0, len(text) - 1))]), head=head)
    assert isinstance(found, Break) or found.after_head is None
    whole = judged(BytesIO(text), head=head)
    assert isinstance(whole, Survey)
    assert whole.after_head == 0


def kept(path: Path) -> Survey:
    found = survey(read_files([*segments(path), path]))
    assert isinstance(found, Survey), str(found)
    return found


@settings(law, max_examples=100)
@given(st.lists(st.lists(bodies, max_size=4), max_size=5), st.integers(0, 3000))
def test_the_chain_goes_on_at_any_size(processes: list[list[Body]], limit: int) -> None:
    """However large a file may get, and however often processes come and go, all files are one chain with all lines."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trail"
        for lines in ([], *processes):
            file = TrailFile(path, limit, lambda: NOON, str)
            for body in lines:
                file.append(body, sync=False)
            file.close()
        assert kept(path).lines == 1 + sum(map(len, processes)) + len(segments(path))


@settings(law, max_examples=100)
@given(st.lists(bodies, min_size=1, max_size=4), st.data())
def test_a_crash_at_any_byte_leaves_it_whole(lines: list[Body], data: st.DataObject) -> None:
    """Wherever a crash cut the file, every whole line stays, and the next process tells of the rest."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trail"
        file = TrailFile(path, 0, lambda: NOON, str)
        for body in lines:
            file.append(body, sync=False)
        file.close()
        text = path.read_bytes()
        left = text[: data.draw(st.integers(0, len(text)))]
        path.write_bytes(left)
        TrailFile(path, 0, lambda: NOON, str).close()
        torn = not left.endswith(b"\n") and bool(left)
        assert kept(path).lines == max(1, left.count(b"\n")) + torn
        assert path.read_bytes().startswith(left[: left.rfind(b"\n") + 1])
