"""Asking for the gateway's URL, the recommended shard count and the start limit, over a socket."""

from gateway_proto import ConnectError, Secret
from gateway_proto.discovery import DEFAULT_API, Discovery, DiscoveryAction, DiscoveryFailed, GatewayInfo

from ..clock import Clock, SystemClock
from ..contract import Dialer
from ..driver import Link, Ticker
from ..tasks import background
from .dial import AnyioDialer


async def discover(
    *,
    token: Secret | None = None,
    base: str = DEFAULT_API,
    dialer: Dialer | None = None,
    clock: Clock | None = None,
) -> GatewayInfo:
    """GET /gateway/bot, or without a token /gateway, once. Takes 10 s at most.

    Args:
        base: the API's base URL.

    Raises:
        DiscoveryError: with what to do about it; `retry_after` where the peer asked for patience.
        InvalidConfigError, BuildingUrlError: the token or `base` cannot be used.
    """
    clock = clock or SystemClock()
    machine = Discovery(token=token, base=base)
    outcome: list[DiscoveryAction] = []
    async with background() as group:

        def act(actions: list[DiscoveryAction]) -> bool:
            outcome.extend(actions)
            ticker.rearm()
            if outcome:
                group.cancel_scope.cancel()
            return bool(actions)

        ticker = Ticker(clock, machine.next_timeout, lambda: act(machine.handle_timeout(clock.now())))
        act(machine.connect(clock.now()))
        group.start_soon(ticker.run)
        host, port, tls = machine.endpoint
        try:
            stream = await (dialer or AnyioDialer()).dial(host, port, tls=tls)
        except ConnectError as error:
            act(machine.connection_failed(error, clock.now()))
        else:
            act(machine.connection_made(clock.now()))
            link = Link(
                stream,
                clock,
                on_data=lambda data: act(machine.receive_data(data, clock.now())),
                on_eof=lambda: act(machine.receive_eof(clock.now())),
                drain=lambda: machine.data_to_send(clock.now()),
            )
            await link.run()
    [action] = outcome
    if isinstance(action, DiscoveryFailed):
        raise action.error
    return action.info
