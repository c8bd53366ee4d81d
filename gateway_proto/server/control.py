"""The control API of a server: a script in any language makes its gateway misbehave, and reads what came of it.

It has a port of its own and not paths on the gateway's: that port may be open to other machines while this one is not,
may speak TLS, and counts its sockets, at which planned faults strike. Each request carries `Authorization: Bearer
<token>`; the token is the API's own. One request a connection; every answer is JSON, an error `{"message": "..."}`.

`POST /control/dispatch`
    `{"shard": 0, "t": "MESSAGE_CREATE", "d": {...}}` sends the event to the sessions of the target; one that is away
    gets it with its RESUME. The answer is `{"reached": 1}`. 404: the target has no session.

`POST /control/fault`
    `{"target": {"shard": 0}, "fault": "close", "code": 4000}` lets a fault strike: its name, and its fields beside it
    (`gateway_proto.server.faults` documents them). 404: there is nothing that it can strike.

`POST /control/world`
    `{"events": 10}` lets the next 10 things happen in the world (1 to 1,000), `{"guild": "41771983444115456", "outage":
    true}` begins an outage of a guild, and false ends it; sessions are told as ever. The answer is what happened:
    `{"happened": [{"t": "GUILD_DELETE", "guild": "41771983444115456"}]}`; the guild is null for direct messages.
    404: the bot is not in that guild. 409: there is no world (`serve --members`), or the outage is so already.

A target is `{"shard": 0}` (or `[0, 2]`), `{"session": 1}` (its number, or its id), `{"connection": 3}`, `"all"`, and
for faults `{"next": 1}`, the next connections that ask for the upgrade. It may also stand beside the other keys, as in
`"shard": 0` or `"all": true`.

`GET /control/state`
    The sessions that can be resumed or are served, the connections with what came on each by opcode, the IDENTIFYs left
    and the number of the last message.

`GET /control/sent?shard=&op=&since=&limit=`
    What clients sent, oldest first: `{"messages": [{"number", "connection", "shard", "op", "d"}], "last": 12,
    "first": 1}`. `since` is a number: only later ones. `op` is an opcode or its name. `last` is the number to go on
    from with `since`; those before `first` are no longer kept. At most `limit` (1,000) at a time. The secrets of
    IDENTIFY and RESUME read `***`.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ..codec import DECODE_ERRORS
from ..errors import InvalidConfigError
from ..secret import Secret
from ..world import GuildWorld, WorldEvent
from .actions import ServerAction
from .checked import is_int
from .effects import Effect, Outcome, Target, ToNext, carry_out
from .http import HttpExchange, HttpRequest, HttpResponse
from .identify import is_shallow
from .reading import TARGETS, only, printed, read_event, read_fault, read_opcode, read_target
from .sent import MAX_MESSAGES, SentLog, SentMessage
from .server import Server
from .world import is_snowflake

MAX_HEADER: Final = 16 * 2**10
MAX_BODY: Final = 4 * 2**20
"""Bytes. A GUILD_CREATE of a large guild is about one MiB."""
PAGE: Final = 1000
"""Messages in one answer, unless the query asks for fewer or more."""

MAX_HAPPENING: Final = 1000
"""Events of the world in one request: about a quarter of a second, for which everybody else waits."""

_decode_body: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ROUTES: Final = {
    "/control/dispatch": "POST",
    "/control/fault": "POST",
    "/control/world": "POST",
    "/control/state": "GET",
    "/control/sent": "GET",
}


class Control:
    """Answers requests about a server. Hand it every action of that server, for `GET /control/sent`.

    Args:
        token: what requests must bear.
    """

    def __init__(self, server: Server, token: Secret) -> None:
        self.sent: SentLog = SentLog()
        self._server = server
        self._token = token.reveal().encode()
        self._handlers: dict[str, Callable[[HttpRequest, bytes, float], tuple[Any, list[ServerAction]]]] = {
            "/control/dispatch": self._dispatch,
            "/control/fault": self._fault,
            "/control/world": self._world,
            "/control/state": self._state,
            "/control/sent": self._sent,
        }

    def on_action(self, action: ServerAction) -> None:
        """Something happened in the server."""
        self.sent.on_action(action)

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """Judge a request by its header alone; None: its body is wanted."""
        if not self._is_authorized(request):
            return _error(401, "the Authorization header must bear the control token", ("WWW-Authenticate", "Bearer"))
        method = _ROUTES.get(request.path)
        if method is None:
            return _error(404, f"there is no {printed(request.path)}; there are {', '.join(_ROUTES)}")
        if request.method != method:
            return _error(405, f"{request.path} takes {method}", ("Allow", method))
        return None

    def handle(self, request: HttpRequest, now: float) -> tuple[HttpResponse, list[ServerAction]]:
        """Do what a whole request asks for that `refusal` let pass. The actions are for the server's drivers."""
        if request.body is None:
            return _error(413, f"the body must not exceed {MAX_BODY} bytes"), []
        try:
            answer, actions = self._handlers[request.path](request, request.body, now)
        except InvalidConfigError as error:
            return _error(400, str(error)), []
        except _NobodyError as error:
            return _error(404, str(error)), []
        except _ConflictError as error:
            return _error(409, str(error)), []
        return HttpResponse(200, answer), actions

    def _is_authorized(self, request: HttpRequest) -> bool:
        values = request.values(b"authorization")
        scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
        # The time that this takes tells nothing of where a guess goes wrong.
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"

    def _dispatch(self, request: HttpRequest, body: bytes, now: float) -> tuple[Any, list[ServerAction]]:
        raw = _object(body)
        target = _take_target(raw)
        if isinstance(target, ToNext):
            raise InvalidConfigError("next: is for faults; an event goes to a shard, a session, a connection or all")
        only(raw, ("t", "d"), "the body")
        if "d" not in raw:
            raise InvalidConfigError("d: is missing")
        name = _plain(raw["t"]) if "t" in raw else None
        return self._carry_out(read_event(name, bytes(raw["d"])), target, now)

    def _fault(self, request: HttpRequest, body: bytes, now: float) -> tuple[Any, list[ServerAction]]:
        raw = _object(body)
        target = _take_target(raw)
        fields = {key: _plain(value) for key, value in raw.items()}
        return self._carry_out(read_fault(fields.pop("fault", None), fields), target, now)

    def _world(self, request: HttpRequest, body: bytes, now: float) -> tuple[Any, list[ServerAction]]:
        world = self._server.world
        if world is None:
            raise _ConflictError("there is no world: serve --members, or ServerConfig.world, makes one")
        raw = {key: _plain(value) for key, value in _object(body).items()}
        happened: Iterable[WorldEvent]
        if "events" in raw:
            only(raw, ("events",), "the body")
            count = raw["events"]
            if not is_int(count) or not 1 <= count <= MAX_HAPPENING:
                raise InvalidConfigError(f"events: must be an integer from 1 to {MAX_HAPPENING}")
            happened = (world.next_event() for _ in range(count))
        else:
            only(raw, ("guild", "outage"), "the body")
            happened = [_change_outage(world, raw.get("guild"), raw.get("outage"))]
        told: list[dict[str, Any]] = []
        actions: list[ServerAction] = []
        for event in happened:
            # Before the next is drawn.
            actions += self._server.dispatch_world(event, now)
            told.append({"t": event.name, "guild": None if event.guild_id is None else str(event.guild_id)})
        return {"happened": told}, actions

    def _carry_out(self, effect: Effect, target: Target, now: float) -> tuple[Any, list[ServerAction]]:
        outcome: Outcome = carry_out(self._server, effect, target, now)
        if outcome.reached == 0 and not outcome.actions:
            raise _NobodyError("the target reaches nobody: GET /control/state tells who is there")
        return {"reached": outcome.reached}, outcome.actions

    def _state(self, request: HttpRequest, body: bytes, now: float) -> tuple[Any, list[ServerAction]]:
        only(request.query, (), "the query")
        limit = self._server.start_limit(now)
        return {
            "url": self._server.config.url,
            "sessions": [
                {
                    "session": session.number,
                    "shard": session.shard or (0, 1),
                    "connection": session.connection_id,
                    "sequence": session.sequence,
                    "kept": len(session.buffer),
                    "intents": session.intents,
                    "presence": session.presence,
                }
                for session in self._server.sessions.values()
            ],
            "connections": [
                {
                    "connection": connection.id,
                    "session": None if connection.session is None else connection.session.number,
                    "open": connection.is_open,
                    "stalled": connection.is_stalled,
                    "sent": {str(op): count for op, count in sorted(self.sent.by_connection.get(id, {}).items())},
                }
                for id, connection in self._server.connections.items()
            ],
            "identifies": {"total": limit.total, "remaining": limit.remaining, "reset_after": limit.reset_after},
            "last": self.sent.count,
        }, []

    def _sent(self, request: HttpRequest, body: bytes, now: float) -> tuple[Any, list[ServerAction]]:
        query = request.query
        only(query, ("shard", "op", "since", "limit"), "the query")
        op = query.get("op")
        limit = min(_from_query(query, "limit") or PAGE, MAX_MESSAGES)
        messages = self.sent.messages(
            opcode=None if op is None else read_opcode(int(op) if _is_number(op) else op),
            shard=_from_query(query, "shard"),
            since=_from_query(query, "since") or 0,
            limit=limit,
        )
        # What the query does not want need not be looked at again; what did not fit into the answer must.
        last = messages[-1].number if len(messages) == limit else self.sent.count
        return {"messages": [_shown(message) for message in messages], "last": last, "first": self.sent.first}, []


class ControlConnection:
    """One socket of the API: one request, one answer. Never raises for what came from the network.

    Input: `receive_data`. Drain: `data_to_send`. Once `is_done`, send that and close. A time limit is the driver's.
    """

    def __init__(self, control: Control) -> None:
        self.is_done: bool = False
        """The answer is in `data_to_send`."""
        self._control = control
        self._exchange = HttpExchange(MAX_HEADER, MAX_BODY, control.refusal)
        self._inbox = bytearray()
        self._out = b""

    def receive_data(self, data: bytes, now: float) -> list[ServerAction]:
        """Bytes of the client, in any chunking. Gives what the server's drivers must know."""
        if self.is_done:
            return []
        self._inbox += data
        request = self._exchange.next_request(self._inbox)
        actions: list[ServerAction] = []
        if request is None:
            if self._exchange.wants_continue:
                self._out += self._exchange.go_on()
            return actions
        if isinstance(request, HttpRequest):
            request, actions = self._control.handle(request, now)
        self._answer(request)
        return actions

    def data_to_send(self) -> bytes:
        """Take the bytes to write."""
        data, self._out = self._out, b""
        return data

    def _answer(self, response: HttpResponse) -> None:
        self._out += self._exchange.answer(response)
        self._inbox.clear()
        self.is_done = True


class _NobodyError(Exception):
    """An effect reached nothing."""


class _ConflictError(Exception):
    """What is there does not allow it."""


def _change_outage(world: GuildWorld, guild: Any, begins: Any) -> WorldEvent:
    if not is_snowflake(guild):
        raise InvalidConfigError("guild: must be the id of a guild, beside outage; or give events alone")
    if not isinstance(begins, bool):
        raise InvalidConfigError("outage: must be true or false")
    guild_id = int(guild)
    if guild_id not in world:
        raise _NobodyError(f"the bot is not in guild {guild_id}: READY lists the guilds")
    event = world.begin_outage(guild_id) if begins else world.end_outage(guild_id)
    if event is None:
        raise _ConflictError(f"guild {guild_id} {'is unavailable already' if begins else 'has no outage'}")
    return event


def _object(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        # What is passed on as it is must be text: the decoder does not look into the strings of a Raw.
        body.decode()
        return _decode_body(body)
    except DECODE_ERRORS:
        raise InvalidConfigError("the body: must be a JSON object in UTF-8") from None


def _plain(value: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(value)
    except DECODE_ERRORS:
        raise InvalidConfigError("the body: holds a number that is out of range") from None


def _take_target(raw: dict[str, msgspec.Raw]) -> Target:
    """Take the target out of a body: `target`, or one of its keys beside the others."""
    named = [key for key in (*TARGETS, "target") if key in raw]
    if len(named) != 1:
        keys = ", ".join(TARGETS)
        raise InvalidConfigError(f"target: must be given once, as target or as one of {keys}")
    value = _plain(raw.pop(named[0]))
    return read_target(value if named == ["target"] else {named[0]: value})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _from_query(query: dict[str, str], key: str) -> int | None:
    text = query.get(key)
    if text is not None and not _is_number(text):
        raise InvalidConfigError(f"{key}: must be an integer from 0")
    return None if text is None else int(text)


def _shown(message: SentMessage) -> dict[str, Any]:
    data = message.data
    return {
        "number": message.number,
        "connection": message.connection,
        "shard": message.shard,
        "op": message.opcode,
        "d": data if is_shallow(data) else message.raw.decode(errors="replace"),
    }


def _error(status: int, message: str, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, {"message": message}, headers)
