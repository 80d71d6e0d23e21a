"""Server-sent events: a stream to each page."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

KEEP_ALIVE_SECONDS = 15.0
MAX_QUEUED = 500


@dataclass
class Events:
    """The connected pages."""

    _queues: set[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=set)

    def send(self, name: str, **content: Any) -> None:
        """Send an event to every page; one that lags behind is disconnected, and fetches everything on reconnection."""
        for queue in list(self._queues):
            if queue.qsize() > MAX_QUEUED:
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait({"name": name, **content})

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        for queue in self._queues:
            queue.put_nowait(None)

    async def stream(self, first: dict[str, Any]) -> AsyncIterator[str]:
        """Stream events to one page, `first` before all others."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield f"retry: 1000\n{_event(first)}"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ": alive\n\n"
                    continue
                if event is None:
                    return
                yield _event(event)
        finally:
            self._queues.discard(queue)


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
