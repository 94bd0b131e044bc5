"""A client of the secret store: makes a secret, reads it, watches it, rotates it, and reads what it became. Who it is stands in its
certificate; nothing else identifies it."""

import os
import secrets as randomness
import threading
import time
import uuid
from pathlib import Path

import grpc
from strongroom.secrets.v1 import secret_access_service_pb2 as access_pb
from strongroom.secrets.v1 import secret_access_service_pb2_grpc as access_grpc
from strongroom.secrets.v1 import secret_service_pb2 as secret_pb
from strongroom.secrets.v1 import secret_service_pb2_grpc as secret_grpc


def file(name: str) -> bytes:
    return Path(os.environ[name]).read_bytes()


def connect() -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(file("STRONGROOM_CA"), file("STRONGROOM_KEY"), file("STRONGROOM_CERT"))
    # Deadlines and retries of every method, as the server's authors publish them.
    options = [("grpc.service_config", file("STRONGROOM_SERVICE_CONFIG").decode())]
    return grpc.secure_channel(os.environ["STRONGROOM_ADDRESS"], credentials, options)


def payload_of(text: str) -> secret_pb.SecretPayload:
    # A CRC32C would be checked on the way in; the package google-crc32c makes one.
    return secret_pb.SecretPayload(text=text)


def read(access: access_grpc.SecretAccessServiceStub, name: str) -> str:
    return access.AccessSecretVersion(access_pb.AccessSecretVersionRequest(name=name)).payload.text


def next_version(secrets: secret_grpc.SecretServiceStub, name: str, version: int) -> int:
    """The number of the next version after `version`. Looks at metadata only, which costs no key and no payload."""
    for _ in range(150):
        latest = secrets.GetSecret(secret_pb.GetSecretRequest(name=name)).latest_version
        if latest > version:
            return latest
        time.sleep(0.2)
    raise TimeoutError(f"{name} was not rotated in 30 s")


def verdict(as_written: bool) -> str:
    return "as written" if as_written else "something else"


def main() -> None:
    with connect() as channel:
        secrets, access = secret_grpc.SecretServiceStub(channel), access_grpc.SecretAccessServiceStub(channel)
        # A value must come from somewhere that is not a command line: others see that.
        first, second = randomness.token_urlsafe(18), randomness.token_urlsafe(18)
        # The request id makes a retry safe: the same one again answers as before, and changes nothing.
        secret = secrets.CreateSecret(
            secret_pb.CreateSecretRequest(
                parent=os.environ["STRONGROOM_GROUP"],
                secret_id=f"example-{randomness.token_hex(4)}",
                payload=payload_of(first),
                request_id=str(uuid.uuid4()),
            )
        )
        print("created", secret.name)
        print("read version 1:", verdict(read(access, f"{secret.name}/versions/latest") == first))

        rotated: list[int] = []
        watcher = threading.Thread(target=lambda: rotated.append(next_version(secrets, secret.name, 1)))
        watcher.start()
        made = secrets.AddSecretVersion(
            secret_pb.AddSecretVersionRequest(
                parent=secret.name, payload=payload_of(second), etag=secret.etag, request_id=str(uuid.uuid4())
            )
        )
        print("added", made.name)
        watcher.join()
        print("watched: version", rotated[0])
        print("read version 2:", verdict(read(access, f"{secret.name}/versions/latest") == second))


main()
