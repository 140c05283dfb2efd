"""Routes of the page and its API. Everything is read-only; what a gateway named is data, never markup."""

import threading
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.errors import FlatwattError
from collector import evidence, fleet, series
from collector.store.reader import Reader, reading
from collector.web import metrics
from collector.web.hub import Hub

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
Durations = Callable[[], Sequence[float]]

_STATIC = Path(str(files("collector.web"))) / "static"


class SafeHeaders:
    """Adds the security headers to each response; a streaming one passes through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Api:
    """Answers from the database; an answer is computed once per commit, however many pages ask."""

    def __init__(self, database: Path, hub: Hub, now_s: Callable[[], float], commit_s: Durations) -> None:
        self._database = database
        self._hub = hub
        self._commit_s = commit_s
        self._now_s = now_s
        self._fleet: tuple[int, bytes] = (-1, b"")
        self._one = threading.Lock()

    def _answer(self, build: Callable[[Reader], object]) -> Response:
        try:
            with reading(self._database) as reader:
                found = build(reader)
        except FlatwattError as error:
            return _json({"error": str(error)}, 503)
        return _json({"error": "not found"}, 404) if found is None else _json(found)

    def fleet(self, _request: Request) -> Response:
        """Answer ``/api/fleet``."""
        with self._one:
            commits = self._hub.commits
            if self._fleet[0] != commits:
                response = self._answer(lambda reader: fleet.fleet(reader, int(self._now_s())))
                if response.status_code != 200:
                    return response
                self._fleet = (commits, bytes(response.body))
            return Response(self._fleet[1], media_type="application/json")

    def meter(self, request: Request) -> Response:
        """Answer ``/api/meter/{gateway}/{meter}?from_s&to_s``."""
        try:
            from_s, to_s = (
                int(text) if (text := request.query_params.get(name)) else None for name in ("from_s", "to_s")
            )
        except ValueError:
            return _json({"error": "from_s and to_s are whole seconds since 1970"}, 400)
        gateway, meter = request.path_params["gateway"], request.path_params["meter"]
        return self._answer(lambda reader: series.meter(reader, gateway, meter, from_s, to_s))

    def evidence(self, _request: Request) -> Response:
        """Answer ``/api/evidence``."""
        return self._answer(lambda reader: evidence.evidence(reader, int(self._now_s())))

    def metrics(self, _request: Request) -> Response:
        """Answer ``/metrics``."""
        try:
            with reading(self._database) as reader:
                text = metrics.text(reader, self._database, self._commit_s(), int(self._now_s()))
        except FlatwattError as error:
            return Response(f"# {error}\n", 503, media_type="text/plain")
        return Response(text, media_type=metrics.MEDIA_TYPE)

    def health(self, _request: Request) -> Response:
        """Answer ``/healthz``: 200 while the database can be read."""
        return self._answer(lambda reader: {"ok": True, "gateways": len(reader.gateways())})

    async def events(self, _request: Request) -> Response:
        """Answer ``/events``."""
        return StreamingResponse(self._hub.stream(), media_type="text/event-stream")


def application(database: Path, hub: Hub, now_s: Callable[[], float], commit_s: Durations) -> ASGIApp:
    """Give the ASGI application; ``commit_s`` gives the durations of the last commits."""
    api = Api(database, hub, now_s, commit_s)
    pages = {"/": "fleet", "/meter/{gateway}/{meter}": "meter", "/alarms": "alarms", "/evidence": "evidence"}
    routes = [
        *(Route(path, _page(f"{name}.html")) for path, name in pages.items()),
        Route("/api/fleet", api.fleet),
        Route("/api/meter/{gateway}/{meter}", api.meter),
        Route("/api/evidence", api.evidence),
        Route("/events", api.events),
        Route("/healthz", api.health),
        Route("/metrics", api.metrics),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    return SafeHeaders(Starlette(routes=routes))


def _page(name: str) -> Callable[[Request], Response]:
    def page(_request: Request) -> Response:
        return FileResponse(_STATIC / name, media_type="text/html; charset=utf-8")

    return page


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
