"""Addresses of people, and messages to them, through Apprise: nothing else imports it.

`addresses` reads them; `sending` sends one message in a process of its own, `errand`, which is ended when it takes too
long or too much: a plugin reads answers whole, and nothing else ends it.

Read in Apprise 2.3's sources: ``config/base.py`` for the format, ``url.py`` for time-outs, ``plugins/base.py`` for
``notify``, which sends at once, in the caller's thread, and may sleep between several recipients. It logs why something
failed, and only there; what it logs may hold any part of an address, so that no text of it is ever given on.
"""
