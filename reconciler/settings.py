"""What the environment and the secrets directory say: credentials, the endpoint, the reconciler's own key, the hold.

A file in the secrets directory (``RECONCILER_SECRETS_DIR``, a mounted Kubernetes Secret) wins over the environment, but
only for what AhaSend gave: nothing there may lift a hold.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.core.keys import AccountRef
from reconciler.errors import SettingsError, UsageError

DEFAULT_ENDPOINT = "https://api.ahasend.com"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def variable(prefix: str, credential: str | None) -> str:
    """Name the environment variable that belongs to a credential: ``production`` gives ``<prefix>_PRODUCTION``."""
    return prefix if credential is None else f"{prefix}_{credential.upper().replace('-', '_')}"


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What was read; its repr shows no secret.

    Attributes:
        endpoint: The address of the API.
        account_id: ``AHASEND_ACCOUNT_ID``, if set.
        tokens: The bearer tokens that were found, by credential.
        self_keys: The id of the key that the reconciler itself uses, by credential.
        hold: Why nothing may be changed at present, if so.
    """

    endpoint: str
    account_id: str | None
    tokens: dict[str | None, str]
    self_keys: dict[str | None, str]
    hold: str | None

    def token(self, account: AccountRef) -> str:
        """Give the bearer token of an account.

        Raises:
            SettingsError: there is none.
        """
        name = variable("AHASEND_API_KEY", account.credential)
        token = self.tokens.get(account.credential)
        if token is None:
            raise SettingsError(
                f"no credential for account {account.account_id}: {name} is not set",
                hint=f"set {name} in the environment, or put a file {name.lower()} into RECONCILER_SECRETS_DIR",
            )
        return token

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown."""
        return tuple(self.tokens.values())


def load_settings(credentials: Iterable[str | None]) -> Settings:
    """Read what the named credentials need (None: the one without a name).

    Raises:
        SettingsError: the secrets directory is missing or cannot be read.
        UsageError: a variable of the reconciler's own holds a value that it cannot have.
    """
    wanted = tuple(dict.fromkeys((None, *credentials)))
    values = _read(
        ["AHASEND_ENDPOINT", "AHASEND_ACCOUNT_ID", *(variable("AHASEND_API_KEY", credential) for credential in wanted)]
    )
    self_keys = {one: os.environ.get(variable("RECONCILER_SELF_KEY_ID", one)) for one in wanted}
    return Settings(
        endpoint=values["AHASEND_ENDPOINT"] or DEFAULT_ENDPOINT,
        account_id=values["AHASEND_ACCOUNT_ID"],
        tokens={one: token for one in wanted if (token := values[variable("AHASEND_API_KEY", one)])},
        self_keys={
            one: _uuid(variable("RECONCILER_SELF_KEY_ID", one), text) for one, text in self_keys.items() if text
        },
        hold=os.environ.get("RECONCILER_HOLD") or None,
    )


def _uuid(name: str, text: str) -> str:
    if not _UUID.fullmatch(text.lower()):
        raise UsageError(f"{name} is not the id of a key", hint="write the key's UUID, as `reconciler export` shows it")
    return text.lower()


def look_up(name: str) -> str | None:
    """Give the value of ``${NAME}`` in a file: from the secrets directory or the environment, None where unset."""
    return _read([name])[name]


def secrets_directory() -> Path | None:
    """Give ``RECONCILER_SECRETS_DIR``, None where it is not set.

    Raises:
        SettingsError: it is no directory that can be read.
    """
    text = os.environ.get("RECONCILER_SECRETS_DIR", "")
    if not text:
        return None
    path = Path(text)
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise SettingsError(
            f"RECONCILER_SECRETS_DIR is {text!r}, which is not a directory that can be read",
            hint="mount the Secret there, or unset the variable to use the environment",
        )
    return path


def _read(names: list[str]) -> dict[str, str | None]:
    """Read variables by name; a file wins over the environment, and what is empty counts as unset."""
    from pydantic import Field, create_model
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
    from pydantic_settings import SettingsError as Unreadable

    class FilesFirst(BaseSettings):
        model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, secrets_dir=secrets_directory())

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003 # pydantic-settings names the parameters
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # as above
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # as above
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return file_secret_settings, env_settings

    fields: dict[str, Any] = {
        f"variable_{place}": (str | None, Field(None, validation_alias=name)) for place, name in enumerate(names)
    }
    try:
        found = create_model("Variables", __base__=FilesFirst, **fields)().model_dump()
    except Unreadable:
        raise SettingsError(
            "a file in RECONCILER_SECRETS_DIR cannot be read",
            hint="check its permissions, and that it holds plain text",
        ) from None
    return {name: found[f"variable_{place}"] or None for place, name in enumerate(names)}
