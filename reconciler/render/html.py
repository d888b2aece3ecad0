"""The report as one HTML file that can be filed: it needs no network, no other file, and no script to be read.

Every text goes through :func:`reconciler.errors.visible` and is escaped by Jinja2, wherever the template shows it.
Besides, the page allows no script and no style but its own, by hash, and no request: markup that came through would do
nothing.
"""

from reconciler.core.report import Report
from reconciler.render.markup import environment, own
from reconciler.render.overview import Overview


def render(report: Report) -> str:
    """Give the report as an HTML document."""
    template = environment().get_template("report.html.j2")
    style, script = own("common.css", "report.css"), own("report.js")
    return template.render(told=Overview(report), report=report, style=style, script=script)
