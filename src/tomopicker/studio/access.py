"""Access control: a browser gets in by the printed link, and requests come from pages of this server only.

The token of the link is good for one use and is then replaced by a cookie; a new link is printed. Host is checked
against the names of this machine, so that no other site's name can be made to point here (DNS rebinding), and Origin
against Host for whatever changes something.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomopicker.errors import TomoPickerError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
MAX_BYTES, MAX_UPLOAD_BYTES = 2 * 2**20, 64 * 2**20
"""Maximum size of the body of a request, and of an opened file of picks."""
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
    """Read the secret of a project's cookie, or create it; pages stay connected when the server is restarted.

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
    """Conditions of access.

    Parameters
    ----------
    secret : str
        Value of the cookie.
    base_path : str
        Path prefix of a proxy, without a slash at its end.
    hosts : frozenset of str
        Host names, without a port, that requests may be addressed to.
    on_used : callable
        Called with the next token when one was used.
    """

    secret: str
    base_path: str = ""
    hosts: frozenset[str] = LOOPBACK
    on_used: Callable[[str], None] = lambda token: None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """Name of the cookie, one for each secret: the ports of a machine share their cookies."""
        return f"tomopicker-{hmac.digest(self.secret.encode(), b'name', 'sha256').hex()[:8]}"

    def refusal(self, request: Request) -> Response | None:
        """Refuse a request that is addressed to another host, or comes from another site's page."""
        host = request.headers.get("host", "")
        if _without_port(host) not in self.hosts:
            return PlainTextResponse("this name is not one of the server's; --allow-host adds one", 421)
        origin = request.headers.get("origin")
        changes = request.method not in {"GET", "HEAD"}
        if (origin is None and changes) or (origin is not None and origin.partition("://")[2] != host):
            return PlainTextResponse("requests come from the studio's own page alone", 403)
        return None

    def login(self, request: Request) -> Response | None:
        """Exchange the token of the link for the cookie; refuse a request with neither."""
        token = request.query_params.get("token", "")
        home = f"{self.base_path}/"
        if token and _is_same(token, self.token):
            self.token = secrets.token_urlsafe(24)
            self.on_used(self.token)
            answer = RedirectResponse(home, 303)
            answer.set_cookie(self.cookie, self.secret, path=quote(home), httponly=True, samesite="strict")
            return answer
        if _is_same(request.cookies.get(self.cookie, ""), self.secret):
            return RedirectResponse(home, 303) if token else None
        return PlainTextResponse(
            "This link was used before, or is not the studio's. Its terminal shows the one that is good now.", 403
        )


@dataclass(frozen=True)
class Guard:
    """Middleware that refuses requests without access, limits bodies, and accepts the path prefix of a proxy."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request, sent = Request(scope), _with_headers(send)
        answer = self.access.refusal(request) or self.access.login(request)
        limit = MAX_UPLOAD_BYTES if scope["path"].endswith("/api/open") else MAX_BYTES
        length = request.headers.get("content-length", "0")
        if answer is None and (not length.isdigit() or int(length) > limit):
            answer = PlainTextResponse(f"at most {limit // 2**20} MiB are taken at once", 413)
        if answer is not None:
            await answer(scope, receive, sent)
            return
        base = self.access.base_path
        has_prefix = f"{scope['path']}/".startswith(f"{base}/")  # Some proxies remove it themselves.
        await self.app({**scope, "root_path": base if has_prefix else ""}, _limited(receive, limit), sent)


def _is_same(given: str, expected: str) -> bool:
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
            # Browsers may keep the page's own files, if they revalidate them, and nothing else.
            headers.setdefault("cache-control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return sent


def _limited(receive: Receive, limit: int) -> Receive:
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size > limit else message

    return received
