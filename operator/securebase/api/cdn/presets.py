"""The named ways to cache, as data, and the ids of AWS's managed policies that a spec is likely to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from securebase.api.cdn.selection import ALL, NOTHING, Selection

PresetName = Literal["static", "html", "api", "noCache"]
MethodSet = Literal["Read", "ReadWithOptions", "All"]


@dataclass(frozen=True, slots=True)
class EffectiveTtl:
    """How long the edge keeps an answer, in seconds."""

    min: int
    default: int
    max: int


@dataclass(frozen=True, slots=True)
class Preset:
    """What a behavior does unless it says otherwise. `cache_control` None leaves the origin's header alone."""

    ttl: EffectiveTtl
    cache_control: str | None
    query_strings: Selection
    carries_credentials: bool
    methods: MethodSet


PRESETS: Mapping[PresetName, Preset] = MappingProxyType(
    {
        "static": Preset(EffectiveTtl(0, 31_536_000, 31_536_000), "public, max-age=31536000, immutable", NOTHING, False, "Read"),
        "html": Preset(EffectiveTtl(0, 3_600, 3_600), "max-age=0, must-revalidate", NOTHING, False, "Read"),
        "api": Preset(EffectiveTtl(0, 300, 300), None, ALL, True, "All"),
        "noCache": Preset(EffectiveTtl(0, 0, 0), None, ALL, True, "All"),
    }
)

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
# "Use managed origin request policies": these send every header or cookie of the viewer, and so every credential.
ALL_VIEWER_POLICIES = (
    "216adef6-5c7f-47e4-b989-5492eafa07d3",  # AllViewer
    ALL_VIEWER_EXCEPT_HOST_HEADER,
    "33f36d7e-f396-46d9-90e0-52428a34d9dc",  # AllViewerAndCloudFrontHeaders-2022-06
)
# The managed ones that send no credential.
HARMLESS_ORIGIN_REQUEST_POLICIES = (
    "59781a5b-3903-41f3-afcb-af62929ccde1",  # CORS-CustomOrigin
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",  # CORS-S3Origin
    "acba4595-bd28-49b8-b9fe-13317c0390fa",  # UserAgentRefererHeaders
)
