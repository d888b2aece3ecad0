"""The files that docs/how-to/run-on-kubernetes.md has a team write, laid out as the page says."""

import re
from pathlib import Path

from deploy.rendering import ROOT

PAGE = ROOT / "docs/how-to/run-on-kubernetes.md"
_BLOCK = re.compile(r"(?ms)^```yaml\n# (added to )?(\S+)\n(.*?)^```$")
KEYS = "version: 1\naccount: ${AHASEND_ACCOUNT_ID}\nkeys: []\n"


def snippets() -> dict[str, str]:
    """Give what the page says that stands in each file."""
    found = {name: text for added, name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")) if not added}
    assert len(found) >= 8
    return found


def additions() -> dict[str, str]:
    """Give what the page adds to a file."""
    return {name: text for added, name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")) if added}


def write(folder: Path) -> None:
    """Write the folder of the page, with this repository beside it."""
    files = {"config/keys/shop.yaml": KEYS, "config/policy.yaml": "version: 1\n"} | snippets()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "reconciler").symlink_to(ROOT)
