"""CloudFront's lists in pages: MaxItems (at most 100), Marker and NextMarker, which ministack ignores.

CloudFront API reference, ListDistributions: "If you have more than MaxItems distributions, ... IsTruncated"; the same words stand in
every List operation. A list is split once into its items' bytes and served from there until something is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from multidict import CIMultiDict

from lab.aws.wire import Call, Reply

NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
MOST_ITEMS = 100
_KEY = re.compile(rb"<(?:Id|Name)>([^<]+)<")
_TEXT = re.compile(rb">([^<]+)<")


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list: its root element, what members its header has, and its items as XML."""

    root: str
    members: frozenset[str]
    items: tuple[bytes, ...]


def item_tag(call: Call) -> str | None:
    """The element of one item, for a paged list operation; None for any other."""
    shape: Any = call.model.output_shape if call.model is not None and call.operation.startswith("List") else None
    payload = shape.members.get(str(shape.serialization.get("payload"))) if shape is not None else None
    if payload is None or payload.type_name != "structure" or "MaxItems" not in payload.members:
        return None
    items = payload.members["Items"]
    return str(items.member.serialization.get("name", items.member.name))


def split(call: Call, body: bytes, tag: str) -> Listing:
    assert call.model is not None and call.model.output_shape is not None
    payload: Any = call.model.output_shape.members[str(call.model.output_shape.serialization["payload"])]
    items = re.findall(rb"<%b>.*?</%b>" % (tag.encode(), tag.encode()), body, re.DOTALL)
    return Listing(payload.name, frozenset(payload.members), tuple(items))


def _key(item: bytes) -> str:
    """An item's id or name; a bare element's text."""
    found = _KEY.search(item) or _TEXT.search(item)
    return found.group(1).decode() if found else ""


def _start(listing: Listing, marker: str) -> int:
    """The place after the marker's item; its old place when that item has gone meanwhile."""
    position, _, key = marker.partition(":")
    if not position.isdigit():
        return 0
    for index, item in enumerate(listing.items):
        if _key(item) == key:
            return index + 1
    return int(position)


def page(call: Call, listing: Listing) -> Reply:
    marker = str(call.params.get("Marker") or "")
    size = min(int(call.params.get("MaxItems") or MOST_ITEMS), MOST_ITEMS)
    start = _start(listing, marker)
    items = listing.items[start : start + size]
    more = start + size < len(listing.items)
    following = f"{start + size - 1}:{_key(items[-1])}" if more else ""
    header = {
        "Marker": escape(marker),
        "NextMarker": escape(following) if more else None,
        "MaxItems": str(size),
        "IsTruncated": str(more).lower(),
        "Quantity": str(len(items)),
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in header.items() if value is not None and name in listing.members)
    packed = b"<Items>" + b"".join(items) + b"</Items>" if items else b""
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<{listing.root} xmlns="{NAMESPACE}">{inner}'.encode()
    return Reply(200, head + packed + f"</{listing.root}>".encode(), CIMultiDict({"Content-Type": "text/xml"}))
