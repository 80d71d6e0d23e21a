"""Running the server: a loopback port, the command for ssh, one server per project, and shutdown."""

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.output.lock import holder, locked
from tomopicker.studio.access import LOOPBACK, Access, stored_secret
from tomopicker.studio.app import create_app
from tomopicker.studio.context import Studio
from tomopicker.studio.events import Events
from tomopicker.studio.instant import Engine
from tomopicker.studio.listing import Listing
from tomopicker.wording import number_of

PRIVATE = ".studio"
"""Folder of a project with the secret of the cookie, the port and the lock file of the server."""


def serve(
    listing: Listing,
    folder: Path,
    engine: Engine | None,
    log: Callable[[str], None],
    *,
    kind: tuple[str, float] | None = None,
    port: int | None = None,
    base_path: str = "",
    hosts: Sequence[str] = (),
) -> None:
    """Serve a project until Ctrl-C or SIGTERM.

    Parameters
    ----------
    listing : Listing
    folder : Path
        Folder of the project.
    engine : Engine or None
        Computes instant picks.
    log : callable
        Prints a line.
    kind : tuple of str and float, optional
        Name and diameter (Å) of a kind to add to the project.
    port : int, optional
        If left out, the last one used if it is free, else any.
    base_path : str
        Path prefix of a proxy, such as ``/node/host/1234``.
    hosts : sequence of str
        Host names of proxies.

    Raises
    ------
    TomoPickerError
        If another server has the project open, the port is not available, the base path is invalid, or the folder
        cannot be written.
    """
    if base_path and not re.fullmatch(r"(/[^/?#\\\s;,]+)+", base_path):
        raise UsageError(f"--base-path {base_path}: give a path as /node/host/1234, without a slash at its end")
    private = folder / PRIVATE
    if who := holder(private):
        raise TomoPickerError(f"{folder}: is open in {who}; use that one, or stop it")
    with locked(private):
        studio = Studio.open(listing, folder, engine)
        if kind is not None:
            studio.project.add_kind(*kind)
        listening = _listen(port, private / "port")
        port = int(listening.getsockname()[1])
        write_text(private / "port", f"{port}\n")

        def link(token: str) -> str:
            return f"http://127.0.0.1:{port}{base_path}/?token={token}"

        names = LOOPBACK | {name.lower() for name in hosts}
        access = Access(stored_secret(private / "secret"), base_path, names)
        access.on_used = lambda token: log(f"Opened. For another browser: {link(token)}")
        line = ssh_line(port, getpass.getuser(), socket.gethostname(), os.environ)
        log(f"Studio: {number_of(len(listing.names), 'tomogram')}, project {folder.absolute()}")
        log(f"From another machine, first run there:  {line}")
        log(f"Open in a browser:  {link(access.token)}")
        log("Everything is saved at once; Ctrl-C ends the server, jobs go on.")
        config = uvicorn.Config(
            create_app(studio, access), log_level="warning", access_log=False, server_header=False, lifespan="on",
            timeout_graceful_shutdown=3,
        )  # fmt: skip
        _Server(config, events=studio.events).run(sockets=[listening])


def ssh_line(port: int, user: str, host: str, environment: Mapping[str, str]) -> str:
    """Return the ssh command that forwards a port of this machine.

    A node of SLURM is reached through the machine that the job was submitted from. A port of ssh itself other than 22
    is taken from ``SSH_CONNECTION``.
    """
    connection = environment.get("SSH_CONNECTION", "").split()
    ssh_port = connection[3] if len(connection) == 4 and connection[3] != "22" else ""
    login = environment.get("SLURM_SUBMIT_HOST", "") if "SLURM_JOB_ID" in environment else ""
    if login and login.partition(".")[0] != host.partition(".")[0]:
        through = f"-J {user}@{login}{f':{ssh_port}' if ssh_port else ''} "
    else:
        through = f"-p {ssh_port} " if ssh_port else ""
    return f"ssh -N -L {port}:127.0.0.1:{port} {through}{user}@{host}"


class _Server(uvicorn.Server):
    """A server that stops on Ctrl-C or SIGTERM although pages listen to its events."""

    def __init__(self, config: uvicorn.Config, events: Events) -> None:
        super().__init__(config)
        self._events = events

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams of events, without which open connections would keep the server running."""
        self.should_exit = True
        self._events.close()


def _listen(requested: int | None, file: Path) -> socket.socket:
    """Listen on a loopback port: the requested one, else the one in a file if it is free, else any."""
    if not requested:
        for port in _read_port(file):
            with contextlib.suppress(OSError):
                return socket.create_server(("127.0.0.1", port), backlog=128)
    try:
        return socket.create_server(("127.0.0.1", requested or 0), backlog=128)  # Browsers wait from now on.
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise TomoPickerError(f"port {requested or 0} is not available ({reason}); give another --port") from error


def _read_port(path: Path) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        port = int(path.read_text(encoding="ascii"))
        if 1024 <= port < 65536:
            return [port]
    return []
