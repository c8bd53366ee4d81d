"""The rows as a Markdown table: a line for each case, a column for each client and compression."""

from collections.abc import Iterable

from .run import Row


def markdown(rows: Iterable[Row], cases: Iterable[str] = ()) -> str:
    """`ok`, `FAILS`, or nothing for what a client cannot do; below it why what fails does so.

    Args:
        cases: the order of their lines; others follow.
    """
    rows = list(rows)
    columns = list(dict.fromkeys((row.client, row.version, row.compress) for row in rows))
    cells = {(row.case, (row.client, row.version, row.compress)): row for row in rows}
    lines = [
        "| | " + " | ".join(f"{client} {version}".strip() for client, version, _ in columns) + " |",
        "| --- |" + " --- |" * len(columns),
        "| compression | " + " | ".join(compress for _, _, compress in columns) + " |",
    ]
    known = {row.case: None for row in rows}
    for case in dict.fromkeys([*(case for case in cases if case in known), *known]):
        marks = [_mark(cells.get((case, column))) for column in columns]
        lines.append(f"| {case} | " + " | ".join(marks) + " |")
    failed = [row for row in rows if not row.ok]
    if failed:
        lines.append("")
    lines += [f"- {row.client} {row.compress}, {row.case}: {row.detail}" for row in failed]
    return "\n".join(lines)


def _mark(row: Row | None) -> str:
    return "" if row is None else "ok" if row.ok else "FAILS"
