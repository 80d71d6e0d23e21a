"""Who may use the server: only a browser that came by the printed link, and only pages of this server.

The link's token is good for one use and is then replaced by a cookie; the next link is printed. Host is checked against
names of this machine, so that no other site's name can be made to point here (DNS rebinding), and Origin against Host
for whatever changes something.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomopicker.errors import TomoPickerError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
MAX_BYTES, MAX_UPLOAD_BYTES = 2 * 2**20, 64 * 2**20
"""Of the body of a request, and of a file of picks that is opened."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def stored_secret(path: Path) -> str:
    """Read the secret of a project's cookie, or make one, so that a page goes on when the server is started again.

    Raises `TomoPickerError` if it cannot be written.
    """
    try:
        if path.exists() and len(text := path.read_text(encoding="ascii").strip()) >= 32:
            path.chmod(0o600)
            return text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        text = secrets.token_urlsafe(32)
        path.write_text(text, encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise TomoPickerError(f"{path}: cannot be written; choose another --project") from error
    return text


@dataclass
class Access:
    """What lets a browser in.

    Parameters
    ----------
    secret : str
        Of the cookie.
    base_path : str
        Where the application is, without a slash at its end.
    hosts : frozenset of str
        Names, without a port, under which the server may be asked.
    on_used : callable
        Hears the next token when one was used.
    """

    secret: str
    base_path: str = ""
    hosts: frozenset[str] = LOOPBACK
    on_used: Callable[[str], None] = lambda token: None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """The cookie's name: the ports of a machine share their cookies."""
        return f"tomopicker-{hmac.digest(self.secret.encode(), b'name', 'sha256').hex()[:8]}"

    def has_cookie(self, headers: Headers) -> bool:
        """Whether a request has the cookie."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, self.secret)

    def use(self, token: str) -> bool:
        """Use the link's token; the next one is made."""
        if not _same(token, self.token):
            return False
        self.token = secrets.token_urlsafe(24)
        self.on_used(self.token)
        return True


@dataclass(frozen=True)
class Guard:
    """Middleware that turns away what `Access` does not let in, and bounds bodies."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers) or self._entrance(scope, headers)
        if answer is not None:
            await answer(scope, receive, _with_headers(send))
            return
        bound = MAX_UPLOAD_BYTES if scope["path"].endswith("/api/open") else MAX_BYTES
        stated = headers.get("content-length", "0")
        if not stated.isdigit() or int(stated) > bound:
            too_long = PlainTextResponse(f"at most {bound // 2**20} MiB are taken at once", 413)
            await too_long(scope, receive, _with_headers(send))
            return
        await self.app(scope, _bounded(receive, bound), _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if _without_port(host) not in self.access.hosts:
            return PlainTextResponse("this name is not one of the server's; --allow-host adds one", 421)
        origin = headers.get("origin")
        changes = scope["method"] not in {"GET", "HEAD"}
        if (origin is None and changes) or (origin is not None and origin.partition("://")[2] != host):
            return PlainTextResponse("requests come from the studio's own page alone", 403)
        return None

    def _entrance(self, scope: Scope, headers: Headers) -> PlainTextResponse | RedirectResponse | None:
        access = self.access
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if token and access.use(token):
            answer = RedirectResponse(f"{access.base_path}/", 303)
            path = quote(f"{access.base_path}/")
            answer.set_cookie(access.cookie, access.secret, path=path, httponly=True, samesite="strict")
            return answer
        if access.has_cookie(headers):
            return RedirectResponse(f"{access.base_path}/", 303) if token else None
        return PlainTextResponse(
            "This link was used before, or is not the studio's. Its terminal shows the one that is good now.", 403
        )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _without_port(host: str) -> str:
    name, mark, port = host.rpartition(":")
    return (name if mark and port.isdigit() else host).lower()


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            # The page's own files may be kept, and are asked for anew; all else belongs to the moment.
            headers.setdefault("cache-control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return sent


def _bounded(receive: Receive, bound: int) -> Receive:
    taken = 0

    async def received() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return {"type": "http.disconnect"} if taken > bound else message

    return received
