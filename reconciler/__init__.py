"""Keeps AhaSend API keys as a team's files say.

The files say which keys should exist; ``ahasend`` says which do; ``core`` decides; ``apply`` does; ``render`` tells.
"""

__version__ = "0.1.0"
