"""Two pages for people: where everything is, and what can be called. Text only, no scripts."""

from html import escape
from typing import Any

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
code{{background:#eee;padding:0 .2em}}td{{padding:.1rem 1rem .1rem 0}}</style>
<h1>{title}</h1>{content}</html>"""
_LINKS = (
    ("{fhir}/metadata", "what the FHIR R4 API does", "FHIR R4 接口的能力声明"),
    ("{fhir}/Patient?_count=5", "the first patients", "前几位患者"),
    ("ops/messages", "HL7v2 messages that came, newest first", "收到的 HL7v2 消息, 最新在前"),
    ("ops/codes", "local codes without a standard one", "尚未对照的本地编码"),
    ("ops/maps", "HL7v2 maps in force, and mistakes in them", "生效的 HL7v2 映射及其错误"),
    ("docs", "all addresses", "全部接口"),
    ("health/live", "is the process up", "进程是否存活"),
    ("health/ready", "does it take requests", "是否可以接收请求"),
    ("metrics", "figures for Prometheus", "Prometheus 指标"),
)


def landing(version: str, prefix: str, mllp_port: int) -> str:
    """Return the page that says where everything is."""
    rows = "".join(
        f'<tr><td><a href="{address}"><code>/{address}</code></a><td>{english}<td>{chinese}'
        for link, english, chinese in _LINKS
        for address in [link.format(fhir=prefix.strip("/"))]
    )
    mllp = f"HL7v2 over MLLP: port <code>{mllp_port}</code> · HL7v2 消息请发往该端口"
    return _PAGE.format(
        title=f"fhir-hub {escape(version)}", content=f"<table>{rows}</table><p>{mllp}</p>"
    )


def addresses(paths: dict[str, Any]) -> str:
    """Return the page that lists the operations of an OpenAPI description."""
    rows = "".join(
        f"<tr><td>{method.upper()}<td><code>{escape(path)}</code><td>"
        f"{escape(str(operation.get('summary', '')))}"
        for path, operations in paths.items()
        for method, operation in operations.items()
    )
    more = '<p>For programs: <a href="openapi.json"><code>/openapi.json</code></a></p>'
    return _PAGE.format(title="Addresses · 接口", content=f"<table>{rows}</table>{more}")
