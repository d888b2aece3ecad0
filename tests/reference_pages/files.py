"""docs/reference/files.md: the files that people write, field by field."""

from collections.abc import Iterator, Mapping

from reconciler.emulator import seed
from reconciler.emulator.seed import SeedField
from reconciler.files.entries import desired_schema
from reconciler.files.policy_entries import policy_schema
from reconciler.files.saved import SCHEMA, listing_schema
from reference_pages.markdown import code, plain, table
from reference_pages.schemas import Document

DESIRED = Document("Desired state", desired_schema())
POLICY = Document("Policy", policy_schema())
LISTING = Document("Saved listing", listing_schema())
_SEED: dict[str, Mapping[str, SeedField]] = {
    "Seed: the whole": seed.SEED_FIELDS,
    "Seed: `accounts[]`": seed.ACCOUNT_FIELDS,
    "Seed: `accounts[].keys[]`": seed.KEY_FIELDS,
    "Seed: `accounts[].sub_accounts[]`": seed.SUB_ACCOUNT_FIELDS,
}
_INTRODUCTION = """\
Every field of every file that people write or keep. An unknown field, and a null, is an error of desired state and
of policies. "Required" is what must be there whatever else is; what must stand together is told below a table."""
_DESIRED = """\
YAML, a file or a folder of them: `--desired`. `reconciler schema desired` prints the JSON Schema;
[README](../../README.md#the-files) tells the whole by an example."""
_POLICY = """\
YAML, a file or a folder of them: `--policy`. `reconciler schema policy` prints the JSON Schema;
[policy.md](../policy.md) tells how to write one, [rules.md](rules.md) lists the built-in rules and what expressions
may name."""
_LISTING = """\
JSON, as `reconciler export --actual FILE` writes it and `--actual FILE` reads it; `reconciler schema listing`
prints the JSON Schema. It holds no secret, but labels, scopes and networks. A date and time is RFC 3339; one
without a zone is UTC."""
_EMULATOR = """\
YAML or JSON, for `reconciler emulator --seed FILE`; [emulator.md](../emulator.md) tells what it is for. Values are
taken as they are, also what the API would refuse. A date and time is RFC 3339; one without a zone is UTC."""


def page() -> Iterator[str]:
    """Give the page, block by block."""
    yield "# Files"
    yield _INTRODUCTION
    yield "## Desired state"
    yield _DESIRED
    yield from DESIRED.sections()
    yield "## Policy"
    yield _POLICY
    yield from POLICY.sections()
    yield "## Saved listing"
    yield f"{_LISTING} Its schema is {code(SCHEMA)}."
    yield from LISTING.sections()
    yield "## The emulator's seed"
    yield _EMULATOR
    for title, fields in _SEED.items():
        yield f"### {title}"
        rows = ((code(name), each.kind, each.otherwise, plain(each.holds)) for name, each in fields.items())
        yield table(("field", "type", "where it is left out", "meaning"), rows)
