"""Kinds of values that settings have: ports, seconds, sizes, zones, the address of a store.

Spec: https://toml.io/en/v1.0.0
"""

import os
import re
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

CHINA = timezone(timedelta(hours=8))
_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)


def read_zone(text: str) -> tzinfo:
    """Return the zone that `text` names: an offset (`+08:00`) or an IANA name.

    Raises `ValueError` if it is neither.
    """
    if match := _OFFSET.fullmatch(text):
        sign = -1 if match[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError(
            "write an offset (+08:00) or a name such as Asia/Shanghai / 应写时差或时区名"
        ) from None


STORES = ("sqlite:", "mongodb://", "mongodb+srv://", "memory:")
_user = re.compile(r"(?<=://)[^/?#]*@")


def shown_address(url: str) -> str:
    """Return the address of a store as it may be shown: without a user and a password.

    >>> shown_address("mongodb://hub:secret@db1,db2/fhir_hub?replicaSet=rs0")
    'mongodb://…@db1,db2/fhir_hub?replicaSet=rs0'
    >>> shown_address("sqlite:data/hub.sqlite")
    'sqlite:data/hub.sqlite'
    """
    return _user.sub("…@", url)


def _store(text: str) -> str:
    if not text.startswith(STORES):
        raise ValueError("write sqlite:PATH, mongodb://HOST/DATABASE or memory: / 存储地址有误")
    return text


def _workers(value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, int | str) and re.fullmatch("[1-9][0-9]?", str(value), re.ASCII):
        number = int(value)
        if number <= 64:
            return number
    raise ValueError("write auto or a number from 1 to 64 / 应写 auto 或 1 到 64")


def _base_url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError("write an address such as https://hub.example.org/fhir / 应写完整网址")
    return text.rstrip("/")


def _zone(text: str) -> str:
    read_zone(text)
    return text


def _reminders(days: dict[str, int]) -> dict[str, int]:
    for name in days:
        if name not in ("test", "exam", "drug") and not all(name.partition("|")):
            raise ValueError("name test, exam, drug or a code (system|code), and its days")
    return days


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _folders(value: Any) -> Any:
    return value.split(os.pathsep) if isinstance(value, str) else value


def no_truth(value: Any) -> Any:
    """Refuse a truth value where a number stands: Python and pydantic take it for 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("write a number, not true or false / 应为数字，而非 true 或 false")
    return value


Whole = Annotated[int, BeforeValidator(no_truth)]
Real = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(no_truth)]
Port = Annotated[Whole, Field(ge=0, le=65535)]
Seconds = Annotated[Real, Field(gt=0, le=86400)]
Bytes = Annotated[Whole, Field(ge=1024, le=1 << 31)]
Workers = Annotated[int | Literal["auto"], PlainValidator(_workers)]
StoreAddress = Annotated[str, AfterValidator(_store)]
WebAddress = Annotated[str, AfterValidator(_base_url)]
WebAddresses = Annotated[
    tuple[Annotated[WebAddress, Field(min_length=1)], ...], BeforeValidator(_names)
]
Zone = Annotated[str, AfterValidator(_zone)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Folders = Annotated[tuple[Path, ...], BeforeValidator(_folders)]
ReminderDays = Annotated[
    dict[str, Annotated[Whole, Field(ge=0, le=36_500)]], AfterValidator(_reminders)
]
