"""The driver programs: options and commands as JSON lines on stdin, what the client saw as JSON lines on stdout.

The first line on stdin are the options: api, gateway, token, intents, activity (of the
first presence, which is idle), sharded, compress, chunk (False: do not ask for all members by yourself), modules. Then
commands:

    {"do": "presence", "status": "dnd", "activity": "chess"}
    {"do": "voice", "guild": "1", "channel": "2"}
    {"do": "members", "guild": "1", "query": "a", "limit": 5, "nonce": "n"}
    {"do": "members by id", "guild": "1", "ids": ["2"], "presences": true, "nonce": "n"}
    {"do": "all members", "guild": "1", "presences": true, "nonce": "n"}
    {"do": "cache", "guild": "1"}
    {"do": "latency"}
    {"do": "close"}, and so does the end of stdin

Lines on stdout, `saw` first. By the payloads as they came: dispatch (name, number: `d._number`) for each, and chunk
(guild, ids, index, count, nonce, not_found, presences: ids) for GUILD_MEMBERS_CHUNK. By what the client's user is told:
start (version), ready (user, guilds), guild, unavailable, joined, left (id, and where there is one its name), message
(id, content), resumed, members (ids), limited (where it has an event for it: guild, seconds), cache (guild, name,
members: how many, channels, roles, emojis, stickers: ids, voice: channels by users), latency (seconds), log (level,
text: WARNING and above; DISCARDED for an event that the client left aside), stopped (code, error: None after a close
that was asked for).
"""
