"""deploy/Dockerfile and what it may see of the repository, as values."""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DOCKERFILE: Final = REPOSITORY / "deploy/Dockerfile"
IGNORED: Final = REPOSITORY / "deploy/Dockerfile.dockerignore"


@dataclass(frozen=True)
class Instruction:
    name: str
    told: str
    stage: int
    """0 before the first FROM."""

    @property
    def words(self) -> list[str]:
        """The arguments, without options."""
        return [word for word in self.told.split() if not word.startswith("--")]

    @property
    def executed(self) -> list[str]:
        """The words of the form that needs no shell; ValueError if it is the other one."""
        return list(json.loads(self.told[self.told.index("[") :]))


def instructions() -> list[Instruction]:
    """Give every instruction, its lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[Instruction] = []
    stage = 0
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        name, _, told = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, told.strip(), stage))
    return found


def seen(path: str) -> bool:
    """Whether the build sees a file: the last pattern that is its, or a folder's above it, decides."""
    patterns = IGNORED.read_text(encoding="utf-8").splitlines()
    ignored = False
    for pattern in (line for line in patterns if line and not line.startswith("#")):
        if _covers(pattern.removeprefix("!").split("/"), path.split("/")):
            ignored = not pattern.startswith("!")
    return not ignored


def _covers(pattern: list[str], path: list[str]) -> bool:
    """Whether the pattern means the path or a folder above it; ** stands for any folders, also for none."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_covers(pattern[1:], path[skipped:]) for skipped in range(len(path)))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _covers(pattern[1:], path[1:])
