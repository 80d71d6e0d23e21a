"""Running the server: a loopback port, the line for ssh, one server a project, and a clean end."""

import asyncio
import contextlib
import getpass
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.output.running import holder, marked
from tomopicker.studio.access import LOOPBACK, Access, stored_secret
from tomopicker.studio.app import create_app
from tomopicker.studio.context import Studio
from tomopicker.studio.engine import Engine
from tomopicker.studio.listing import Listing

PRIVATE = ".studio"
"""The folder of a project for what is the server's alone: the cookie's secret, the port, the claim."""


@dataclass(frozen=True)
class Address:
    """Where the server is.

    Parameters
    ----------
    port : int, optional
        Asked for; the one of last time if it is free, else any, if left out.
    base_path : str
        What a proxy puts before every address, such as ``/node/host/1234``.
    hosts : tuple of str
        Further names under which it may be asked, of a proxy.
    """

    port: int | None = None
    base_path: str = ""
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        path = self.base_path
        if path and (not path.startswith("/") or path.endswith("/") or any(c in path for c in "?#\\ \n\r;,")):
            raise UsageError(f"--base-path {path}: give a path as /node/host/1234, without a slash at its end")
        if self.port is not None and not 0 <= self.port < 65536:
            raise UsageError(f"--port {self.port} is invalid; give 1 to 65535, or leave it out")


def serve(
    listing: Listing,
    folder: Path,
    engine: Engine | None,
    address: Address,
    say: Callable[[str], None],
    kind: tuple[str, float] | None = None,
) -> None:
    """Serve a project until Ctrl-C or SIGTERM.

    The engine computes instant picks; `say` prints a line; `kind` is the name and the diameter (Å) of a kind that the
    project is to have.

    Raises `TomoPickerError` if another server has the project open, the port is taken, or the folder cannot be written.
    """
    private = folder / PRIVATE
    if who := holder(private):
        raise TomoPickerError(f"{folder}: is open in {who}; use that one, or stop it")
    with marked(private):
        studio = Studio.open(listing, folder, engine)
        if kind is not None:
            studio.project.add_kind(*kind)
        bound = _bind(address.port, private / "port")
        port = int(bound.getsockname()[1])
        write_text(private / "port", f"{port}\n")

        def link(token: str) -> str:
            return f"http://127.0.0.1:{port}{address.base_path}/?token={token}"

        hosts = LOOPBACK | {name.lower() for name in address.hosts}
        access = Access(stored_secret(private / "secret"), address.base_path, hosts)
        access.on_used = lambda token: say(f"Opened. For another browser: {link(token)}")
        line = ssh_line(port, getpass.getuser(), socket.gethostname(), os.environ)
        count = len(listing.names)
        say(f"Studio: {count} tomogram{'' if count == 1 else 's'}, project {folder.absolute()}")
        say(f"From another machine, first run there:  {line}")
        say(f"Open in a browser:  {link(access.token)}")
        say("Everything is saved at once; Ctrl-C ends the server, jobs go on.")
        _run(create_app(studio, access), bound, studio)


def ssh_line(port: int, user: str, host: str, environment: Mapping[str, str]) -> str:
    """Return the line that brings a port of this machine to another one.

    A node of SLURM is reached through the machine that the job was submitted from. The environment of a session over
    ssh has the port of ssh itself, where it is another one than 22.
    """
    connection = environment.get("SSH_CONNECTION", "").split()
    own = connection[3] if len(connection) == 4 and connection[3] != "22" else ""
    login = environment.get("SLURM_SUBMIT_HOST", "") if "SLURM_JOB_ID" in environment else ""
    if login and login.partition(".")[0] != host.partition(".")[0]:
        through = f"-J {user}@{login}{f':{own}' if own else ''} "
    else:
        through = f"-p {own} " if own else ""
    return f"ssh -N -L {port}:127.0.0.1:{port} {through}{user}@{host}"


def _run(app: ASGIApp, bound: socket.socket, studio: Studio) -> None:
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="on", timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def end() -> None:
            server.should_exit = True
            studio.events.close()

        serving = loop.create_task(server.serve(sockets=[bound]))
        await asyncio.sleep(0)
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        # After uvicorn has put its own: streams must be closed for the server to end.
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, end)
        await serving

    asyncio.run(run())


def _bind(asked: int | None, last: Path) -> socket.socket:
    """Bind a loopback port: the one asked for, else that of last time if it is free, else any."""
    tried = [asked] if asked else [*_port_of(last), 0]
    for port in tried:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
            bound.listen(128)  # From now on a browser waits for an answer in place of being refused.
        except OSError as error:
            bound.close()
            if port == tried[-1]:
                raise TomoPickerError(
                    f"port {port} is not available ({error.strerror}); give another --port"
                ) from error
        else:
            return bound
    raise TomoPickerError("no free port was found; give --port")


def _port_of(path: Path) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        port = int(path.read_text(encoding="ascii"))
        if 1024 <= port < 65536:
            return [port]
    return []
