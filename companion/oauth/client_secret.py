"""Client secrets: what a client that agent.yaml names shows to a token endpoint. Pure."""

from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from companion.config import bindings
from companion.errors import Code, CompanionError


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The secret of a client; its value is empty if agent.yaml names none, or it is not set."""

    value: str = field(default="", repr=False)
    name: str = ""
    """Its variable."""
    bound_to: tuple[str, ...] | None = None
    """Bindings of a secret of the user's (config/bindings.py); None: it may be sent anywhere."""

    def require(self, endpoint: str) -> None:
        """Require that it may be sent to a token endpoint, which the server's metadata names.

        Raises:
            CompanionError: it is a secret of the user's that is not bound to that host.
        """
        if self.bound_to is None:
            return
        host = "://".join(urlsplit(endpoint)[:2])
        with suppress(ValueError):  # an address, to which nothing can be bound
            host = bindings.binding(host)
        if host not in self.bound_to:
            bound = ", ".join(self.bound_to)
            what = (
                f"{self.name} must not be sent to {host}, where the server has its token endpoint:"
                f" your secret is bound to {bound}"
            )
            hint = f"bind it to {host}, too, if you trust that host"
            raise CompanionError(what, hint, code=Code.SECRET_UNBOUND)
