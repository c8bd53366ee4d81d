"""The engine in a program of plain blocking sockets: one thread, no event loop, no other library."""

import random
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from gateway_proto import Connect, Disconnect, Dispatch, Fatal, IdentifyWanted, Reconnect, Shard, ShardConfig


def run(config: ShardConfig, context: ssl.SSLContext, on_event: Callable[[Dispatch], object]) -> None:
    """Hand over events until `on_event` returns true (the session is kept) or the shard ends (its cause is raised)."""
    shard, now, sock, generation = Shard(config, rng=random.SystemRandom()), time.monotonic, socket.socket(), 0
    sock.close()  # there is none yet: whatever is tried on it is an OSError, as on any dead one
    actions = shard.connect(now())
    while actions or shard.next_timeout() is not None:
        for action in actions:  # which grow meanwhile
            match action:
                case Connect(generation=generation, host=host, port=port):
                    try:
                        sock = context.wrap_socket(socket.create_connection((host, port), 10), server_hostname=host)
                        actions += shard.connection_made(generation, now())
                    except OSError as error:
                        actions += shard.connection_failed(generation, error, now())
                case Disconnect(farewell=farewell, grace=grace):
                    with sock, suppress(OSError):
                        sock.settimeout(grace)
                        sock.sendall(farewell)
                        end = now() + grace  # closing with bytes unread would reset the farewell away
                        while sock.recv(65536) and now() < end:
                            sock.settimeout(max(end - now(), 0.001))
                case Reconnect(after=seconds):
                    time.sleep(seconds)
                case IdentifyWanted():
                    actions += shard.identify(action.permit(), now())
                case Dispatch() if shard.snapshot().started:
                    actions += shard.close(now()) if on_event(action) else []
                    shard.delivered(action.epoch, action.sequence)
                case Fatal(cause=cause):
                    raise cause
        actions = []
        try:
            sock.settimeout(10)
            sock.sendall(shard.data_to_send(now()))
            sock.settimeout(max((shard.next_timeout() or 0.0) - now(), 0.001))
            with suppress(TimeoutError):
                data = sock.recv(65536)
                actions = shard.receive_data(generation, data, now()) if data else shard.receive_eof(generation, now())
        except OSError:
            actions = shard.receive_eof(generation, now())
        actions += shard.handle_timeout(now())
