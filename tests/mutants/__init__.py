"""Deliberate faults in the engine, each of which some test must catch: `python -m tests.mutants [--json]`.

`catalogue.py` lists the faults, with `server.py` and `testing.py`, `trial.py` tries one in a copy of the tree,
`inside.py` makes sure that it was the copy that was tried, `machine.py` is the rule machine in brief.
"""
