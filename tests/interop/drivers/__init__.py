"""The driver programs: options and commands as JSON lines on stdin, what the client saw as JSON lines on stdout.

The first line on stdin are the options: api, gateway, token, intents, activity (of the
first presence, which is idle), sharded, compress, modules. Then commands:

    {"do": "presence", "status": "dnd", "activity": "chess"}
    {"do": "voice", "guild": "1", "channel": "2"}
    {"do": "members", "guild": "1", "query": "a", "limit": 5, "nonce": "n"}
    {"do": "members by id", "guild": "1", "ids": ["2"], "nonce": "n"}
    {"do": "latency"}
    {"do": "close"}, and so does the end of stdin

Lines on stdout, `saw` first: start (version), ready (user, guilds), dispatch (name, number: `d._number`), guild (id,
name), message (content), resumed, members (count), latency (seconds), log (level, text: WARNING and above), stopped
(code, error: None after a close that was asked for).
"""
