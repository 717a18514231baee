"""What the checks say, in English and in Chinese: every message stands here, and nowhere else.

A message says what to do. It may name elements, types, codes that a definition lists, rules and
profiles; never a value of the resource, which may be a patient's.

Spec: https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Mapping

from fhir_hub.errors import Issue

MESSAGES: Mapping[str, tuple[str, str]] = {
    # profiles
    "min": (
        "give {element} at least {least} times: the profile {profile} asks for it",
        "请至少提供 {least} 个 {element}：规范 {profile} 要求",
    ),
    "max": (
        "give {element} at most {most} times: the profile {profile} allows no more",
        "{element} 最多 {most} 个：规范 {profile} 不允许更多",
    ),
    "absent": (
        "leave {element} out: the profile {profile} does not allow it",
        "请去掉 {element}：规范 {profile} 不允许",
    ),
    "slice-min": (
        "give {element} of the kind {slice} at least {least} times: {profile} asks for it",
        "请至少提供 {least} 个 {slice} 类的 {element}：规范 {profile} 要求",
    ),
    "slice-max": (
        "give {element} of the kind {slice} at most {most} times: {profile} allows no more",
        "{slice} 类的 {element} 最多 {most} 个：规范 {profile} 不允许更多",
    ),
    "slice-closed": (
        "leave it out, or make it one of {slices}: {profile} allows no other {element}",
        "请去掉，或改为 {slices} 之一：规范 {profile} 不允许其他 {element}",
    ),
    "slice-end": (
        "put {element} of no kind at the end, behind {slices}: {profile} asks for this order",
        "未分类的 {element} 应放在 {slices} 之后：规范 {profile} 要求此顺序",
    ),
    "slice-order": (
        "put {element} in the order {slices}: {profile} asks for it",
        "{element} 应按 {slices} 的顺序排列：规范 {profile} 要求",
    ),
    "type": (
        "give {element} in one of the types {types}: {profile} allows no other",
        "{element} 的类型应为 {types} 之一：规范 {profile} 不允许其他类型",
    ),
    "fixed": (
        "give exactly the value that {profile} fixes for {element}{shown}",
        "{element} 的值应与规范 {profile} 的固定值完全一致{shown}",
    ),
    "pattern": (
        "give at least what {profile} asks for in {element}{shown}",
        "{element} 至少应包含规范 {profile} 要求的内容{shown}",
    ),
    "min-value": (
        "give a value not below {bound}: {profile} asks for it",
        "值不应小于 {bound}：规范 {profile} 要求",
    ),
    "max-value": (
        "give a value not above {bound}: {profile} asks for it",
        "值不应大于 {bound}：规范 {profile} 要求",
    ),
    "max-length": (
        "shorten the text to {most} characters: {profile} allows no more",
        "请将文本缩短到 {most} 个字符以内：规范 {profile} 不允许更长",
    ),
    "binding-required": (
        "give a code of the value set {value_set}",
        "请使用值集 {value_set} 中的代码",
    ),
    "binding-extensible": (
        "give a code of the value set {value_set} if one fits",
        "如有合适的代码，请使用值集 {value_set} 中的代码",
    ),
    "binding-preferred": (
        "better give a code of the value set {value_set}",
        "建议使用值集 {value_set} 中的代码",
    ),
    "constraint": ("{human} ({rule})", "请满足规则 {rule}：{human}"),
    "constraint-open": (
        "the rule {rule} of {profile} could not be evaluated here",
        "规范 {profile} 的规则 {rule} 在此无法判定",
    ),
    "profile-type": (
        "the profile {profile} is about {type}, not about this type",
        "规范 {profile} 适用于 {type}，不适用于此类型",
    ),
    "profile-unknown": (
        "load the profile {profile}: this server does not know it, so nothing was held to it",
        "请先加载规范 {profile}：本服务器未收录，因此未按其校验",
    ),
    "profile-broken": (
        "repair the profile {profile}: it could not be read, so nothing was held to it",
        "请修正规范 {profile}：无法读取，因此未按其校验",
    ),
    "profile-any": (
        "make it keep one of the profiles {profiles}",
        "请使其符合以下规范之一：{profiles}",
    ),
    "target-type": (
        "refer to {types}: {profile} allows no other",
        "请引用 {types}：规范 {profile} 不允许其他类型",
    ),
    "target-profile": (
        "refer to a resource that keeps {profiles}",
        "请引用符合 {profiles} 的资源",
    ),
    "aggregation-contained": (
        "refer to a contained resource (#id): {profile} allows no other",
        "请引用内嵌资源（#id）：规范 {profile} 不允许其他方式",
    ),
    "aggregation-referenced": (
        "refer to a resource of its own, not to a contained one: {profile} asks for it",
        "请引用独立资源而非内嵌资源：规范 {profile} 要求",
    ),
    "extension-context": (
        "put the extension where its definition allows it: {contexts}",
        "请将扩展放在其定义允许的位置：{contexts}",
    ),
    "extension-unknown-modifier": (
        "load the definition of the modifier extension, or leave it out: it is unknown",
        "请加载该修饰扩展的定义或将其去掉：其含义未知",
    ),
}


def issue(
    code: str, key: str, expression: str = "", severity: str = "error", **values: object
) -> Issue:
    """Return the issue that says the message `key`, in both languages, with `values` put in.

    >>> issue("structure", "absent", ".name", element="name", profile="urn:x").chinese
    '请去掉 name：规范 urn:x 不允许'
    """
    english, chinese = MESSAGES[key]
    return Issue(code, english.format(**values), expression, severity, chinese.format(**values))
