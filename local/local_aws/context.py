"""What the parts of the emulator's process share: its settings, and boto3 clients that call it.

Clients are made from one botocore session, whose service models are then read once, and are kept for each
service and identity: making one takes longer than most calls.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import botocore.session

    from local_aws.settings import Settings

_settings: list[Settings] = []
_lock = threading.Lock()
_clients: dict[tuple[str, str, str, int], Any] = {}
_CLIENTS_KEPT = 256


def configure(settings: Settings) -> None:
    _settings[:] = [settings]


def settings() -> Settings:
    if not _settings:
        message = "local_aws.context.configure() has not been called"
        raise RuntimeError(message)
    return _settings[0]


@cache
def session() -> botocore.session.Session:
    import botocore.session

    return botocore.session.Session()


def client(
    service: str,
    credentials: dict[str, str] | None = None,
    region: str | None = None,
    *,
    attempts: int = 1,
) -> Any:
    """A client of this instance: as the account's root, or with a role's temporary credentials.

    One attempt, where who calls decides about another, as Step Functions does.
    """
    from botocore.config import Config

    keys = credentials or {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    region = region or settings().region
    key = (service, keys["AWS_ACCESS_KEY_ID"], region, attempts)
    with _lock:  # botocore's session is not safe for concurrent client creation
        if key not in _clients:
            if len(_clients) >= _CLIENTS_KEPT:
                _clients.pop(next(iter(_clients)))
            _clients[key] = session().create_client(
                service,
                endpoint_url=settings().endpoint,
                region_name=region,
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys.get("AWS_SESSION_TOKEN"),
                # A Lambda may run 15 minutes.
                config=Config(
                    retries={"total_max_attempts": attempts, "mode": "standard"},
                    read_timeout=910,
                    max_pool_connections=64,
                    s3={"addressing_style": "path"},
                    parameter_validation=True,
                ),
            )
        return _clients[key]
