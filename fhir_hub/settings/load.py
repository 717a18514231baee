"""Settings are read: an option beats a variable, a variable the file, the file the default.

A key that nothing reads is an error, because a misspelt limit is a missing limit.

Spec: https://toml.io/en/v1.0.0
"""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from fhir_hub.settings.channels import check_channels
from fhir_hub.settings.hub import Settings
from fhir_hub.settings.places import PREFIX, InvalidSettings, located, nearest, place, told
from fhir_hub.settings.reasons import in_both
from fhir_hub.settings.toml import NotToml, read_toml


@dataclass(frozen=True, slots=True)
class Given:
    """What settings are read from: the file, the options, the environment."""

    config: Path | None
    options: Mapping[str, Any]
    environment: Mapping[str, str]

    def read(self) -> Settings:
        """Return the settings as they are written now; raises `InvalidSettings`."""
        return load_settings(self.config, self.options, self.environment)


def load_settings(
    config: Path | None,
    options: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Settings:
    """Return the settings of the file `config`, over them those of `environment`, then `options`.

    An option that is None was not given. Raises `InvalidSettings` with everything that is wrong.
    """
    file = _read_file(config) if config else {}
    given = {name: value for name, value in options.items() if value is not None}
    variables = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if PREFIX + name.upper() in environment
    }
    try:
        # without a source of its own: pydantic would read the process's environment by itself
        settings = _Given(**(file | variables | given))
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        reasons = told(wrong, given, variables, config, _keys_at)
        raise InvalidSettings("\n".join(reasons)) from None
    if settings.page_size > settings.max_page_size:
        raise InvalidSettings("page_size is above max_page_size / page_size 大于 max_page_size")
    are_several = settings.workers not in (1, "auto")
    if are_several and settings.store.startswith("memory:"):
        why = "workers above 1 need a store that they can share: sqlite:PATH or mongodb://…"
        raise InvalidSettings(f"{why} / workers 大于 1 时不能用内存存储")
    if found := check_channels(settings.channels, settings.mllp_port):
        lines = "\n".join(f"{path}: {in_both(why, '通道配置有误')}" for path, why in found.items())
        raise InvalidSettings(located(config, lines))
    if are_several and not is_for_several(settings.store):
        raise InvalidSettings("workers above 1 need Unix sockets / 本系统只支持一个进程")
    return settings


def _keys_at(path: Sequence[Any]) -> Iterable[str]:
    """Return the keys of the table in which the last key of `path` stands."""
    table: type[BaseModel] = Settings
    for key in path[:-1]:
        if key in table.model_fields:
            table = _table_in(table.model_fields[key].annotation) or table
    return table.model_fields


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """Return the table that a setting is, or of which it has several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _table_in(one))), None)


def is_for_several(store: str) -> bool:
    """Return whether several processes may serve: they share the store, and the ports' sockets."""
    return not store.startswith("memory:") and hasattr(socket, "send_fds")


class _Given(Settings):
    """Settings that take only what they are given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the one source."""
        return (init_settings,)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables `FHIR_HUB_…` that are no setting, each with the nearest that is."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    return [
        f"{name} is no setting{nearest(name, known)}"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known
    ]


def _read_file(config: Path) -> dict[str, Any]:
    try:
        values = read_toml(config.read_bytes())
    except OSError as error:
        raise InvalidSettings(f"{config}: {error.strerror} / 无法读取配置文件") from None
    except NotToml as error:
        raise InvalidSettings(f"{config}{error.told}") from None
    unknown = [key for key in values if key not in Settings.model_fields]
    if unknown:
        known = list(Settings.model_fields)
        raise InvalidSettings(
            "\n".join(
                f"{place(config, key)} is no setting{nearest(key, known)} / 未知的配置项"
                for key in unknown
            )
        )
    return values
