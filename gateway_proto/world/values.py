"""Made-up values of the kinds that Discord sends: snowflakes, hashes, timestamps, names, text. All from one `rng`."""

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

DISCORD_EPOCH: Final = 1_420_070_400_000
"""Milliseconds since the Unix epoch: where snowflakes begin (Reference > Snowflakes)."""
START: Final = 1_772_323_200_000
"""2026-03-01, when every stream begins."""
DAY: Final = 86_400_000
"""Milliseconds."""

_COMMON: Final = (
    "the be to of and a in that have it for not on with he as you do at this but his by from they we say her she or "
    "an will my one all would there their what so up out if about who get which go me when make can like time no just "
    "him know take people into year your good some could them see other than then now look only come its over think "
    "also back after use two how our work first well way even new want because any these give day most us lol yeah "
    "nah ok gg wp hey thanks pls bruh server channel game play match rank team build update patch bug fix join voice "
    "stream tonight tomorrow anyone"
)
_FOREIGN: Final = (
    "今日の夜はみんなで遊びませんか",
    "新しいイベントが始まりました",
    "ありがとうございます、助かりました",
    "大家晚上好 今天有人一起吗",
    "这个版本的更新内容太多了",
    "오늘 저녁에 같이 하실 분 계신가요?",
    "업데이트 이후로 조금 느려진 것 같아요",
    "кто сегодня вечером играет?",
    "¿alguien sabe cómo arreglar esto? él está aquí",
    "heute Abend schaut's gut aus, größere Runde wäre schön",
)
EMOJI: Final = ("😂", "🔥", "👍", "❤️", "😭", "🎉", "👀", "🙏", "💀", "✨", "🇯🇵", "👩‍💻")
SYLLABLES: Final = (
    "ka", "ri", "mo", "ta", "ne", "vo", "lu", "shi", "den", "gra",
    "pol", "wex", "zan", "fi", "ur", "osh", "bel", "tra", "nim", "quo",
)  # fmt: skip


class Values:
    """Draws values. Its clock stands where `tick` has brought it, and no other reads the time."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.random: Callable[[], float] = rng.random
        self.now: int = START
        """Milliseconds since the Unix epoch."""
        self._words = [*_COMMON.split(), *(self.name() for _ in range(600))]

    def pick(self, values: Sequence[T]) -> T:
        """Any of them, each as often."""
        return values[int(self.random() * len(values))]

    def often(self, values: Sequence[T]) -> T:
        """Any of them, the earlier ones far more often, as with people, channels and words."""
        return values[int(self.random() ** 2.5 * len(values))]

    def hash(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.rng.getrandbits(128):032x}"

    def snowflake(self) -> str:
        """The id of something made now."""
        return str((self.now - DISCORD_EPOCH) << 22 | self.rng.getrandbits(22))

    def old_snowflake(self) -> str:
        """The id of something made before the stream began."""
        return str(self.rng.randrange(10_000_000_000, START - DISCORD_EPOCH) << 22 | self.rng.getrandbits(22))

    def tick(self) -> None:
        """Some milliseconds pass."""
        self.now += int(self.random() * 40)

    def timestamp(self, later: int = 0) -> str:
        """Now, or so many milliseconds later, in ISO 8601.

        The calendar has one month of 28 days: nobody streams for longer.
        """
        days, rest = divmod(self.now + later - START, DAY)
        seconds, milliseconds = divmod(rest, 1000)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"2026-03-{1 + days % 28:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}000+00:00"

    def old_timestamp(self) -> str:
        """A moment of the ten years before."""
        n = self.rng.randrange
        return f"20{n(16, 26)}-{n(1, 13):02}-{n(1, 29):02}T{n(24):02}:{n(60):02}:{n(60):02}.{n(1000):03}000+00:00"

    def name(self) -> str:
        """A word that nobody uses twice by chance."""
        return "".join(self.rng.choices(SYLLABLES, k=self.rng.randrange(2, 5)))

    def text(self, longest: int = 22) -> str:
        """A line of up to `longest` words, mostly short; about one in twelve is not ASCII."""
        words = [self.often(self._words) for _ in range(1 + int(self.random() ** 2 * longest))]
        if self.random() < 0.03:
            words.append(self.pick(EMOJI))
        if self.random() < 0.05:
            words.insert(0, self.pick(_FOREIGN))
        return " ".join(words)
