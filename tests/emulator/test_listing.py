"""Pages and cursors."""

from typing import Any

import pytest

from emulator.scene import ACCOUNT, KEYS, ask, emulator
from reconciler.emulator.server import Emulator


def many(count: int) -> Emulator:
    keys = [{"id": f"bbbbbbbb-0000-4000-8000-{number:012}", "label": str(number)} for number in range(count)]
    keys[0] |= {"secret_key": "aha-sk-admin", "scopes": ["api-keys:read"]}  # type: ignore[dict-item] # a list among texts
    return emulator({"accounts": [{"id": ACCOUNT, "keys": keys}]}, burst=1000)


async def labels(app: Emulator, **query: object) -> tuple[list[int], dict[str, Any]]:
    answer = await ask(app, "GET", KEYS, params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["object"] == "list"
    return [int(key["label"]) for key in page["data"]], page["pagination"]


async def test_pages_forward() -> None:
    """Following `next_cursor` shows each key once, oldest first, a hundred a page unless told otherwise."""
    app = many(250)
    seen: list[int] = []
    sizes: list[int] = []
    query: dict[str, object] = {}
    while True:
        page, pagination = await labels(app, **query)
        seen += page
        sizes.append(len(page))
        if not pagination["has_more"]:
            assert "next_cursor" not in pagination
            break
        query = {"after": pagination["next_cursor"]}
    assert (seen, sizes) == (list(range(250)), [100, 100, 50])


async def test_pages_backward() -> None:
    """Following `previous_cursor` leads back to the start, where there is none."""
    app = many(25)
    _, pagination = await labels(app, limit=10)
    assert "previous_cursor" not in pagination
    _, pagination = await labels(app, limit=10, after=pagination["next_cursor"])
    _, pagination = await labels(app, limit=10, after=pagination["next_cursor"])
    page, pagination = await labels(app, limit=15, before=pagination["previous_cursor"])
    assert (page, pagination["has_more"]) == (list(range(5, 20)), True)
    page, pagination = await labels(app, limit=15, before=pagination["previous_cursor"])
    assert (page, pagination["has_more"], "previous_cursor" in pagination) == (list(range(5)), True, False)


async def test_old_cursor() -> None:
    """The parameter `cursor` of older clients is taken as `after`, and an empty cursor as none."""
    app = many(3)
    _, pagination = await labels(app, limit=2, before="")
    assert await labels(app, cursor=pagination["next_cursor"]) == await labels(app, after=pagination["next_cursor"])


async def test_cursor_of_a_key_that_went() -> None:
    """A cursor stays good when its key, or one before it, is gone: no key is shown twice and none is left out."""
    app = many(9)
    _, pagination = await labels(app, limit=4)
    document = app.dump()
    keys = document["accounts"][0]["keys"]
    del keys[3], keys[1]
    app.load(document)
    page, _ = await labels(app, after=pagination["next_cursor"])
    assert page == [4, 5, 6, 7, 8]


async def test_empty_page() -> None:
    """An account without keys, and a page behind the last key, hold nothing and lead nowhere."""
    app = many(1)
    cursor = (await ask(app, "GET", KEYS, params={"limit": 1})).json()["pagination"]
    assert cursor == {"has_more": False}
    app.set_faults({"rules": [{"do": {"cursor": "repeat"}}]})
    _, pagination = await labels(app)
    app.set_faults({})
    assert await labels(app, before=pagination["next_cursor"]) == ([], {"has_more": False})


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=",
        "limit=%D9%A1",
        "limit=1_0",
        "limit=" + "9" * 5000,
        "after=nonsense",
        "after=%ff",
        "after=" + "A" * 64,
        "before=%F0%9F%98%80",
        "after=MSBh&before=MSBh",
    ],
)
async def test_bad_queries(query: str) -> None:
    """A limit or a cursor that makes no sense is a 400."""
    answer = await ask(emulator(), "GET", f"{KEYS}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, ["message"])
