"""A client of the secret store: makes a secret, reads it, watches it, rotates it, and reads what it became. Who it is stands in its
certificate; nothing else identifies it."""

import os
import secrets as randomness
import uuid
from pathlib import Path

import grpc
from strongroom.secrets.v1 import secret_access_service_pb2 as access_pb
from strongroom.secrets.v1 import secret_access_service_pb2_grpc as access_grpc
from strongroom.secrets.v1 import secret_service_pb2 as secret_pb
from strongroom.secrets.v1 import secret_service_pb2_grpc as secret_grpc
from strongroom.secrets.v1 import secret_watch_service_pb2 as watch_pb
from strongroom.secrets.v1 import secret_watch_service_pb2_grpc as watch_grpc


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


def watch(watching: watch_grpc.SecretWatchServiceStub, group: str, secret_id: str):
    """A stream of what becomes of the secret. The first message comes at once: from then on nothing is missed."""
    messages = watching.WatchSecrets(watch_pb.WatchSecretsRequest(parent=group, secret_ids=[secret_id]))
    next(messages)
    return messages


def rotated_to(messages) -> int:
    """The number of the version that it was rotated to. Who goes on watching opens the stream again, with `resume_token`, when it ends."""
    for message in messages:
        for event in message.events:
            if event.type == watch_pb.SecretEvent.ROTATED:
                return event.version
    raise EOFError("the stream has ended")


def verdict(as_written: bool) -> str:
    return "as written" if as_written else "something else"


def main() -> None:
    with connect() as channel:
        secrets, access = secret_grpc.SecretServiceStub(channel), access_grpc.SecretAccessServiceStub(channel)
        # A value must come from somewhere that is not a command line: others see that.
        group, secret_id = os.environ["STRONGROOM_GROUP"], f"example-{randomness.token_hex(4)}"
        first, second = randomness.token_urlsafe(18), randomness.token_urlsafe(18)
        # The request id makes a retry safe: the same one again answers as before, and changes nothing.
        secret = secrets.CreateSecret(
            secret_pb.CreateSecretRequest(
                parent=group,
                secret_id=secret_id,
                payload=payload_of(first),
                request_id=str(uuid.uuid4()),
            )
        )
        print("created", secret.name)
        print("read version 1:", verdict(read(access, f"{secret.name}/versions/latest") == first))

        messages = watch(watch_grpc.SecretWatchServiceStub(channel), group, secret_id)
        made = secrets.AddSecretVersion(
            secret_pb.AddSecretVersionRequest(
                parent=secret.name, payload=payload_of(second), etag=secret.etag, request_id=str(uuid.uuid4())
            )
        )
        print("added", made.name)
        print("watched: version", rotated_to(messages))
        messages.cancel()
        print("read version 2:", verdict(read(access, f"{secret.name}/versions/latest") == second))


main()
