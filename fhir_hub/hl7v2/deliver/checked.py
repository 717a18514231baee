"""The partners of the settings, checked at the start: a mistake there stops it, by its key.

Spec: docs/outbound.md
"""

from collections.abc import Mapping

from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.deliver.certificates import Certificates, fault_of
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.wire import charset
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
    return found + _tls_problems(partner)


def _tls_problems(partner: PartnerSettings) -> list[str]:
    named = {name: getattr(partner, name) for name in ("tls_ca", "tls_certificate", "tls_key")}
    files = {name: path for name, path in named.items() if path is not None}
    if files and not partner.is_tls:
        # it would be taken for encrypted
        why = f"{', '.join(files)}: for mllps:// only / 仅用于 mllps://"
        return [f"address: {why}"]
    missing = [
        f"{name}: there is no file {path} / 文件不存在"
        for name, path in files.items()
        if not path.is_file()
    ]
    if missing:
        return missing
    try:
        Certificates(partner).context()
    except OSError as error:
        return [f"{', '.join(files)}: cannot be used: {fault_of(error)} / 证书文件无法使用"]
    return []
