"""Notices that files changed, however they are replaced: written in place, renamed over, or behind links that swap.

What a file looks like decides, and nothing else: notices of the system only say when to look, and where they fail to
come, as on network file systems, looking every few seconds finds it.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from reconciler.errors import SettingsError
from reconciler.files.looks import Looks, look_of, looks_of

SETTLED: Final = 0.2
"""Seconds for which files must look the same before they are read: a file that is being written is not whole."""
LOOKS_AT_MOST: Final = 25
"""After so many looks files that never rest are read all the same; what is half there then does not load."""
_FALLBACK: Final = 10.0
_ALONE: Final = 1.0
_PAUSE: Final = 0.05
_MOST_LINKS: Final = 40
# Reading opens and closes files too: who is told of that would look for ever.
_CHANGES: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A folder in which a change may change what a path means; ``inode``: one that took its place is another."""

    folder: str
    whole: bool
    inode: int


def places_of(paths: tuple[Path, ...]) -> frozenset[Place]:
    """Give the folders to watch: those that paths name, those that hold a link on the way, the nearest of what is gone.

    Source of the ways in which files are replaced: Kubernetes swaps the link ``..data`` beside the files of a
    ConfigMap, git-sync the link to a worktree.
    """
    return frozenset(place for path in paths for place in _places(path))


def _places(path: Path) -> Iterator[Place]:
    try:
        yield from _on_the_way(path)
    except OSError:  # it may not be entered, or goes while it is looked at: looking again finds what is there then
        return


def _on_the_way(path: Path) -> Iterator[Place]:
    left = list(reversed(Path(os.path.abspath(path)).parts))  # noqa: PTH100 # resolve() would follow the links
    here = Path(left.pop())
    links = 0
    while left:
        part = left.pop()
        following = here / part
        if following.is_symlink():
            yield from _place(here)
            links += 1
            if links > _MOST_LINKS:
                return
            target = Path(os.path.normpath(here / following.readlink()))
            left += reversed(target.parts[1:])
            here = Path(target.parts[0])
        elif not following.exists():
            yield from _place(here)
            return
        else:
            here = following
    yield from _place(here.parent)
    if here.is_dir():
        yield from _place(here, whole=True)


def _place(folder: Path, *, whole: bool = False) -> Iterator[Place]:
    with suppress(OSError):
        yield Place(str(folder), whole, folder.stat().st_ino)


class Watch:
    """Watches over the files behind ``paths``, and over a folder of secrets.

    ``known`` is what they looked like when they were loaded last. ``secrets`` gives the folder, None where there is
    none; what it raises counts as how that looks.
    """

    def __init__(self, paths: tuple[Path, ...], secrets: Callable[[], Path | None] = lambda: None) -> None:
        self._paths = paths
        self._secrets = secrets
        self._rested: Looks | None = None
        self.known: Looks | None = None

    async def settled(self) -> Looks:
        """Give what the files look like once they rest; at once where they were seen to rest like that before."""
        looks = await self.looks()
        for _ in range(LOOKS_AT_MOST):
            if looks in (self.known, self._rested):
                break
            await asyncio.sleep(SETTLED)
            before, looks = looks, await self.looks()
            if looks == before:
                break
        self._rested = looks
        return looks

    async def looks(self) -> Looks:
        """Give what the files look like now."""
        return await asyncio.to_thread(self._looks)

    def _looks(self) -> Looks:
        try:
            folder = self._secrets()
            secrets = sorted(folder.iterdir()) if folder else []
        except (OSError, SettingsError) as error:
            return (*looks_of(self._paths), ("secrets", str(error)))
        return (*looks_of(self._paths), *(look_of("secrets", each) for each in secrets))

    def _watched(self) -> tuple[Path, ...]:
        with suppress(SettingsError):
            if folder := self._secrets():
                return (*self._paths, folder)
        return self._paths

    async def run(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the files, at rest again, do not look as they are known; until cancelled."""
        hint = asyncio.Event()
        notices = _Notices(asyncio.get_running_loop(), hint)
        told: Looks | None = None
        try:
            while True:
                hint.clear()
                # In a thread: a large folder has many folders, each of which is to be watched.
                complete = await asyncio.to_thread(lambda: notices.come_from_all_of(self._watched()))
                looks = await self.settled()
                if looks not in (self.known, told) or (looks == self.known and told not in (None, looks)):
                    changed()
                told = None if looks == self.known else looks
                # Not wait_for(): that loses a cancellation which comes together with the hint.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FALLBACK if complete else _ALONE):
                        await hint.wait()
                        await asyncio.sleep(_PAUSE)  # a busy folder must not keep us busy
        finally:
            notices.end()


class _Notices(FileSystemEventHandler):
    """Sets an event when the system notices a change in folders."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hint: asyncio.Event) -> None:
        self._loop = loop
        self._hint = hint
        self._observer: BaseObserver | None = None
        self._places: frozenset[Place] = frozenset()
        self._complete = False

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 # watchdog's signature
        """Take notice, in a thread of watchdog's."""
        with suppress(RuntimeError):  # the loop may have ended
            self._loop.call_soon_threadsafe(self._hint.set)

    def come_from_all_of(self, paths: tuple[Path, ...]) -> bool:
        """Watch what is on the way to paths; False where the system does not notice every change there."""
        places = places_of(paths)
        if places == self._places and self._complete:
            return True
        self._places = places
        self._complete = True
        try:
            observer = self._observer or _started()
        except OSError:  # there are limits to how many may watch
            self._complete = False
            return False
        self._observer = observer
        observer.unschedule_all()
        for place in sorted(places):
            try:
                observer.schedule(self, place.folder, recursive=place.whole, event_filter=_CHANGES)
            except OSError:
                self._complete = False
        return self._complete

    def end(self) -> None:
        """Watch nothing any more."""
        if self._observer is not None:
            self._observer.stop()


def _started() -> BaseObserver:
    observer = Observer()
    observer.start()
    return observer
