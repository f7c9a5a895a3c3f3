"""Connections on which nothing was ever said are closed; others are not."""

import socket
import sys
from contextlib import ExitStack

import pytest

from console.silence import close_silent
from tests.support.runtimes import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_silent_connections_are_closed_and_no_others() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        elsewhere = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients = {}
        for name, listener in (("silent", server), ("spoke", server), ("elsewhere", elsewhere)):
            clients[name] = stack.enter_context(socket.create_connection(listener.getsockname()))
            stack.enter_context(listener.accept()[0])
        clients["spoke"].sendall(b"x")
        port = server.getsockname()[1]
        assert close_silent(port, 600_000) == 0
        assert until(lambda: close_silent(port, 20)) == 1
        clients["silent"].settimeout(60)
        assert clients["silent"].recv(1) == b""
        for name in ("spoke", "elsewhere"):
            clients[name].setblocking(False)
            with pytest.raises(BlockingIOError):
                clients[name].recv(1)
