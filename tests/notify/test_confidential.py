"""Which parts of an address are masked in every text: all that is secret, and nothing that anybody writes elsewhere."""

from collections.abc import Sequence

import pytest

from notify.test_addresses import SLACK, the
from reconciler.core.scopes import STATIC, TARGETED
from reconciler.errors import mask
from reconciler.notify.confidential import MOST_PARTS

ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
SECRET_ADDRESSES = {
    "json://user:s3cret-word@hooks.example.com/hook/T0KEN-of-mine?key=qu3ry-secret": (
        "s3cret-word",
        "T0KEN-of-mine",
        "qu3ry-secret",
    ),
    "json://user:s3cret%2Fword%40x@hooks.example.com/": ("s3cret%2Fword%40x", "s3cret/word@x"),
    "json://user:webhooks@hooks.example.com/": ("webhooks",),
    SLACK: ("TIiajkdnlazkcOXrIdevi7FQ", "T1JJ3T3L2", "A1BRTD4JD"),
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ": (
        "TIiajkdnlazkcOXrIdevi7FQ",
        "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    ),
    "tgram://123456789:abcdefg_hijklmnop/12315544/": ("123456789", "abcdefg_hijklmnop"),
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": ("4174216298", "JHMHI8qBe7bk2ZwO5U711o3dV_js"),
    "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": ("JHMHI8qBe7bk2ZwO5U711o3dV_js",),
    "pagerduty://A1BRTD4JDTIiajkdnlazkcOXrIdevi7FQ@2xB1234567": ("A1BRTD4JDTIiajkdnlazkcOXrIdevi7FQ", "2xB1234567"),
    "mailto://me:correct-horse@example.com?to=ops@example.org": ("correct-horse",),
    "ntfys://tk_lowercasetoken@ntfy.example.com/quiet-topic-name": ("tk_lowercasetoken",),
    "ifttt://WebHook-ID-of-mine@EventID-of-mine": ("WebHook-ID-of-mine",),
    "ifttt://WebHook%2DID-of-his@EventID-of-mine": ("WebHook%2DID-of-his", "WebHook-ID-of-his"),
    "gotify://gotify.example.com/ABCDEFtoken": ("ABCDEFtoken",),
    "jsons://hooks.example.com/onlylowercaseletterstoken": ("onlylowercaseletterstoken",),
    "jsons://hooks.example.com/x/9f86d081884c7d659a2f": ("9f86d081884c7d659a2f",),
    "jsons://hooks.example.com/?:token=a1-b2-c3": ("a1-b2-c3",),
    f"opsgenie://{ID}/@user": (ID,),
}


@pytest.mark.parametrize(("url", "secrets"), SECRET_ADDRESSES.items(), ids=lambda value: str(value)[:20])
def test_no_part_of_an_address_that_is_secret_is_shown(url: str, secrets: Sequence[str]) -> None:
    """Password, tokens and the whole, as written and decoded, are masked, and are in no name and no repr."""
    address = the(url)
    for secret in (url, *secrets):
        assert secret not in mask(f"failed: {secret}!", *address.secrets)
        assert secret not in address.name + repr(address)


ORDINARY = (
    "hooks.example.com services ops@example.org deliveries example.com https api v2 reconciler hook general "
    f"webhooks:write:all {ID} /accounts/{ID}/keys /v2/accounts Notification storefront-2024 team-growth "
    "AhaSend quiet-topic #general shop.example.com key-000 keys/shop.yaml:12"
)


@pytest.mark.parametrize(
    "url",
    [
        *sorted(SECRET_ADDRESSES.keys() - {f"opsgenie://{ID}/@user", "json://user:webhooks@hooks.example.com/"}),
        "json://hooks.example.com/services/deliveries",
        f"json://127.0.0.1/x/{ID}",
        f"json://127.0.0.1/{ID}",
        f"json://127.0.0.1/accounts/{ID}",
        "json://reconciler:correct-horse@hooks.example.com/accounts",
        "json://reconciler@hooks.example.com/v2/accounts/storefront-2024?to=ops@example.org&key=general",
        "mailto://reconciler:correct-horse@example.com?to=ops@example.org&from=team-growth@example.org",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?avatar_url=https://shop.example.com/storefront-2024",
    ],
)
def test_ordinary_words_are_not_masked(url: str) -> None:
    """No host, user name, word of a path, mail address, scope, or id of an account or key in our texts is garbled."""
    text = f"{ORDINARY} {' '.join(STATIC | TARGETED)}"
    assert mask(text, *the(url).secrets) == text


def test_an_address_has_a_bounded_number_of_secrets() -> None:
    """However many parts it is made of: what is left out is still masked as a part of the whole."""
    many = "/".join(f"T0KEN-number-{n:03}" for n in range(100))
    address = the(f"json://u:s3cret-word@127.0.0.1/{many}")
    assert len(address.secrets) == MOST_PARTS
    assert {"s3cret-word", f"/{many}"} <= set(address.secrets)
