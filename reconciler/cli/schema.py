"""``reconciler schema``: prints a JSON Schema."""

import json

import click

from reconciler.cli.command import Command


@click.command("schema", cls=Command, short_help="Print the JSON Schema of a file format.")
@click.argument("name", type=click.Choice(["desired", "policy", "report", "status", "listing"]))
def command(name: str) -> int:
    """Print the JSON Schema of desired-state files, policy files, reports, the status of a daemon or saved listings.

    Example: reconciler schema desired > desired.schema.json
    """
    from reconciler.cli.output import write_stdout

    write_stdout(json.dumps(_schema(name), indent=2, ensure_ascii=False) + "\n")
    return 0


def _schema(name: str) -> dict[str, object]:
    if name == "desired":
        from reconciler.files.desired import desired_schema

        return desired_schema()
    if name == "policy":
        from reconciler.files.policy import policy_schema

        return policy_schema()
    if name == "status":
        from reconciler.files.status import status_schema

        return status_schema()
    if name == "listing":
        from reconciler.files.saved import listing_schema

        return listing_schema()
    from reconciler.files.report import report_schema

    return report_schema()
