"""Stage channels that go live."""

from .guild import STAGE, Guild
from .scene import Maker, Scene, WorldEvent, happened
from .shapes import Payload

_GUILD_ONLY = 2
"""Privacy level (Discord: Stage Instance Resource > Privacy Level)."""


class Stages:
    """Makers by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self.makers: dict[str, Maker] = {
            "STAGE_INSTANCE_CREATE": self.begin,
            "STAGE_INSTANCE_UPDATE": self.update,
            "STAGE_INSTANCE_DELETE": self.end,
        }

    def begin(self, guild: Guild) -> WorldEvent | None:
        live = {stage["channel_id"] for stage in guild.stages.values()}
        quiet = [channel for channel in guild.channels_of(STAGE) if channel not in live]
        if not quiet:
            return None
        guild = self._scene.edit(guild)
        stage: Payload = {
            "topic": self._draw.text(8)[:120],
            "privacy_level": _GUILD_ONLY,
            "id": self._draw.snowflake(),
            "guild_scheduled_event_id": None,
            "guild_id": str(guild.id),
            "discoverable_disabled": True,
            "channel_id": self._draw.pick(quiet),
        }
        guild.stages[stage["id"]] = stage
        return happened("STAGE_INSTANCE_CREATE", guild, stage)

    def update(self, guild: Guild) -> WorldEvent | None:
        """Another topic."""
        if not guild.stages:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.stages))
        guild.stages[id] = guild.stages[id] | {"topic": self._draw.text(8)[:120]}
        return happened("STAGE_INSTANCE_UPDATE", guild, guild.stages[id])

    def end(self, guild: Guild) -> WorldEvent | None:
        return self._ending(self._draw.pick(list(guild.stages)))(guild) if guild.stages else None

    def ending(self, guild: Guild, channel: str) -> list[Maker]:
        """What is live in a channel ends."""
        return [self._ending(id) for id, stage in guild.stages.items() if stage["channel_id"] == channel]

    def _ending(self, id: str) -> Maker:
        def end(guild: Guild) -> WorldEvent | None:
            if id not in guild.stages:
                return None
            return happened("STAGE_INSTANCE_DELETE", guild, self._scene.edit(guild).stages.pop(id))

        return end
