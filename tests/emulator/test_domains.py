"""The domains of an account, and what becomes of scopes when one is deleted."""

import pytest

from emulator.scene import (
    ACCOUNT,
    DOMAINS,
    NOBODY,
    SHOP_KEY,
    SUB_ACCOUNT,
    ask,
    emulator,
    put,
    scopes_of,
    seed,
    with_sub_account,
)


async def test_many_domains() -> None:
    """Domains keep the seed's order, each once, whatever their number."""
    names = [f"{number}.example.com" for number in range(30)]
    document = seed()
    document["accounts"][0]["domains"] = [*names, "0.EXAMPLE.com."]
    app = emulator(document)
    assert [domain["domain"] for domain in (await ask(app, "GET", DOMAINS)).json()["data"]] == names
    assert app.dump()["accounts"][0]["domains"][-1] == "0.EXAMPLE.com."


async def test_list_domains() -> None:
    """Domains are listed in canonical form, in the seed's order, page by page, as a key's scopes refer to them."""
    app = emulator()
    listed = (await ask(app, "GET", DOMAINS)).json()
    assert [domain["domain"] for domain in listed["data"]] == ["shop.example.com", "news.example.org"]
    first = (await ask(app, "GET", DOMAINS, params={"limit": 1})).json()
    query = {"limit": 1, "after": first["pagination"]["next_cursor"]}
    second = (await ask(app, "GET", DOMAINS, params=query)).json()
    assert first["data"] + second["data"] == listed["data"]
    assert (await ask(app, "GET", SHOP_KEY)).json()["scopes"][0]["domain_id"] == listed["data"][0]["id"]
    one = await ask(app, "GET", f"{DOMAINS}/NEWS.example.org")
    assert one.json() == listed["data"][1]
    assert (await ask(app, "GET", f"{DOMAINS}/gone.example.org")).status_code == 404


@pytest.mark.parametrize(
    ("value", "count"), [("true", 2), ("false", 0), ("null", 2), ("", None), ("maybe", None), ("1", None)]
)
async def test_domains_by_validity(value: str, count: int | None) -> None:
    """`dns_valid` filters; every domain of a seed is valid. Another value is a 400."""
    answer = await ask(emulator(), "GET", DOMAINS, params={"dns_valid": value})
    assert answer.status_code == (400 if count is None else 200)
    assert count is None or len(answer.json()["data"]) == count


@pytest.mark.parametrize("spelling", ["shop.example.com", "SHOP.example.com."])
async def test_delete_a_domain(spelling: str) -> None:
    """A domain that is deleted takes its scopes from every key of the account, even the last one, and no others."""
    document = seed(scopes=["messages:send:{Shop.example.com}", "routes:read:{shop.example.com}"])
    document["accounts"][0]["keys"][1]["scopes"] += [
        "messages:read:{shop.example.com}",
        "routes:read:{news.example.org}",
    ]
    app = emulator(document)
    answer = await ask(app, "DELETE", f"/_emulator/domains/{ACCOUNT.upper()}/{spelling}", token=None)
    assert (answer.status_code, answer.json()) == (200, {"message": "done"})
    shop = await ask(app, "GET", SHOP_KEY)
    assert (scopes_of(shop), shop.json()["updated_at"] > shop.json()["created_at"]) == ([], True)
    keys = app.dump()["accounts"][0]["keys"]
    assert [key["scopes"] for key in keys] == [["*"], ["api-keys:read", "routes:read:{news.example.org}"], []]
    assert app.dump()["accounts"][0]["domains"] == ["News.Example.org."]
    assert len(app.history) == 2
    assert (await put(app, scopes=["messages:send:{shop.example.com}"])).status_code == 400
    assert (await ask(app, "GET", f"{DOMAINS}/shop.example.com")).status_code == 404
    assert [domain["domain"] for domain in (await ask(app, "GET", DOMAINS)).json()["data"]] == ["news.example.org"]
    assert (await ask(app, "DELETE", f"/_emulator/domains/{ACCOUNT}/{spelling}")).status_code == 404


async def test_domain_of_an_account_in_upper_case() -> None:
    """The control path takes an account's identifier in upper case too."""
    account = "abcdefab-0000-4000-8000-000000000000"
    app = emulator({"accounts": [{"id": account, "domains": ["a.example"]}]})
    path = f"/_emulator/domains/{account.upper()}/a.example"
    assert [(await ask(app, "DELETE", path)).status_code for _ in range(2)] == [200, 404]


async def test_delete_a_sub_account_s_domain() -> None:
    """A sub account's domain is deleted by the sub account's identifier."""
    key = {"label": "a", "scopes": ["messages:send:{acme.example.com}"]}
    app = with_sub_account(domains=["acme.example.com"], keys=[key])
    assert app.delete_domain(SUB_ACCOUNT, "acme.example.com")
    assert app.dump()["accounts"][0]["sub_accounts"][0]["keys"][0]["scopes"] == []
    assert [change.account_id for change in app.history] == [SUB_ACCOUNT]
    assert not app.delete_domain(NOBODY, "acme.example.com")
