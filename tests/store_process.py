"""A program with a `SqliteStore`, as a process that a test can kill. Run as a script:

store_process.py FILE TOTAL SHARD... saves a session for each shard at the sequence that each line of stdin says, and
answers with the line once `save` has returned. Ends with its stdin.
"""

import sys

from gateway_proto import Secret, Session, SessionBinding
from gateway_transports.stores import SqliteStore, StoreError


def session(shard_id: int, total: int, sequence: int) -> Session:
    return Session(
        id=Secret(f"hidden-{shard_id}"),
        sequence=sequence,
        resume_url=Secret("wss://gateway.discord.gg/?hidden=1"),
        binding=SessionBinding(
            shard=(shard_id, total),
            intents=1,
            api_version=10,
            encoding="json",
            transport_compression=None,
            payload_compression=False,
        ),
        application_id=7,
        saved_at=1.5,
    )


def main(path: str, total: int, *shard_ids: int) -> None:
    try:
        store = SqliteStore(path, application_id=7, shard_ids=shard_ids, total=total)
    except StoreError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    with store:
        print({id: found.sequence for id, found in store.load().items()}, flush=True)
        for line in sys.stdin:
            store.save({id: session(id, total, int(line)) for id in shard_ids})
            print(line, end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
