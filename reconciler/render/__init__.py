"""Renderings of the one report: each ``render(report) -> str``, pure and escaped for its format."""
