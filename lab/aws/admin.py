"""/_lab/...: the endpoint's controls over HTTP, for processes other than the one that started it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from lab.aws.models.cloudwatch import CloudWatch
from lab.aws.models.elasticache import ElastiCache
from lab.aws.models.sns_subscriptions import SnsSubscriptions
from lab.aws.rules import rule_from

if TYPE_CHECKING:
    from lab.aws.router import Router

T = TypeVar("T")
LAB_PREFIX = "/_lab/"


async def administer(router: Router, request: web.BaseRequest) -> web.Response:
    """GET, POST and DELETE on what `_read` and `_write` name; 400 for a document that does not fit, 404 for an unknown path."""
    body = await request.read()
    path = request.path.removeprefix(LAB_PREFIX)
    try:
        document = json.loads(body) if body else {}
        if request.method == "GET":
            answer = _read(router, path, {key: values[-1] for key, values in parse_qs(request.query_string).items()})
        else:
            answer = await _write(router, request.method, path, document)
    except LookupError:
        return web.json_response({"error": f"no {request.method} {LAB_PREFIX}{path}"}, status=404)
    except (ValueError, TypeError, AttributeError) as wrong:
        return web.json_response({"error": str(wrong)}, status=400)
    return web.json_response(answer)


def _read(router: Router, path: str, where: Mapping[str, str]) -> Any:
    match path:
        case "calls":
            records = [asdict(record) for record in router.log.records()]
            return [record for record in records if all(str(record.get(key)) == value for key, value in where.items())]
        case "counts":
            return {f"{service}:{operation}": count for (service, operation), count in sorted(router.log.counts().items())}
        case "rules":
            return [asdict(rule) for rule in router.rules.all()]
        case "settings":
            return asdict(router.lab.settings)
    raise LookupError(path)


def _model(router: Router, kind: type[T]) -> T:
    return next(model for model in router.models if isinstance(model, kind))


async def _write(router: Router, method: str, path: str, document: Any) -> Any:
    match method, path:
        case "POST", "rules":
            return [asdict(router.rules.add(rule_from(entry))) for entry in (document if isinstance(document, list) else [document])]
        case "DELETE", "rules":
            router.rules.clear()
        case "DELETE", "calls":
            router.log.clear()
        case "POST", "throttle":
            router.throttle.set_scale(float(document.get("scale", 1)))
        case "POST", "stale":
            router.stale.configure(float(document.get("lag_s", 0)), document.get("scope", "lists"), frozenset(document.get("services", ())))
        case "POST", "settings":
            for name, value in document.items():
                setattr(router.lab.settings, name, value)
        case "POST", "advance":
            router.lab.clock.advance(float(document.get("seconds", 0)))
        case "POST", "elasticache":
            result = await _model(router, ElastiCache).act(document.pop("action"), document.pop("group"), **document)
            return {"result": result}
        case "POST", "alarm-state":
            at = datetime.fromisoformat(document.pop("at")) if "at" in document else None
            await _model(router, CloudWatch).transition(**document, at=at)
        case "POST", "confirm-subscription":
            return {"arn": _model(router, SnsSubscriptions).confirm(document["topic"], document["endpoint"])}
        case "POST", "reset":
            await router.reset()
        case _:
            raise LookupError(path)
    return {}
