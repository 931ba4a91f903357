"""Route 53: published CNAMEs for those who validate by DNS, and references that cannot be used twice.

Route 53 API reference: CreateHostedZone ("HostedZoneAlreadyExists: the hosted zone you're trying to create already exists ... or the
CallerReference was used"), ListHostedZonesByName (pages by DNSName, which ministack gets wrong).
"""

from __future__ import annotations

from typing import Any

from lab.aws.context import DnsRecord, Lab
from lab.aws.wire import AwsFault, Call, Reply, answer


def dns_name(name: str) -> str:
    return name.rstrip(".").lower().replace("\\052", "*")


def _reversed_labels(name: str) -> list[str]:
    """Route 53 sorts zones by their labels from the right: com.example.www."""
    return dns_name(name).split(".")[::-1]


class Route53:
    services = frozenset({"route53"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        self._references: set[tuple[str, str]] = set()

    async def before(self, call: Call) -> Reply | None:
        match call.operation:
            case "CreateHostedZone" if (call.account, call.params["CallerReference"]) in self._references:
                raise AwsFault(
                    "HostedZoneAlreadyExists",
                    f"A hosted zone has already been created with the specified caller reference {call.params['CallerReference']}.",
                    409,
                )
            case "ListHostedZonesByName":
                return await self._zones_by_name(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.operation:
            case "CreateHostedZone":
                self._references.add((call.account, call.params["CallerReference"]))
            case "ChangeResourceRecordSets":
                for change in call.params["ChangeBatch"]["Changes"]:
                    self._publish(change["Action"], change["ResourceRecordSet"])
        return reply

    def _publish(self, action: str, record: dict[str, Any]) -> None:
        if record["Type"] != "CNAME":
            return
        name = dns_name(record["Name"])
        if action == "DELETE":
            self._lab.dns.pop(name, None)
            return
        value = dns_name(record["ResourceRecords"][0]["Value"])
        old = self._lab.dns.get(name)
        if old is None or old.value != value:
            self._lab.dns[name] = DnsRecord(value, self._lab.clock())

    async def _zones_by_name(self, call: Call) -> Reply:
        zones: list[dict[str, Any]] = []
        marker = ""
        while True:
            params = {"Marker": marker} if marker else {}
            listed = await self._lab.backends.ask("route53", "ListHostedZones", params, call.account, call.region)
            zones += listed["HostedZones"]
            marker = listed.get("NextMarker", "") if listed.get("IsTruncated") else ""
            if not marker:
                break
        start = _reversed_labels(call.params.get("DNSName", ""))
        after_id = call.params.get("HostedZoneId", "").removeprefix("/hostedzone/")
        ordered = sorted(zones, key=lambda zone: (_reversed_labels(zone["Name"]), zone["Id"]))
        if call.params.get("DNSName"):
            ordered = [zone for zone in ordered if (_reversed_labels(zone["Name"]), zone["Id"].removeprefix("/hostedzone/")) >= (start, after_id)]
        size = int(call.params.get("MaxItems") or 100)
        result: dict[str, Any] = {"HostedZones": ordered[:size], "IsTruncated": len(ordered) > size, "MaxItems": str(size)}
        result |= {name: call.params[name] for name in ("DNSName", "HostedZoneId") if name in call.params}
        if len(ordered) > size:
            result |= {"NextDNSName": ordered[size]["Name"], "NextHostedZoneId": ordered[size]["Id"].removeprefix("/hostedzone/")}
        return answer(call, result)
