"""What the environment and the secrets directory say: credentials, the endpoint, the reconciler's own key, the hold.

A file in the secrets directory (``RECONCILER_SECRETS_DIR``, a mounted Kubernetes Secret) wins over the environment, but
only for what AhaSend gave: nothing there may lift a hold.
"""

import os
import re
import stat
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.core.keys import UUID_PATTERN, AccountRef, credential_variable
from reconciler.errors import SettingsError, UsageError

DEFAULT_ENDPOINT = "https://api.ahasend.com"
_TOKEN = "AHASEND_API_KEY"  # noqa: S105 # the name of a variable
_SELF_KEY = "RECONCILER_SELF_KEY_ID"
_WEB_TOKEN = "RECONCILER_TOKEN"  # noqa: S105 # the name of a variable
_NOTIFY = "RECONCILER_NOTIFY"
_LONGEST_NOTIFY = 256 * 1024
_SHORTEST_WEB_TOKEN = 16
_LONGEST_WEB_TOKEN = 4096
_SETTLED = 1_000_000_000
"""Nanoseconds after which a file shows every change: two that come sooner may bear the same time."""


class Credentials:
    """The bearer tokens that were found, by credential. One that a file may give follows that file as it changes.

    A file that is unreadable, empty or gone changes nothing: perhaps it is just being replaced. Settings that are
    loaded after that tell of it.
    """

    def __init__(self, tokens: Mapping[str | None, str], wanted: Iterable[str | None], directory: Path | None) -> None:
        self._tokens = dict(tokens)
        self._seen = dict.fromkeys(tokens.values())
        self._files: dict[str | None, _SecretFile] = {}
        if directory is not None:
            self._files = {one: _SecretFile(directory, credential_variable(_TOKEN, one).lower()) for one in wanted}

    def token(self, credential: str | None, refused: str | None = None) -> str | None:
        """Give the token of a credential, None where there is none.

        Its file is read anew where it looks different, and where the token is the one that was ``refused``.
        """
        held = self._tokens.get(credential)
        file = self._files.get(credential)
        text = file.text(unless_unchanged=held is None or held != refused) if file else None
        if text is None:
            return held
        self._tokens[credential] = text
        self._seen[text] = None
        return text

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every token that was ever held."""
        return tuple(self._seen)


class _SecretFile:
    """A file of the secrets directory; its name may be in any case, as it may be when settings are loaded."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._path: Path | None = None
        self._looks: tuple[int, ...] | None = None

    def text(self, *, unless_unchanged: bool) -> str | None:
        """Give what the file holds; None where it holds nothing, cannot be read, or looks as when it was read last."""
        try:
            path = self._path or self._find()
            about = path.stat()  # of what a link leads to: Kubernetes changes the link's target
            looks = (about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_size)
            if (unless_unchanged and looks == self._looks) or not stat.S_ISREG(about.st_mode):
                return None  # a pipe would be waited for
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, RuntimeError, UnicodeError):  # a RuntimeError is a link that leads to itself
            self._path = self._looks = None
            return None
        self._path = path
        self._looks = looks if time.time_ns() - max(looks[:2]) > _SETTLED else None
        return text or None

    def _find(self) -> Path:
        for path in self._directory.iterdir():
            if path.name.lower() == self._name and self._directory.resolve() in path.resolve().parents:
                return path
        raise FileNotFoundError(self._name)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What was read; its repr shows no secret.

    Attributes:
        endpoint: The address of the API.
        account_id: ``AHASEND_ACCOUNT_ID``, if set.
        credentials: The bearer tokens.
        self_keys: The id of the key that the reconciler itself uses, by credential.
        hold: Why nothing may be changed at present, if so.
    """

    endpoint: str
    account_id: str | None
    credentials: Credentials
    self_keys: dict[str | None, str]
    hold: str | None

    def token(self, account: AccountRef, refused: str | None = None) -> str:
        """Give the bearer token of an account; its source is read anew where the one that it gave was ``refused``.

        Raises:
            SettingsError: there is none.
        """
        token = self.credentials.token(account.credential, refused)
        if token is None:
            name = credential_variable(_TOKEN, account.credential)
            raise SettingsError(
                f"no credential for account {account.account_id}: {name} is not set",
                hint=f"set {name} in the environment, or put a file {name.lower()} into RECONCILER_SECRETS_DIR",
            )
        return token

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown, those that were rotated away included."""
        return self.credentials.secrets


def load_settings(credentials: Iterable[str | None]) -> Settings:
    """Read what the named credentials need (None: the one without a name).

    Raises:
        SettingsError: the secrets directory is missing or cannot be read.
        UsageError: a variable of the reconciler's own holds a value that it cannot have.
    """
    wanted = tuple(dict.fromkeys((None, *credentials)))
    token_names = {one: credential_variable(_TOKEN, one) for one in wanted}
    self_names = {one: credential_variable(_SELF_KEY, one) for one in wanted}
    values = _read(["AHASEND_ENDPOINT", "AHASEND_ACCOUNT_ID", *token_names.values(), *self_names.values()])
    tokens = {one: token for one, name in token_names.items() if (token := values[name])}
    return Settings(
        endpoint=values["AHASEND_ENDPOINT"] or DEFAULT_ENDPOINT,
        account_id=values["AHASEND_ACCOUNT_ID"],
        credentials=Credentials(tokens, wanted, secrets_directory()),
        self_keys={one: _uuid(name, text) for one, name in self_names.items() if (text := values[name])},
        hold=os.environ.get("RECONCILER_HOLD") or None,
    )


def _uuid(name: str, text: str) -> str:
    if not re.fullmatch(UUID_PATTERN, text):
        raise UsageError(f"{name} is not the id of a key", hint="write the key's UUID, as `reconciler export` shows it")
    return text.lower()


def look_up(name: str) -> str | None:
    """Give the value of ``${NAME}`` in a file: from the secrets directory or the environment, None where unset."""
    return _read([name])[name]


def web_token() -> str | None:
    """Give the token that a request for a pass must bear, None where none is set; it may change at any time.

    It comes from the file ``reconciler_token`` of the secrets directory, else from ``RECONCILER_TOKEN``.

    Raises:
        UsageError: it is so short that it could be guessed.
    """
    token = ""
    with suppress(OSError, UnicodeError):
        if directory := os.environ.get("RECONCILER_SECRETS_DIR"):
            token = _read_small(Path(directory, _WEB_TOKEN.lower()), _LONGEST_WEB_TOKEN).strip()
    token = token or os.environ.get(_WEB_TOKEN, "").strip()
    if 0 < len(token) < _SHORTEST_WEB_TOKEN:
        message = f"{_WEB_TOKEN} is shorter than {_SHORTEST_WEB_TOKEN} characters, and could be guessed"
        raise UsageError(message, hint="make one with: openssl rand -hex 32")
    return token or None


def notify_addresses() -> str:
    """Give the text with the addresses of notifications, empty where there are none; it may change at any time.

    It comes from the file ``reconciler_notify`` of the secrets directory, its name in any case, else from
    ``RECONCILER_NOTIFY``.

    Raises:
        SettingsError: there is such a file, but nothing in it that could be read: nobody would be told anything.
    """
    path = _file_of(_NOTIFY)
    if path is None:
        return os.environ.get(_NOTIFY, "")
    try:
        text = _read_small(path, _LONGEST_NOTIFY + 1)
    except OSError as error:
        raise _no_addresses(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeError:
        raise _no_addresses(path, "is not UTF-8") from None
    if not text.strip():
        raise _no_addresses(path, "holds nothing, or is no file")
    if len(text.encode()) > _LONGEST_NOTIFY:
        raise _no_addresses(path, f"is longer than {_LONGEST_NOTIFY} bytes")
    return text


def _file_of(variable: str) -> Path | None:
    """Give the file of the secrets directory that has the name of a variable; None where there is none."""
    directory = os.environ.get("RECONCILER_SECRETS_DIR")
    if not directory:
        return None
    with suppress(OSError):  # of a directory that cannot be read the credentials tell
        return next((path for path in sorted(Path(directory).iterdir()) if path.name.lower() == variable.lower()), None)
    return None


def _no_addresses(path: Path, told: str) -> SettingsError:
    return SettingsError(
        f"the addresses of notifications: {path} {told}",
        hint="write an address a line into it, or take it away; see docs/notifications.md",
    )


def _read_small(path: Path, most: int) -> str:
    """Read a small file; what is no file is not waited for, and reads as nothing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, most).decode("utf-8") if regular else ""
    finally:
        os.close(descriptor)


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
        with warnings.catch_warnings(action="ignore"):  # about what is no file; a line of its own amid those of the log
            found = create_model("Variables", __base__=FilesFirst, **fields)().model_dump()
    except Unreadable:
        raise SettingsError(
            "a file in RECONCILER_SECRETS_DIR cannot be read",
            hint="check its permissions, and that it holds plain text",
        ) from None
    return {name: found[f"variable_{place}"] or None for place, name in enumerate(names)}
