"""Builds deploy/Dockerfile with no engine, and holds what comes out to what the image claims; ``make test-image``.

The base is made by debootstrap and the build by buildah, twice: both must give the same layers. Then commands of the
image run as an engine would run them (`image_claims`, `contained`), with nothing but what its own configuration and
deploy/compose.yaml say, in a network namespace without a network. It needs root, and the tools below; without them it
says so, as tests do (`required`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

from reconciler import __version__

REPOSITORY: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = ("debootstrap", "buildah", "unshare", "nsenter", "openssl", "git")
EPOCH: Final = 1764201600
"""Any time, as long as it is the same one in both builds."""


class Failed(Exception):
    """Something is not as the image claims."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="a root file system of Debian 12 that is there already")
    base: Path | None = parser.parse_args().base
    missing = _missing(base)
    if missing:
        sys.stdout.write(f"not run: image ({missing})\n")
        return int("image" in os.environ.get("REQUIRE", "").split(","))
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        try:
            built = Build(Path(folder)).make(base)
            proving = [sys.executable, str(Path(__file__).with_name("image_claims.py")), str(built), folder]
            return subprocess.run(["unshare", "--net", *proving], check=False).returncode
        except (Failed, subprocess.CalledProcessError) as error:
            sys.stdout.write(f"FAILED: {error}\n")
            return 1


def _missing(base: Path | None) -> str:
    if os.geteuid() != 0:
        return "as root only"
    lacking = [name for name in TOOLS if shutil.which(name) is None and not (base and name == "debootstrap")]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


class Build:
    """Two builds from one tree, in a storage of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._buildah = ["buildah", "--root", f"{folder}/storage", "--runroot", f"{folder}/state"]
        self._buildah += ["--storage-driver", "overlay"]

    def make(self, base: Path | None) -> Path:
        """Make base and image; gives the image's root file system, with its configuration beside it."""
        began = monotonic()
        if base is None:
            base = self.folder / "debian"
            _run(["debootstrap", "--variant=minbase", "bookworm", str(base)], log=self.folder / "debootstrap.log")
        self._commit_base(base)
        tell(f"a base of Debian 12 ({monotonic() - began:.0f} s)")
        layers = []
        for number in (1, 2):
            began = monotonic()
            self._build(f"image{number}")
            layers.append(self._inspect(f"image{number}")["Docker"]["rootfs"]["diff_ids"])
            tell(
                f"build {number} of deploy/Dockerfile by buildah ({monotonic() - began:.0f} s): {' '.join(layers[-1])}"
            )
        if layers[0] != layers[1]:
            raise Failed("two builds of one tree differ")
        return self._unpack("image1")

    def _commit_base(self, base: Path) -> None:
        container = self._ask("from", "scratch")
        self._ask("add", "--quiet", container, str(base), "/")
        self._ask("commit", "--quiet", container, "localhost/debian-base")
        self._ask("rm", container)

    def _build(self, name: str) -> None:
        """Build with this machine's pip and authorities, as secrets: nothing of them may stay in the image."""
        settings = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
        ).stdout
        pip = self.folder / "pip.conf"
        lines = [line.replace("global.", "", 1).replace("'", "") for line in settings.splitlines()]
        kept = [line for line in lines if line.startswith(("index-url=", "extra-index-url=http", "trusted-host="))]
        pip.write_text("\n".join(["[global]", "cert = /run/secrets/authorities", *kept, ""]), encoding="utf-8")
        authorities = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        arguments = {
            "BASE": "localhost/debian-base",
            "SOURCE_DATE_EPOCH": str(EPOCH),
            "VERSION": __version__,
            "REVISION": "0" * 40,
            "CREATED": datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        command = [*self._buildah, "bud", "--isolation", "chroot", "--format", "docker", "--timestamp", str(EPOCH)]
        command += ["--ignorefile", "deploy/Dockerfile.dockerignore", "-f", "deploy/Dockerfile", "-t", name]
        command += ["--secret", f"id=pip.conf,src={pip}", "--secret", f"id=authorities,src={authorities}"]
        command += [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
        _run([*command, str(REPOSITORY)], log=self.folder / f"{name}.log")

    def _unpack(self, name: str) -> Path:
        container = self._ask("from", name)
        root = self.folder / "root"
        _run(["cp", "-a", "--no-target-directory", self._ask("mount", container), str(root)])
        self._ask("umount", container)
        self._ask("rm", container)
        config = self._inspect(name)["Docker"]["config"]
        root.with_suffix(".json").write_text(json.dumps(config), encoding="utf-8")
        return root

    def _inspect(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self._ask("inspect", "--type", "image", name)))

    def _ask(self, *arguments: str) -> str:
        command = [*self._buildah, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def tell(what: str) -> None:
    sys.stdout.write(f"ok: {what}\n")
    sys.stdout.flush()


def _run(command: list[str], log: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if log is not None:
        log.write_text(done.stdout, encoding="utf-8")
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:6])}: {done.stdout[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
