"""Other people's clients against the embedded gateway, as their users run them.

`python -m tests.interop` makes the clients' environments, starts a driver program for each client and compression, and
judges by what the server reports and what the driver says it saw. `drivers` are those programs: they run in the
clients' environments, where nothing of this project can be imported but themselves.
"""
