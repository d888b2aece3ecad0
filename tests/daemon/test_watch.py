"""Files that change are noticed, however they are replaced."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from watchdog.observers import Observer

from reconciler.daemon import watch
from reconciler.daemon.watch import Place, Watch, places_of
from reconciler.errors import SettingsError
from reconciler.files.looks import Looks, looks_of

SOON = 5.0


@asynccontextmanager
async def watched(*paths: Path) -> AsyncIterator[Callable[[], "asyncio.Future[None]"]]:
    """Watch, and give what waits until a change was told; with a notice it comes long before the next look."""
    told = asyncio.Event()
    over = Watch(paths)
    over.known = await over.looks()

    def changed() -> None:
        told.set()

    async def noticed() -> None:
        async with asyncio.timeout(SOON):
            await told.wait()
        told.clear()
        over.known = await over.looks()

    running = asyncio.create_task(over.run(changed))
    await asyncio.sleep(0.1)
    try:
        yield noticed  # type: ignore[misc]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files, below another one."""
    keys = tmp_path / "config" / "keys"
    keys.mkdir(parents=True)
    (keys / "shop.yaml").write_text("version: 1\n")
    return keys


def rewritten(folder: Path) -> None:
    (folder / "shop.yaml").write_text("version: 1 # other\n")


def renamed_over(folder: Path) -> None:
    (folder / ".new").write_text("version: 1 # other\n")
    (folder / ".new").replace(folder / "shop.yaml")


def added(folder: Path) -> None:
    (folder / "more.yaml").write_text("version: 1\n")


def removed(folder: Path) -> None:
    (folder / "shop.yaml").unlink()


def added_below(folder: Path) -> None:
    (folder / "team").mkdir()
    (folder / "team" / "more.yaml").write_text("version: 1\n")


def replaced_whole(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("next"))
    (folder.with_name("next") / "shop.yaml").write_text("version: 1 # other\n")
    folder.rename(folder.with_name("last"))
    folder.with_name("next").rename(folder)


def taken_away(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change",
    [rewritten, renamed_over, added, removed, added_below, replaced_whole, taken_away],
    ids=lambda f: f.__name__,
)
async def test_changes_are_noticed_at_once(folder: Path, change: Callable[[Path], None]) -> None:
    """Whatever is done to a folder's files is told within moments, long before the next look."""
    async with watched(folder) as noticed:
        change(folder)
        await noticed()


async def test_a_folder_that_returns_is_watched_again(folder: Path) -> None:
    """A folder that was taken away, and one that replaced another, is watched when it is there."""
    async with watched(folder) as noticed:
        taken_away(folder)
        await noticed()
        folder.mkdir()
        added(folder)
        await noticed()
        replaced_whole_from(folder)
        await noticed()
        rewritten(folder)
        await noticed()


def replaced_whole_from(folder: Path) -> None:
    folder.with_name("next").mkdir()
    (folder.with_name("next") / "shop.yaml").write_text("version: 1\n")
    folder.rename(folder.with_name("last"))
    folder.with_name("next").rename(folder)


async def test_a_config_map(tmp_path: Path) -> None:
    """Kubernetes swaps the link ..data, and removes what it led to: each swap is told, for a file and for a folder."""
    mount = tmp_path / "mount"
    mount.mkdir()

    def project(version: str) -> None:
        data = mount / f"..{version}"
        data.mkdir()
        (data / "keys.yaml").write_text(f"version: 1 # {version}\n")
        (mount / "..data_tmp").symlink_to(data.name)
        (mount / "..data_tmp").rename(mount / "..data")

    project("one")
    (mount / "keys.yaml").symlink_to("..data/keys.yaml")
    for path in (mount, mount / "keys.yaml"):
        async with watched(path) as noticed:
            for number in range(3):
                before = (mount / "..data").readlink()
                project(f"{path.name}-{number}")
                shutil.rmtree(mount / before)
                await noticed()


async def test_git_sync(tmp_path: Path) -> None:
    """git-sync swaps a link to a worktree, further up the path, and removes the old one: each swap is told."""
    root = tmp_path / "git"
    worktrees = root / ".worktrees"

    def sync(commit: str) -> None:
        keys = worktrees / commit / "config" / "keys"
        keys.mkdir(parents=True)
        (keys / "shop.yaml").write_text(f"version: 1 # {commit}\n")
        (root / "next").symlink_to(worktrees / commit)
        (root / "next").rename(root / "current")

    sync("aaaa")
    async with watched(root / "current" / "config" / "keys") as noticed:
        for before, commit in (("aaaa", "bbbb"), ("bbbb", "cccc")):
            sync(commit)
            shutil.rmtree(worktrees / before)
            await noticed()


async def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    """A path that leads nowhere is watched for from the nearest folder that is there."""
    path = tmp_path / "a" / "b" / "policy.yaml"
    async with watched(path) as noticed:
        path.parent.mkdir(parents=True)
        path.write_text("version: 1\n")
        await noticed()


async def test_without_notices_it_looks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no notices, as when too many watch already, looking finds a change a little later."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(24, "inotify instance limit reached")

    for name in ("start", "schedule"):
        with monkeypatch.context() as patched:
            patched.setattr(Observer, name, refuse)
            patched.setattr(watch, "_ALONE", 0.05)
            async with watched(folder) as noticed:
                rewritten(folder)
                await noticed()
                added(folder)
                await noticed()
                shutil.rmtree(folder)
                folder.mkdir()
                (folder / "shop.yaml").write_text("version: 1\n")
                await noticed()


async def test_reading_is_no_change(folder: Path) -> None:
    """Files that are read, over and over, are not looked at for that: else reading them would never end."""
    looked: list[tuple[Path, ...]] = []

    def look(paths: tuple[Path, ...]) -> Looks:
        looked.append(paths)
        return looks_of(paths)

    async with watched(folder):
        await asyncio.sleep(0.3)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(watch, "looks_of", look)
            for _ in range(20):
                (folder / "shop.yaml").read_text()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
    assert looked == []


async def test_a_file_that_is_being_written(folder: Path) -> None:
    """A file that grows is told when it rests, once, and never half."""
    sizes: list[int] = []
    over = Watch((folder,))
    over.known = await over.looks()
    path = folder / "shop.yaml"

    def changed() -> None:
        sizes.append(path.stat().st_size)
        over.known = looks_of((folder,))

    running = asyncio.create_task(over.run(changed))
    await asyncio.sleep(0.1)
    with path.open("a") as file:
        for _ in range(20):
            file.write("# and so on\n")
            file.flush()
            await asyncio.sleep(0.05)
    whole = path.stat().st_size
    await asyncio.sleep(0.6)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sizes == [whole]


def test_looks_tell_of_everything(folder: Path, tmp_path: Path) -> None:
    """Content, time, owner of the name, links out, what cannot be looked at: all of it is part of how files look."""
    seen = {looks_of((folder,))}
    rewritten(folder)
    seen.add(looks_of((folder,)))
    os.utime(folder / "shop.yaml", (1, 1))
    seen.add(looks_of((folder,)))
    (folder / "out.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    seen.add(looks_of((folder,)))
    (folder / "loop.yaml").symlink_to("loop.yaml")
    seen.add(looks_of((folder,)))
    shutil.rmtree(folder)
    seen.add(looks_of((folder,)))
    seen.add(looks_of(()))
    assert len(seen) == 7


def test_places_on_the_way(tmp_path: Path) -> None:
    """Watched are the folder, the one that holds it, and each that holds a link on the way; links in a circle end."""
    real = tmp_path / "real" / "keys"
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "circle").symlink_to("circle")

    def named(path: Path) -> set[tuple[str, bool]]:
        return {(str(Path(place.folder).relative_to(tmp_path)), place.whole) for place in places_of((path,))}

    assert named(tmp_path / "link" / "keys") == {(".", False), ("real", False), ("real/keys", True)}
    assert named(tmp_path / "real" / "gone" / "keys") == {("real", False)}
    assert named(tmp_path / "circle" / "keys") == {(".", False)}
    assert places_of((tmp_path,)) >= {Place(str(tmp_path), True, tmp_path.stat().st_ino)}


async def test_files_that_never_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that look different each time are waited for, and then taken as they are: no pass waits for ever."""
    monkeypatch.setattr(watch, "SETTLED", 0.001)
    looked: list[int] = []

    class Restless(Watch):
        async def looks(self) -> Looks:
            looked.append(1)
            return ((len(looked),),)

    assert await Restless((folder,)).settled() == ((watch.LOOKS_AT_MOST + 1,),)


def test_what_goes_while_it_is_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that is gone before it is read, or a folder that may not be entered, is looked at again, and no error."""
    (folder.parent / "current").symlink_to(folder)

    def gone(self: Path) -> Path:
        raise FileNotFoundError(str(self))

    monkeypatch.setattr(Path, "readlink", gone)
    assert {place.folder for place in places_of((folder.parent / "current",))} == {str(folder.parent)}


async def test_secrets_are_watched_too(folder: Path, tmp_path: Path) -> None:
    """A secret that changes looks different, and is noticed at once: nobody has to wait for a new credential."""
    secrets = tmp_path / "secrets"
    there: list[Path | None] = [None]

    def where() -> Path | None:
        if there[0] and not there[0].is_dir():
            raise SettingsError("no folder")
        return there[0]

    over = Watch((folder,), where)
    seen = {await over.looks()}
    there[0] = secrets
    seen.add(await over.looks())
    secrets.mkdir()
    seen.add(await over.looks())
    (secrets / "ahasend_api_key").write_text("one")
    seen.add(await over.looks())
    assert len(seen) == 3  # an empty folder holds as little as none
    over.known = await over.looks()
    told = asyncio.Event()
    running = asyncio.create_task(over.run(told.set))
    await asyncio.sleep(0.1)
    (secrets / "next").write_text("another")
    (secrets / "next").rename(secrets / "ahasend_api_key")
    async with asyncio.timeout(SOON):
        await told.wait()
    over.known = await over.looks()
    told.clear()
    shutil.rmtree(secrets)
    async with asyncio.timeout(SOON):
        await told.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_notice_and_the_end_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice that comes together with the end does not keep the watch alive: else nobody could end the daemon."""
    hints: list[asyncio.Event] = []

    class Notices:
        def __init__(self, _loop: asyncio.AbstractEventLoop, hint: asyncio.Event) -> None:
            hints.append(hint)

        def come_from_all_of(self, _paths: tuple[Path, ...]) -> bool:
            return True

        def end(self) -> None:
            hints.clear()

    monkeypatch.setattr(watch, "_Notices", Notices)
    over = Watch((folder,))
    over.known = await over.looks()
    running = asyncio.create_task(over.run(lambda: None))
    await asyncio.sleep(0.2)
    hints[0].set()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running}, timeout=1)
    assert running.cancelled()


async def test_back_and_forth_between_the_same_two_states(tmp_path: Path) -> None:
    """Trees that are kept, and swapped to and fro, are told each time: what was told once is not known for ever."""
    trees = [tmp_path / name for name in "ab"]
    for tree in trees:
        tree.mkdir()
        (tree / "shop.yaml").write_text(f"version: 1 # {tree.name}\n")
    link = tmp_path / "keys"
    link.symlink_to(trees[0])
    told = asyncio.Event()
    over = Watch((link,))
    over.known = await over.looks()
    running = asyncio.create_task(over.run(told.set))
    await asyncio.sleep(0.1)
    for tree in (trees[1], trees[0], trees[1]):
        (tmp_path / "next").symlink_to(tree)
        (tmp_path / "next").rename(link)
        async with asyncio.timeout(SOON):
            await told.wait()
        told.clear()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
