"""Security layer of every server: Host and Origin, tokens, response headers, no text in errors.

It is an ASGI application around another one. Nothing in it depends on what it protects, and what
it refuses never reaches the application.
"""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from annoseq.serving.access import AccessPolicy

    Message: TypeAlias = MutableMapping[str, Any]
    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Headers of every response; one that the application sets itself stays, but for the policy."""
_FIXED_HEADERS = {"content-security-policy", "x-content-type-options", "x-frame-options"}
_CHALLENGES = (b'Bearer realm="annoseq"', b'Basic realm="annoseq", charset="UTF-8"')


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    message: str


_WRONG_HOST = _Refusal(
    421,
    "the Host header does not name this server. Use the address that it printed, or start it with "
    "--allowed-host.",
)
_WRONG_ORIGIN = _Refusal(
    403,
    "the request comes from a page of another origin, and this server answers its own pages alone.",
)
_NO_TOKEN = _Refusal(
    401,
    "a token of the token file is needed. Send it as: Authorization: Bearer TOKEN (in a browser, "
    "as password, with any user name).",
)
INTERNAL_ERROR = "internal error. The log of the server says where."


@dataclass(frozen=True, slots=True)
class SecuredApp:
    """An ASGI application behind the checks of an access policy.

    The name of the token's holder is `request.state.user`, None if the token has no name.
    """

    app: AsgiApp
    access: AccessPolicy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and add the security headers to the response."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, _HeaderSender(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: _HeaderSender) -> None:
        if refusal := self._check(scope):
            await send_error(send, refusal.status, refusal.message)
            return
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # whatever it says may quote a text
            _LOG.error("internal error: %s", describe_exception(error))
            if not send.has_started:
                await send_error(send, 500, INTERNAL_ERROR)

    def _check(self, scope: Scope) -> _Refusal | None:
        """Return why a request is refused, None if it is not."""
        hosts = header_values(scope, b"host")
        if len(hosts) != 1 or not self.access.accepts_host(hosts[0]):
            return _WRONG_HOST
        if not _is_same_origin(scope, hosts[0]):
            return _WRONG_ORIGIN
        scope.setdefault("state", {})["user"] = None
        if not self.access.tokens or scope["path"] in self.access.open_paths:
            return None
        credentials = header_values(scope, b"authorization")
        token = self.access.holder(credentials[0]) if len(credentials) == 1 else None
        if token is None:
            return _NO_TOKEN
        scope["state"]["user"] = token.holder
        return None


def _is_same_origin(scope: Scope, host: str) -> bool:
    """Return False if a browser says that a page of another origin makes the request.

    Links from other pages may be followed: they read, and their page does not see the answer.
    """
    for origin in header_values(scope, b"origin"):
        scheme, separator, authority = origin.partition("://")
        if scheme not in {"http", "https"} or not separator or authority.lower() != host.lower():
            return False
    sites = header_values(scope, b"sec-fetch-site")
    if all(site in {"same-origin", "none"} for site in sites):
        return True
    is_link = header_values(scope, b"sec-fetch-mode") == ["navigate"]
    return is_link and scope["method"] in {"GET", "HEAD"}


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of every header of a name, which is in lower case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


class _HeaderSender:
    """Sends a response with the security headers; `has_started` once its head is sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            message = {**message, "headers": _with_security_headers(message.get("headers", ()))}
        await self._send(message)


def _with_security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(key, value) for key, value in headers if key.lower().decode() not in _FIXED_HEADERS]
    names = {key.lower().decode() for key, _ in kept}
    added = [
        (name.encode(), value.encode())
        for name, value in SECURITY_HEADERS.items()
        if name not in names
    ]
    return [*kept, *added]


async def send_error(
    send: Send, status: int, message: str, *, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send an error in the words of the house, as `{"error": message}`."""
    body = json.dumps({"error": message}).encode()
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    if status == _NO_TOKEN.status:
        head += [(b"www-authenticate", challenge) for challenge in _CHALLENGES]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def describe_exception(error: BaseException) -> str:
    """Return the type of an exception and the place in the code, and not what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return f"{type(error).__name__} at {', '.join(places) or 'an unknown place'}"
