"""The process of an instance: the emulator with everything that it lacks registered on it.

Runs: HTTP on 127.0.0.1, ministack's services, SageMaker's training jobs and model packages, and the admin
routes under ``/_local_aws/``. Starts later, on the first call that needs it: moto, as a child process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from local_aws import context
from local_aws.settings import HOST, Settings


def main() -> int:
    settings = Settings.load(Path(sys.argv[1]))
    if settings is None:
        return 2
    context.configure(settings)
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    # ministack reads its settings from the environment while it is imported.
    import ministack.app
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from local_aws import emulator, gateway

    emulator.install(schedules=settings.schedules)
    logging.getLogger("hypercorn.access").setLevel(logging.WARNING)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    # A connection that ends just when it is used again is an error that nobody understands.
    config.keep_alive_timeout = 3600
    config.backlog = 1024
    config.graceful_timeout = 1
    config.accesslog = None
    application = gateway.Gateway(ministack.app.app, settings)
    try:
        await serve(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        emulator.shut_down()
        logging.shutdown()
        # Threads that wait for what will never come, such as a custom resource's answer, do not keep it.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
