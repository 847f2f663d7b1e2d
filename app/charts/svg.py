"""From Vega's SVG to one that goes into a page: named, stripped to what it draws, and small.

Only elements and attributes on the lists below are let through; there is no link, script, style
or foreign content among them, whatever the renderer may come to write.
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from app.charts.drawing import FONT

SVG = "http://www.w3.org/2000/svg"

ELEMENTS = frozenset({"svg", "g", "path", "line", "text"})
ATTRIBUTES = frozenset(
    {
        *("d", "transform", "x", "y", "x1", "y1", "x2", "y2"),
        *("fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap"),
        *("stroke-linejoin", "stroke-opacity", "opacity"),
        *("font-size", "font-weight", "font-style", "text-anchor"),
    }
)
INHERITED = (
    *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin"),
    *("font-size", "font-weight", "font-style", "text-anchor"),
)
DEFAULTS = {
    "opacity": "1",
    "stroke-width": "1",
    "text-anchor": "start",
    "font-weight": "normal",
    "transform": "translate(0,0)",
    "x2": "0",
    "y2": "0",
}
"""What need not be written where nothing around it says otherwise."""

_NUMBER = re.compile(r"-?\d*\.\d{2,}(?:e-?\d+)?|-?\d+(?:\.\d+)?e-?\d+")
_TRANSLATE = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")
_LETTERS = re.compile(r"[A-Za-z0-9–]+")
"""Of which each is one character and one glyph, so that a list of places fits them."""

_GEOMETRY = ("d", "transform", "x", "y", "x1", "y1", "x2", "y2", "stroke-width", "font-size")


def finish(rendered: str, *, prefix: str, title: str, description: str) -> str:
    """The picture, ready to stand in a page, with its title and description for screen readers.

    Args:
        rendered: SVG as Vega writes it.
        prefix: begins every id.
        title, description: plain text.

    Raises:
        RuntimeError: the renderer wrote an element that a chart has no use for.
    """
    source = ElementTree.fromstring(rendered)  # nosec B314  # noqa: S314 (our own)
    width, height = source.get("width", "0"), source.get("height", "0")
    root = Element(
        "svg",
        {
            "xmlns": SVG,
            "role": "img",
            "aria-labelledby": f"{prefix}-title {prefix}-desc",
            "width": width,
            "height": height,
            "viewBox": f"0 0 {width} {height}",
            "font-family": FONT,
            "fill": "none",
        },
    )
    for tag, text in (("title", title), ("desc", description)):
        named = Element(tag, {"id": f"{prefix}-{tag}"})
        named.text = text
        root.append(named)
    for child in source:
        root.extend(_slim(child))
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def _slim(element: Element) -> list[Element]:
    """The element without what draws nothing; a group that only holds others gives way to them."""
    tag = element.tag.removeprefix(f"{{{SVG}}}")
    if tag not in ELEMENTS:
        raise RuntimeError(f"the renderer wrote <{tag}>, which has no place in a chart")
    if element.get("display") == "none" or (tag == "path" and _is_empty(element)):
        return []
    kept = Element(tag, _attributes(element))
    kept.text = element.text
    for child in element:
        kept.extend(_slim(child))
    if tag != "g":
        return [kept]
    children = _merge(list(kept))
    del kept[:]
    kept.extend(children)
    kept.attrib.pop("fill", None)
    if not children:
        return []
    if len(children) > 1:
        _hoist(kept)
    return [kept] if kept.attrib else list(kept)


def _is_empty(path: Element) -> bool:
    painted = path.get("fill", "none") != "none" or path.get("stroke", "none") != "none"
    return not path.get("d") or not painted


def _attributes(element: Element) -> dict[str, str]:
    kept = {
        name: _rounded(value) if name in _GEOMETRY else value
        for name, value in element.items()
        if name in ATTRIBUTES
    }
    if "font-size" in kept:
        kept["font-size"] = kept["font-size"].removesuffix("px")
    kept = {name: value for name, value in kept.items() if DEFAULTS.get(name) != value}
    moved = _TRANSLATE.fullmatch(kept.get("transform", ""))
    if moved and element.tag.endswith("}text"):
        del kept["transform"]
        kept["x"], kept["y"] = moved.groups()
    return kept


def _rounded(value: str) -> str:
    """Coordinates to a tenth of a pixel."""
    return _NUMBER.sub(
        lambda match: f"{float(match[0]):.1f}".replace("-0.0", "0").removesuffix(".0"), value
    )


def _merge(children: list[Element]) -> list[Element]:
    """Neighbours of the same paint as one element: the same picture, much shorter."""
    merged: list[Element] = []
    for child in children:
        child = _as_path(child)
        if not (merged and _join(merged[-1], child)):
            merged.append(child)
    return merged


def _join(last: Element, child: Element) -> bool:
    """Draw the second with the first, if they are lines, boxes, or letters of one line."""
    if child.tag != last.tag or "opacity" in child.attrib or _paint(child) != _paint(last):
        return False
    if child.tag == "path" and _is_plain(child) and _is_plain(last):
        last.set("d", last.get("d", "") + child.get("d", ""))
        return True
    if child.tag == "text" and _is_letter(child) and last.get("y") == child.get("y"):
        places = last.get("x", "").split()
        if len(places) != len(last.text or "") or not _LETTERS.fullmatch(last.text or ""):
            return False
        last.set("x", " ".join([*places, child.get("x", "")]))
        last.text = (last.text or "") + (child.text or "")
        return True
    return False


def _is_letter(text: Element) -> bool:
    return (
        "x" in text.attrib
        and len(text.text or "") == 1
        and bool(_LETTERS.fullmatch(text.text or ""))
    )


def _as_path(line: Element) -> Element:
    if line.tag != "line":
        return line
    moved = _TRANSLATE.fullmatch(line.get("transform", "translate(0,0)"))
    if moved is None or "x1" in line.attrib or "y1" in line.attrib:
        return line
    x, y = moved.groups()
    dx, dy = line.get("x2", "0"), line.get("y2", "0")
    stroke = f"h{dx}" if dy == "0" else f"v{dy}" if dx == "0" else f"l{dx},{dy}"
    return Element("path", {"d": f"M{x},{y}{stroke}", **_paint(line)})


def _is_plain(path: Element) -> bool:
    """No transform, and closed boxes or open lines only, fit to lie beside each other."""
    return "transform" not in path.attrib and "C" not in path.get("d", "")


def _paint(element: Element) -> dict[str, str]:
    return {
        name: value
        for name, value in element.items()
        if name not in _GEOMETRY or name == "stroke-width"
    }


def _hoist(group: Element) -> None:
    """Say once what all children say."""
    for name in INHERITED:
        values = {child.get(name) for child in group}
        if len(values) == 1 and None not in values and name not in group.attrib:
            group.set(name, values.pop() or "")
            for child in group:
                del child.attrib[name]
