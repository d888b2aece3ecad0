"""A campaign of made-up stories: an account, files, faults, and passes until the files are obeyed.

``python tests/campaign.py --seeds 1-5000`` tries many; ``--seed 17`` tells one. Each scene is run in this process on a
virtual clock, twice: with all that goes wrong in it, and without. Both runs must end the same. With ``--sockets`` it is
run by processes of their own, which are killed.
"""

import argparse
import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from campaigning.hazards import LEAST_TROUBLED, Hazards
from campaigning.oracle import Access
from campaigning.scene import Scene, accesses, make_scene
from campaigning.sockets import Killed
from campaigning.story import Story
from campaigning.verdict import unexcused
from virtual_time import run_virtual

MOST_QUIET = 2
"""Passes without faults after which they are, whatever went wrong before."""
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended; ``reached`` tells whether the files were obeyed while things still went wrong."""

    state: Mapping[str, Access]
    held_back: frozenset[str]
    breaches: tuple[str, ...]
    lines: tuple[str, ...]
    passes: int = 0
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a seed; without ``breaches`` all laws held. ``digest`` is over everything that happened."""

    seed: int
    breaches: tuple[str, ...]
    lines: tuple[str, ...]
    digest: str
    passes: int
    reached: bool
    options: str = ""

    def __str__(self) -> str:
        told = "\n".join(f"  {breach}" for breach in self.breaches)
        return f"python tests/campaign.py --seed {self.seed}{self.options}\n{told}"


def try_seed(seed: int) -> Verdict:
    """Run the scene of a seed with and without what goes wrong in it, and compare."""
    scene = make_scene(seed)
    with TemporaryDirectory() as name, _same_chance(seed):
        folder = Path(name)
        scene.write(folder)
        twin = run_virtual(undisturbed(scene, folder))
        ending = run_virtual(_troubled(scene, folder, twin))
    lines = (f"seed {seed}: {scene.hazards}", *ending.lines)
    breaches = (*(f"without faults: {breach}" for breach in twin.breaches), *ending.breaches)
    digest = hashlib.sha256("\n".join((*lines, *breaches)).replace(name, "").encode()).hexdigest()[:12]
    return Verdict(seed, breaches, lines, digest, ending.passes, ending.reached)


async def undisturbed(scene: Scene, folder: Path) -> Ending:
    """Run a scene in which nothing goes wrong: one pass does all that can be done."""
    story = Story(scene, folder, Hazards())
    await story.make_pass()
    wrong = unexcused(scene.wishes, accesses(scene.document), story.state(), story.outcomes)
    return Ending(story.state(), frozenset(story.missed()), (*story.breaches, *wrong), tuple(story.lines))


async def _troubled(scene: Scene, folder: Path, twin: Ending) -> Ending:
    """Run a scene with all that goes wrong in it, until it stands as its twin does, and then some more."""
    story = Story(scene, folder, scene.hazards, twin.held_back)
    reached = False
    while story.passes < scene.hazards.passes and not (reached and story.passes >= LEAST_TROUBLED):
        await story.make_pass(story.trouble())
        await story.rest()
        reached = not story.missed(twin.held_back)
    troubled = story.passes
    story.calm()
    await story.arrive()
    for _ in range(MOST_QUIET):
        await story.make_pass()
        await story.arrive()
        if not story.missed(twin.held_back):
            break
    else:
        story.breaches.append(f"after {story.passes} passes {story.missed(twin.held_back)} are not as the files want")
    different = sorted(key_id for key_id, access in story.state().items() if access != twin.state[key_id])
    if different:
        story.breaches.append(f"{different} are not as without faults")
    await _nothing_left(story, scene)
    return Ending(story.state(), frozenset(), tuple(story.breaches), tuple(story.lines), troubled, reached)


async def _nothing_left(story: Story, scene: Scene) -> None:
    """Make one more pass, which has nothing to write but what the account does not take."""
    await story.make_pass()
    refused = {wish.key_id for wish in scene.wishes if wish.why_not == "foreign"}
    if story.written - refused:
        story.breaches.append(f"a pass with nothing to do wrote to {sorted(map(str, story.written - refused))}")


@contextmanager
def _same_chance(seed: int) -> Iterator[None]:
    """Let chance that is not ours, such as that of waits between attempts, be the same each time."""
    kept = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept)


def try_sockets(seed: int) -> Verdict:
    """Run the scene of a seed by processes that are killed, and compare with a run in which nothing goes wrong."""
    scene = make_scene(seed)
    with TemporaryDirectory() as name, _same_chance(seed):
        folder = Path(name, "files")
        folder.mkdir()
        scene.write(folder)
        twin = run_virtual(undisturbed(scene, folder))
        killed = Killed(scene, folder)
        killed.run(twin.held_back, twin.state)
    return Verdict(
        seed, tuple(killed.breaches), tuple(killed.lines), "", killed.runs, reached=True, options=" --sockets"
    )


def try_seeds(seeds: Sequence[int], processes: int = 1) -> Iterable[Verdict]:
    """Try many seeds, in their order."""
    if processes == 1:
        yield from map(try_seed, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(try_seed, seeds, chunksize=10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exit 1 where a law was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="tell the story of one seed")
    which.add_argument("--seeds", metavar="FIRST-LAST", help="try all of them, and tell which broke a law")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="%(default)s by default")
    parser.add_argument("--sockets", action="store_true", help="with processes that are killed; with --seed")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        verdict = (try_sockets if chosen.sockets else try_seed)(chosen.seed)
        _tell("\n".join((*verdict.lines, f"digest {verdict.digest}")))
        _tell(f"BROKEN\n{verdict}" if verdict.breaches else "every law held")
        return bool(verdict.breaches)
    first, _, last = chosen.seeds.partition("-")
    return _try_all(range(int(first), int(last or first) + 1), chosen.processes)


def _try_all(seeds: range, processes: int) -> int:
    began = time.monotonic()
    passes: Counter[int] = Counter()
    broken = []
    late = 0
    digest = hashlib.sha256()
    for verdict in try_seeds(seeds, processes):
        digest.update(verdict.digest.encode())
        passes[verdict.passes] += 1
        late += not verdict.reached
        if verdict.breaches:
            broken.append(verdict.seed)
            _tell(str(verdict))
    _tell(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s, digest {digest.hexdigest()[:12]}, broken: {broken}")
    _tell(f"seeds by troubled passes: {dict(sorted(passes.items()))}; {late} not obeyed before the faults ended")
    return bool(broken)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
