"""The partners of the settings, checked at the start: a mistake there stops it, by its key.

Spec: docs/outbound.md
"""

from collections.abc import Mapping

from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.certificates import tls_problems
from fhir_hub.settings import InvalidSettings
from fhir_hub.settings.partners import PartnerSettings

_BY_FACILITY = {"Task", "ServiceRequest"}


def check_partners(partners: Mapping[str, PartnerSettings], mappings: Mappings, desk: Desk) -> None:
    """Raise `InvalidSettings` with all that is wrong with the partners."""
    wrong = [
        f"partners.{name}.{problem}"
        for name, partner in partners.items()
        for problem in _problems(partner, mappings, desk)
    ]
    if wrong:
        raise InvalidSettings("\n".join(wrong))


def _problems(partner: PartnerSettings, mappings: Mappings, desk: Desk) -> list[str]:
    found = []
    if partner.sender and partner.sender not in mappings.senders:
        known = ", ".join(mappings.senders) or "none"
        found.append(f"sender: no such file; there are: {known} / 没有该发送方的配置")
    if not charset.codec(partner.charset):
        found.append("charset: no such character set / 未知的字符集")
    if partner.sends.keys() & _BY_FACILITY and not partner.facility:
        found.append("facility: referrals go by it; it is missing / 转诊消息需要 facility")
    if partner.is_hub and not partner.application:
        found.append(
            "application: a hub's messages are known by it; it is missing / 缺少 application"
        )
    for kind, condition in partner.sends.items():
        try:
            desk.plan(kind, condition)
        except FhirError as error:
            found.append(f"sends.{kind}: {error} / 检索条件有误")
    return found + tls_problems(partner, "address")
