"""What deploy/compose.yaml says of each service, as values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parent.parent
COMPOSE: Final = REPOSITORY / "deploy/compose.yaml"


@dataclass(frozen=True)
class Service:
    command: tuple[str, ...]
    environment: dict[str, str]
    mounts: dict[str, Path]
    """Files and folders of the repository, by where the container sees them; all of them read-only."""
    writable: tuple[str, ...]
    healthcheck: tuple[str, ...]
    """The command of the service's own; empty: the image's counts."""


def composed() -> dict[str, Any]:
    """Give the whole file; YAML merges what its services share."""
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def service(name: str) -> Service:
    told = composed()["services"][name]
    mounts = {volume["target"]: volume for volume in told.get("volumes", [])}
    assert all(volume["type"] == "bind" and volume["read_only"] for volume in mounts.values())
    return Service(
        command=tuple(told["command"]),
        environment=dict(told.get("environment", {})),
        mounts={target: (COMPOSE.parent / volume["source"]).resolve() for target, volume in mounts.items()},
        writable=tuple(entry.split(":")[0] for entry in told.get("tmpfs", [])),
        healthcheck=tuple(told.get("healthcheck", {}).get("test", ["CMD"])[1:]),
    )
