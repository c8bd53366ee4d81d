"""The only events that the harness makes up itself: guilds as they come after READY, and numbered messages.

The server lists guilds in READY and sends no GUILD_CREATE by itself. Where one does, `send_guilds` is to do nothing.
"""

from typing import Any, Final

import msgspec

from gateway_proto import Secret
from gateway_proto.server import ServerConfig
from gateway_transports.serve import Gateway

GUILD_IDS: Final = (41771983423143937, 197038439483310086, 290926798626357999)
_JOINED: Final = "2026-03-01T10:00:00.000000+00:00"


def send_guilds(gateway: Gateway, session_id: Secret) -> None:
    """One GUILD_CREATE for each guild that READY listed."""
    for guild_id in gateway.server.config.guild_ids:
        gateway.dispatch(session_id, "GUILD_CREATE", msgspec.json.encode(_guild(guild_id, gateway.server.config)))


def text_channel(guild_id: int) -> str:
    return str(guild_id + 1)


def voice_channel(guild_id: int) -> str:
    return str(guild_id + 2)


def guild_name(guild_id: int | str) -> str:
    return f"guild {guild_id}"


def message(number: int, guild_id: int) -> bytes:
    """A MESSAGE_CREATE whose content is the number."""
    return msgspec.json.encode(
        {
            "id": str(1_400_000_000_000_000_000 + number),
            "channel_id": text_channel(guild_id),
            "guild_id": str(guild_id),
            "author": {"id": str(guild_id + 3), "username": "owner", "discriminator": "0", "avatar": None},
            "member": {"roles": [], "joined_at": _JOINED, "deaf": False, "mute": False, "flags": 0},
            "content": str(number),
            "timestamp": _JOINED,
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            "components": [],
        }
    )


def _guild(guild_id: int, config: ServerConfig) -> dict[str, Any]:
    """The `d` of GUILD_CREATE (Gateway Events > Guild Create) for a guild that the bot is in already."""
    bot = {"id": str(config.user_id), "username": config.username, "discriminator": "0000", "avatar": None, "bot": True}
    member = {"user": bot, "roles": [], "joined_at": _JOINED, "deaf": False, "mute": False, "flags": 0, "nick": None}
    colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    everyone = {"id": str(guild_id), "name": "@everyone", "color": 0, "colors": colors, "hoist": False, "position": 0}
    return {
        **_settings(guild_id),
        "joined_at": _JOINED,
        "large": False,
        "unavailable": False,
        # More than are listed, so that a client that wants them all asks for them.
        "member_count": 2,
        "members": [member],
        "roles": [{**everyone, "permissions": "2248473465835073", "managed": False, "mentionable": False, "flags": 0}],
        "channels": [
            _channel(text_channel(guild_id), "general", 0, {"topic": None, "last_message_id": None}),
            _channel(voice_channel(guild_id), "voice", 2, {"bitrate": 64000, "user_limit": 0, "rtc_region": None}),
        ],
        "voice_states": [],
        "threads": [],
        "presences": [],
        "emojis": [],
        "stickers": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def _channel(channel_id: str, name: str, type_: int, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": channel_id,
        "type": type_,
        "name": name,
        "position": 0,
        "parent_id": None,
        "permission_overwrites": [],
        "nsfw": False,
        "rate_limit_per_user": 0,
        "flags": 0,
        **more,
    }


def _settings(guild_id: int) -> dict[str, Any]:
    """The guild itself (Guild > Guild Structure)."""
    nothing = (
        "icon",
        "splash",
        "discovery_splash",
        "banner",
        "description",
        "vanity_url_code",
        "application_id",
        "afk_channel_id",
        "system_channel_id",
        "rules_channel_id",
        "public_updates_channel_id",
        "safety_alerts_channel_id",
        "max_presences",
    )
    return {
        "id": str(guild_id),
        "name": guild_name(guild_id),
        "owner_id": str(guild_id + 3),
        **dict.fromkeys(nothing),
        "afk_timeout": 300,
        "verification_level": 1,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "features": [],
        "mfa_level": 0,
        "system_channel_flags": 0,
        "max_members": 500000,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "preferred_locale": "en-US",
        "nsfw_level": 0,
    }
