"""The desktop's keychain: Secret Service, macOS Keychain or Windows Credential Manager.

The library `keyring` speaks to them. Its own choice of a backend is not used: a setting of another
program may lead it to one that stores plain text, or nothing.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from companion.errors import Code, CompanionError
from companion.system import platforms
from companion.system.platforms import Platform

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "companion"
"""What the keychain calls the owner of our secrets; their user names are the secrets' names."""
_PATIENCE = 60.0
"""Seconds: the keychain may have to ask the user to unlock it."""
_UNLOCK = "unlock it, and try again"
_one_at_a_time = threading.Lock()


class NoKeychainError(CompanionError):
    """There is no keychain here, as on a server."""

    code = Code.NO_KEYCHAIN


class KeychainError(CompanionError):
    """The keychain is there, but locked, or it refuses."""

    code = Code.KEYCHAIN_LOCKED


def require() -> None:
    """Check that there is a keychain, without unlocking it.

    Raises:
        NoKeychainError: there is none; the message says why.
        KeychainError: it does not answer.
    """
    _ask(lambda _: None)


def get(name: str) -> str | None:
    """Return the value of a secret, or None if the keychain has none of this name.

    Raises:
        NoKeychainError: there is no keychain.
        KeychainError: it is locked, or does not answer.
    """
    return _ask(lambda keychain: keychain.get_password(SERVICE, name))


def put(name: str, value: str) -> None:
    """Store the value of a secret, instead of an earlier one.

    Raises:
        NoKeychainError: there is no keychain.
        KeychainError: it is locked, or refuses the value.
    """
    _ask(lambda keychain: keychain.set_password(SERVICE, name, value), value)


def remove(name: str) -> None:
    """Remove a secret, if the keychain has it.

    Raises:
        NoKeychainError: there is no keychain.
        KeychainError: it is locked, or refuses.
    """

    def delete(keychain: "KeyringBackend") -> None:
        if keychain.get_password(SERVICE, name) is not None:
            keychain.delete_password(SERVICE, name)

    _ask(delete)


Answer = str | None


def _ask(question: "Callable[[KeyringBackend], Answer]", secret: str = "") -> Answer:
    """Return the keychain's answer; `secret` is masked in its messages.

    It runs in a thread: while the keychain asks the user to unlock it, nothing limits the wait.
    """
    answers: SimpleQueue[Answer | CompanionError] = SimpleQueue()

    def work() -> None:
        try:
            answers.put(question(_backend()))
        except CompanionError as error:
            answers.put(error)
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            answers.put(_refused(error, secret))

    with _one_at_a_time:
        threading.Thread(target=work, daemon=True).start()
        try:
            answer = answers.get(timeout=_PATIENCE)
        except Empty:
            what = f"the keychain did not answer within {_PATIENCE:.0f} s"
            raise KeychainError(what, _UNLOCK) from None
    if isinstance(answer, CompanionError):
        raise answer
    return answer


def _refused(error: Exception, secret: str) -> CompanionError:
    from keyring.errors import InitError, KeyringLocked  # noqa: PLC0415 - start-up time

    said = str(error) or type(error).__name__
    reason = said.replace(secret, "…") if secret else said
    locked = isinstance(error, InitError | KeyringLocked)
    what = "the keychain is locked" if locked else "the keychain refused"
    hint = _UNLOCK if locked else "try again, or store the secret with `--in-file`"
    return KeychainError(f"{what}: {reason}", hint)


def _backend() -> "KeyringBackend":
    """Return the keychain of this platform.

    Raises:
        NoKeychainError: there is none.
        KeychainError: it does not answer.
    """
    try:
        Keyring = backend(platforms.HERE)  # noqa: N806 - it is a class
        if Keyring.priority <= 0:  # and it raises if there is none
            raise RuntimeError("the system has none that can be used")
    except (ImportError, OSError, RuntimeError) as error:
        if _is_silence(error):
            hint = "try again, or store the secret with `--in-file`"
            raise KeychainError(f"the keychain does not answer: {error}", hint) from None
        hint = "log in to a desktop, or store the secret with `--in-file`"
        raise NoKeychainError(f"there is no keychain: {error}", hint) from None
    return Keyring()


def _is_silence(error: BaseException | None) -> bool:
    """Tell whether an error comes from a time-out: there is a bus, and it may be busy."""
    while error and not isinstance(error, TimeoutError):
        error = error.__cause__ or error.__context__
    return error is not None


def backend(platform: Platform) -> "type[KeyringBackend]":
    """Return keyring's backend for a platform; it can be loaded on any.

    Raises:
        ImportError: a library that it needs is missing.
    """
    if platform == "darwin":
        from keyring.backends.macOS import Keyring  # noqa: PLC0415 - start-up time is a budget

        return Keyring
    if platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring  # noqa: PLC0415

        return WinVaultKeyring
    from keyring.backends import SecretService  # noqa: PLC0415

    return SecretService.Keyring
