"""The table of values in the chart's README, made from the comments in values.yaml."""

import json
from collections.abc import Iterator

import yaml

from .helm import CHART, ROOT

_README = CHART / "README.md"
_BEGIN, _END = "<!-- values:begin -->\n", "<!-- values:end -->\n"
_LONGEST_DEFAULT = 70


def complaints() -> list[str]:
    source = (CHART / "values.yaml").read_text()
    bare = [f"values.yaml: {name} has no comment" for name, comment, _ in _rows(source) if not comment]
    if _filled() != _README.read_text():
        bare.append(f"{_README.relative_to(ROOT)}: the table is stale; scripts/chart-check.sh --update writes it anew")
    return bare


def write() -> None:
    _README.write_text(_filled())


def _filled() -> str:
    """The README with the table as it should be."""
    readme = _README.read_text()
    if readme.count(_BEGIN) != 1 or readme.count(_END) != 1:
        raise SystemExit(f"error: {_README.relative_to(ROOT)} needs one {_BEGIN.strip()} and one {_END.strip()}")
    before, rest = readme.split(_BEGIN)
    return before + _BEGIN + _table() + _END + rest.split(_END)[1]


def _table() -> str:
    lines = ["| value | default | meaning |", "| --- | --- | --- |"]
    for name, comment, default in _rows((CHART / "values.yaml").read_text()):
        if comment:
            lines.append(f"| `{name}` | {default} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _rows(source: str) -> Iterator[tuple[str, str, str]]:
    """Name, comment and default of each value; groups have a comment at most, and no default."""
    lines = source.splitlines()

    def walk(node: yaml.MappingNode, above: str) -> Iterator[tuple[str, str, str]]:
        for key, value in node.value:
            name = f"{above}{key.value}"
            comment = _comment(lines, key.start_mark.line)
            if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
                if comment:
                    yield name, comment, ""
                yield from walk(value, name + ".")
            else:
                yield name, comment, _default(value)

    yield from walk(yaml.compose(source, yaml.SafeLoader), "")


def _default(node: yaml.Node) -> str:
    text = json.dumps(yaml.safe_load(yaml.serialize(node)))
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see `values.yaml`"


def _comment(lines: list[str], line: int) -> str:
    """The comment right above a line, if there is no empty line between."""
    found = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(found)
