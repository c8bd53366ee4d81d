"""Where all that is derived comes from: numbers that depend on others in no way that anybody sees."""

from typing import Final

_MASK: Final = 2**64 - 1


def mix(*values: int) -> int:
    """64 bits that depend on each of the values and on nothing else (the finaliser of splitmix64)."""
    state = 0
    for value in values:
        state = (state ^ value) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def next_prime(number: int) -> int:
    """The least prime from `number` on."""
    while number < 2 or any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number
