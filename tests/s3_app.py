"""Moto's S3 server, one request after the other: conditional puts are atomic, as those of S3.

Run as a script with a port. With ``forgetful`` after it, the server forgets conditions, as some
servers do that speak the language of S3.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def serve(port: int, *, forgetful: bool) -> None:
    moto = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def application(
        environment: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if forgetful:
            environment.pop("HTTP_IF_NONE_MATCH", None)
        with lock:
            return list(moto(environment, start_response))

    run_simple("127.0.0.1", port, application, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]), forgetful="forgetful" in sys.argv[2:])
