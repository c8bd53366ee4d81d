"""What people are called, so made that whose name begins with something is found without anybody's name being kept.

A name is a leaf of a tree of syllables, and the names of a subtree begin alike. Which leaf a user has is the user's
number times a step, modulo their count; the members of a guild are an arithmetic progression of numbers (`Members`),
so their leaves are one, too. Which terms of such a progression lie between two bounds is a question that Euclid's
algorithm answers: in some µs a hit, however large the guild is.
"""

from collections.abc import Iterator
from heapq import merge
from typing import Final

from .mixing import mix
from .values import SYLLABLES

_ORDER: Final = tuple(sorted(SYLLABLES))
"""By the alphabet: what begins with the same letter lies side by side."""
_WIDTH: Final = len(_ORDER)
_LEAST: Final = 2
_DEPTH: Final = 4
"""Syllables of a name: from `_LEAST` to `_DEPTH`."""
_LEAVES: Final = _WIDTH**_DEPTH
_NICKED: Final = 5
"""One member of so many has a nick."""

Arc = tuple[int, int]
"""Leaves: from, to (exclusive)."""


class Names:
    """The usernames of all users and the nicks that members have from the start.

    Args:
        seed: whose world it is.
        count: how many users there are, a prime.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self._count = count
        self._name_step = 1 + mix(seed, 21) % (count - 1)
        self._nick_step = 1 + mix(seed, 22) % (count - 1)

    def name(self, user: int) -> str:
        """The username: two to four syllables and a number."""
        bits = mix(self._seed, 2, user)
        leaf = user * self._name_step % self._count * _LEAVES // self._count
        return _spell(leaf, _LEAST + bits % 3) + str(bits >> 40 & 0x3F)

    def shift(self, guild_id: int) -> int:
        """What makes the nicks of a guild its own."""
        return mix(self._seed, 23, guild_id) % self._count

    def nick(self, shift: int, user: int) -> str | None:
        """The nick, of one user of five."""
        at = (user * self._nick_step + shift) % self._count
        leaf = at * _LEAVES * _NICKED // self._count
        return _spell(leaf, _LEAST + at % 3) if leaf < _LEAVES else None

    def places(self, query: str, shift: int, start: int, stride: int, count: int) -> Iterator[int]:
        """Whose username or nick may begin so, in order; some may come twice, some do not begin so.

        Args:
            query: in lower case.
            start, stride, count: of the users `start` + place * `stride`, for the places below `count`.
        """
        arcs, all = _arcs(query), self._count
        name, nick = self._name_step, self._nick_step
        walks = [_walk(start * name, stride * name, all, arc, _LEAVES, count) for arc in arcs]
        walks += [_walk(start * nick + shift, stride * nick, all, arc, _LEAVES * _NICKED, count) for arc in arcs]
        return merge(*walks)


def _spell(leaf: int, length: int) -> str:
    path = []
    for _ in range(_DEPTH):
        leaf, place = divmod(leaf, _WIDTH)
        path.append(_ORDER[place])
    return "".join(path[: -length - 1 : -1])


def _arcs(query: str, depth: int = 0, first: int = 0) -> list[Arc]:
    """The leaves of all names that begin so, and of some that may not: numbers are not in the tree."""
    size = _WIDTH ** (_DEPTH - depth)
    if not query or (depth >= _LEAST and query.isdecimal()):
        return [(first, first + size)]
    if depth == _DEPTH:
        return []
    found: list[Arc] = []
    for place, syllable in enumerate(_ORDER):
        low = first + place * (size // _WIDTH)
        if syllable.startswith(query):
            _append(found, (low, low + size // _WIDTH))
        elif query.startswith(syllable):
            found += _arcs(query[len(syllable) :], depth + 1, low)
    return found


def _append(arcs: list[Arc], arc: Arc) -> None:
    if arcs and arcs[-1][1] == arc[0]:
        arcs[-1] = arcs[-1][0], arc[1]
    else:
        arcs.append(arc)


def _walk(start: int, step: int, modulus: int, arc: Arc, leaves: int, count: int) -> Iterator[int]:
    """The places below `count` at which `start` + place * `step`, modulo `modulus`, falls on one of these leaves."""
    low, high = -(-arc[0] * modulus // leaves), -(-arc[1] * modulus // leaves) - 1
    if low > high:
        return
    step %= modulus
    place = 0
    while place < count:
        at = (start + place * step) % modulus
        if not low <= at <= high:
            place += first_hit(step, modulus, (low - at) % modulus, (high - at) % modulus)
            if place >= count:
                return
        yield place
        place += 1


def first_hit(step: int, modulus: int, low: int, high: int) -> int:
    """The least number whose `step`-fold, modulo `modulus`, lies from `low` to `high`.

    `modulus` and `step` have no common divisor, 0 < `low` <= `high` < `modulus`: there is one.
    """
    times = -(-low // step)
    if times * step <= high:
        return times
    # Between two multiples of `step`: each turn round the circle shifts those, and which turn hits is as much a
    # question of this kind, of smaller numbers.
    turns = first_hit(modulus % step, step, -high % step, -low % step)
    return -(-(low + modulus * turns) // step)
