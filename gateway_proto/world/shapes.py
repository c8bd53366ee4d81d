"""Parts of payloads, field by field as Discord documents and sends them, whose values are all made up."""

from typing import Any, Final, TypeAlias

from .values import DAY, EMOJI, Values

Payload: TypeAlias = dict[str, Any]
"""A JSON object."""

STATUSES: Final = ("online", "idle", "dnd", "offline")
GAMES: Final = ("Starfall Arena", "Block Builder", "Rail Tycoon 3", "Deep Rock", "Night Market", "Chess Live")
LOCALES: Final = ("en-US", "en-GB", "de", "fr", "ja", "ko", "pt-BR", "es-ES", "ru", "zh-CN")
FEATURES: Final = (
    "COMMUNITY", "NEWS", "ANIMATED_ICON", "INVITE_SPLASH", "ROLE_ICONS", "BANNER", "PREVIEW_ENABLED",
)  # fmt: skip


class Shapes(Values):
    """Makers of what several payloads have a part in. Each draws its values in a fixed order."""

    def application(self) -> str:
        """The id of the application that somebody plays with."""
        return self.old_snowflake()

    # A Guild's settings, in the order in which they are drawn; what a guild has of its own stands between them.

    def guild_standing(self, owner_id: str) -> Payload:
        """From its region to its onboarding."""
        return {
            "region": "rotterdam",
            "public_updates_channel_id": None,
            "premium_tier": self.pick((0, 0, 1, 2, 3)),
            "premium_subscription_count": self.rng.randrange(30),
            "premium_progress_bar_enabled": False,
            "preferred_locale": self.often(LOCALES),
            "owner_id": owner_id,
            "nsfw_level": 0,
            "nsfw": False,
            "name": f"{self.name()} {self.name()}",
            "mfa_level": 0,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "max_presences": None,
            "max_members": 500_000,
            "latest_onboarding_question_id": None,
        }

    def guild_looks(self, guild_id: str) -> Payload:
        """Its id and icon."""
        return {
            "incidents_data": None,
            "id": guild_id,
            "icon": self.hash(),
            "hub_type": None,
            "home_header": None,
        }

    def guild_features(self) -> Payload:
        return {
            "features": list(self.rng.sample(FEATURES, k=3)),
            "explicit_content_filter": 2,
        }

    def guild_rest(self) -> Payload:
        """What is the same for all."""
        return {
            "embedded_activities": [],
            "discovery_splash": None,
            "description": None,
            "default_message_notifications": 1,
            "banner": None,
            "application_id": None,
            "application_command_counts": {"1": 4},
            "afk_timeout": 300,
            "afk_channel_id": None,
            "activity_instances": [],
        }

    def user(self, user_id: str, name: str) -> Payload:
        """A User."""
        chance = self.random
        decoration = {"asset": f"a_{self.hash()}", "sku_id": self.old_snowflake(), "expires_at": None}
        tag = {
            "identity_guild_id": self.old_snowflake(),
            "identity_enabled": True,
            "tag": self.name()[:4].upper(),
            "badge": self.hash(),
        }
        fields: Payload = {
            "username": name,
            "public_flags": self.pick((0, 0, 0, 64, 128, 256, 4194304)),
            "primary_guild": tag if chance() < 0.2 else None,
            "id": user_id,
            "global_name": name.capitalize() if chance() < 0.8 else None,
            "display_name_styles": None,
            "discriminator": "0",
            "collectibles": None,
            "avatar_decoration_data": decoration if chance() < 0.15 else None,
            "avatar": self.hash() if chance() < 0.9 else None,
        }
        if chance() < 0.04:
            fields |= {"bot": True, "discriminator": f"{self.rng.randrange(10_000):04}"}
        return fields

    def member(self, roles: list[str]) -> Payload:
        """A Guild Member without its user, with some of the roles and with no nick."""
        chance = self.random
        return {
            "roles": self.rng.sample(roles, k=int(chance() ** 3 * min(7, len(roles)))),
            "premium_since": self.old_timestamp() if chance() < 0.05 else None,
            "pending": False,
            "nick": None,
            "mute": False,
            "joined_at": self.old_timestamp(),
            "flags": self.pick((0, 0, 1, 10)),
            "deaf": False,
            "communication_disabled_until": None,
            "banner": None,
            "avatar": self.hash() if chance() < 0.05 else None,
        }

    def presence(self, user_id: str, status: str) -> Payload:
        """A presence as GUILD_CREATE has it."""
        where = self.often(("desktop", "mobile", "web"))
        return {
            "user": {"id": user_id},
            "status": status,
            "client_status": {} if status == "offline" else {where: status},
            "activities": [] if status == "offline" else self.activities(),
        }

    def embed(self) -> Payload:
        image = f"https://img.example.net/{self.hash()}/{self.name()}.webp"
        return {
            "type": "rich",
            "url": f"https://{self.name()}.example.org/{self.name()}/{self.rng.getrandbits(40):x}",
            "title": self.text(8),
            "description": self.text(30),
            "color": self.rng.getrandbits(24),
            "timestamp": self.timestamp(),
            "footer": {"text": self.text(4)},
            "thumbnail": {"width": 1280, "url": image, "proxy_url": image, "height": 720, "flags": 0},
            "fields": [
                {"name": self.text(2), "value": self.text(6), "inline": True} for _ in range(int(self.random() * 4))
            ],
        }

    def attachment(self, channel: str) -> Payload:
        attachment, name = self.snowflake(), f"{self.name()}.png"
        signed = f"ex={self.rng.getrandbits(32):x}&is={self.rng.getrandbits(32):x}&hm={self.hash()}{self.hash()}&"
        return {
            "id": attachment,
            "filename": name,
            "size": self.rng.randrange(20_000, 8_000_000),
            "url": f"https://cdn.example.net/attachments/{channel}/{attachment}/{name}?{signed}",
            "proxy_url": f"https://media.example.net/attachments/{channel}/{attachment}/{name}?{signed}",
            "width": self.pick((640, 1080, 1170, 1920)),
            "height": self.pick((480, 720, 1080, 2532)),
            "content_type": "image/png",
            "placeholder": self.hash()[:22],
            "placeholder_version": 1,
        }

    def buttons(self) -> Payload:
        return {
            "type": 1,
            "id": 1,
            "components": [
                {"type": 2, "id": 2 + index, "style": self.pick((1, 2, 3, 4)), "label": self.name(),
                 "custom_id": f"{self.name()}:{self.rng.getrandbits(32):x}"}
                for index in range(self.rng.randrange(1, 4))
            ],
        }  # fmt: skip

    def activities(self) -> list[Payload]:
        kind = self.random()
        activities: list[Payload] = []
        if kind < 0.35:
            activities.append(self.custom_status())
        if 0.2 < kind < 0.6:
            activities.append(self.playing())
        elif kind >= 0.82:
            activities.append(self.listening())
        return activities

    def custom_status(self) -> Payload:
        return {
            "type": 4,
            "state": self.text(10),
            "name": "Custom Status",
            "id": "custom",
            "emoji": {"name": self.pick(EMOJI)},
            "created_at": self.now - self.rng.randrange(DAY),
        }

    def playing(self) -> Payload:
        began = self.now - self.rng.randrange(DAY // 8)
        application = self.application()
        return {
            "type": 0,
            "timestamps": {"start": began},
            "state": self.text(6),
            "session_id": self.hash(),
            "party": {"id": self.hash(), "size": [self.rng.randrange(1, 5), 5]},
            "name": self.often(GAMES),
            "id": f"{self.rng.getrandbits(60):x}",
            "details": self.text(6),
            "created_at": began,
            "assets": {"small_text": self.name(), "small_image": self.old_snowflake(), "large_image": application},
            "application_id": application,
        }

    def listening(self) -> Payload:
        began = self.now - self.rng.randrange(200_000)
        return {
            "type": 2,
            "timestamps": {"start": began, "end": began + self.rng.randrange(90_000, 400_000)},
            "sync_id": self.hash()[:22],
            "state": f"{self.name()} {self.name()}",
            "session_id": self.hash(),
            "party": {"id": f"spotify:{self.rng.getrandbits(64)}"},
            "name": "Spotify",
            "id": "spotify:1",
            "flags": 48,
            "details": self.text(5),
            "created_at": began,
            "assets": {"large_text": self.text(4), "large_image": f"spotify:{self.hash()}"},
        }

    def role(self, role: str) -> Payload:
        color = self.rng.getrandbits(24)
        return {
            "version": self.now,
            "unicode_emoji": None,
            "tags": {},
            "position": self.rng.randrange(40),
            "permissions": str(self.rng.getrandbits(50)),
            "name": self.name(),
            "mentionable": False,
            "managed": False,
            "id": role,
            "icon": None,
            "hoist": self.random() < 0.3,
            "flags": 0,
            "colors": {"tertiary_color": None, "secondary_color": None, "primary_color": color},
            "color": color,
        }
