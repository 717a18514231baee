"""The Chinese of what the checks of R4 say: a table of their sentences, with holes for names.

The English stands where the rule is, because it is the shortest way to say there what the rule
asks for. This table is looked at only when something is wrong, so a right resource pays nothing
for it. A sentence that is not here has the title of its error for Chinese; a test sees to it that
every broken sample's has its own.

Spec: https://hl7.org/fhir/R4/operationoutcome.html
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from fhir_hub.errors import Issue

# A sentence with holes comes after those that fit into it.
_SENTENCES: Sequence[tuple[str, str]] = (
    # what stands where
    ("leave {a} out: only primitive elements have it; {b} holds extensions",
     "请去掉 {a}：只有基本类型的元素才有；扩展应放在 {b} 中"),
    ("leave {a} out: {b} has no such element; did you mean {c}?",
     "请去掉 {a}：{b} 没有该元素；是否应为 {c}？"),
    ("leave {a} out: {b} has no such element", "请去掉 {a}：{b} 没有该元素"),
    ("leave out what is no element name in {a}", "请去掉 {a} 中不是元素名的内容"),
    ("leave the element out: an array must not be empty", "请去掉该元素：数组不能为空"),
    ("leave the element out: an object must not be empty", "请去掉该元素：对象不能为空"),
    ("give {a}: {b} needs it", "请提供 {a}：{b} 必须有"),
    ("give {a} in one type only", "{a} 只能使用一种类型"),
    ("give {a} of {b} in one of its types: {c}", "{b} 的 {a} 应使用以下类型之一：{c}"),
    ("give more than an id, or leave the element out", "除 id 外还应有内容，否则请去掉该元素"),
    ("give a value or an extension, not only an id", "请提供值或扩展，不能只有 id"),
    ("give a value or an extension: null cannot stand for both",
     "请提供值或扩展：null 不能同时代替两者"),
    ("make {a} and {b} equally long; null stands where one has nothing",
     "{a} 与 {b} 长度应一致；无内容处用 null"),
    ("give the resourceType", "请提供 resourceType"),
    ("give a resource type of R4 as resourceType (146 of them, case matters)",
     "resourceType 应为 R4 的资源类型（共 146 种，区分大小写）"),
    ("nest less deeply: no resource needs so many levels", "嵌套过深：请减少层级"),
    # kinds of JSON
    ("give a resource (a JSON object) here, not {b}", "此处应为资源（JSON 对象），而非{b}"),
    ("give a string here, not {b}", "此处应为字符串，而非{b}"),
    ("give an object here, not {b}", "此处应为对象，而非{b}"),
    ("give an array here, not {b}", "此处应为数组，而非{b}"),
    ("give true or false here, not {b}", "此处应为 true 或 false，而非{b}"),
    ("give a decimal number here, not {b}", "此处应为小数，而非{b}"),
    ("give a whole number here, not {b}", "此处应为整数，而非{b}"),
    # formats
    ("give a text, or leave the element out: it must not be empty",
     "请填写文本或去掉该元素：不能为空"),
    ("shorten the text: a string holds at most 1,048,576 characters",
     "请缩短文本：字符串最多 1,048,576 个字符"),
    ("give a URI, or leave the element out: it must not be empty",
     "请填写 URI 或去掉该元素：不能为空"),
    ("shorten the URI: it holds at most 1,048,576 characters", "请缩短 URI：最多 1,048,576 个字符"),
    (
        "take blanks and control characters out: a URI has none",
        "请去掉空格和控制字符：URI 不能含空格和控制字符",
    ),
    (
        "take out the control characters: of these only tab, CR and LF",
        "请去掉控制字符：只允许制表符、回车和换行",
    ),
    ("take the blanks out: the id of an element has none", "请去掉空格：元素的 id 不能含空格"),
    ("give base64: A-Z a-z 0-9 + /, padded with =", "应为 base64：A-Z a-z 0-9 + /，用 = 补齐"),
    ("give a code: not empty, no blanks around it, single ones in it",
     "应为代码：非空，首尾无空格，中间只用单个空格"),
    ("give a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
     "应为真实存在的日期：YYYY、YYYY-MM 或 YYYY-MM-DD"),
    ("give a date that exists (YYYY, YYYY-MM, YYYY-MM-DD), or with a time"
     " YYYY-MM-DDThh:mm:ss and a zone (Z or +08:00)",
     "应为真实存在的日期（YYYY、YYYY-MM、YYYY-MM-DD），"
     "或带时间 YYYY-MM-DDThh:mm:ss 及时区（Z 或 +08:00）"),
    ("give a moment that exists: YYYY-MM-DDThh:mm:ss and a zone (Z or +08:00)",
     "应为真实存在的时刻：YYYY-MM-DDThh:mm:ss 及时区（Z 或 +08:00）"),
    ("give a time: hh:mm:ss, without a zone", "应为时间 hh:mm:ss，不带时区"),
    ("give an id: 1 to 64 of A-Z a-z 0-9 - .", "应为 id：1 至 64 个 A-Z a-z 0-9 - . 字符"),
    ("give an OID: urn:oid:1.2.3", "应为 OID：urn:oid:1.2.3"),
    ("give a UUID: urn:uuid: and lower-case hexadecimal digits",
     "应为 UUID：urn:uuid: 加小写十六进制数字"),
    ("give a whole number of 32 bits, without a fraction or an exponent",
     "应为 32 位整数，不带小数或指数"),
    ("give a whole number of 32 bits", "应为 32 位整数"),
    ("give a whole number from {a} to {b}, without a fraction or an exponent",
     "应为 {a} 到 {b} 的整数，不带小数或指数"),
    ("give a whole number from {a} to {b}", "应为 {a} 到 {b} 的整数"),
    # codes
    ("give a MIME type, such as text/plain", "应为 MIME 类型，如 text/plain"),
    ("give the three letters of a currency, such as CNY", "应为三位字母的货币代码，如 CNY"),
    ("give a coding with system {a} and code one of {b}",
     "请提供 system 为 {a}、code 为以下之一的编码：{b}"),
    ("give a coding with system {a} and code {b}", "请提供 system 为 {a}、code 为 {b} 的编码"),
    ("give one of the {a} codes that R4 lists, such as {b}",
     "请使用 R4 列出的 {a} 个代码之一，例如 {b}"),
    ("give one of value[x], resource and part", "value[x]、resource 与 part 须且只能提供一个"),
    ("give one of {a}", "请使用以下代码之一：{a}"),
    # references, contained resources
    ("contain the resource that #id names, or name one that is there",
     "请内嵌 #id 所指的资源，或改为已内嵌的资源"),
    ("give Type/id, where Type is a resource type of R4",
     "应为 Type/id，其中 Type 为 R4 的资源类型"),
    ("make type and reference agree: {a} is not {b}", "type 与 reference 应一致：{a} 不是 {b}"),
    ("give the contained resource an id, so that it can be referred to",
     "请给内嵌资源一个 id，以便引用"),
    ("give every contained resource an id of its own", "每个内嵌资源的 id 不能相同"),
    ("contain nothing in a contained resource", "内嵌资源中不能再内嵌资源"),
    ("refer to the contained resource by #id, or leave it out",
     "请用 #id 引用该内嵌资源，或将其去掉"),
    ("leave versionId and lastUpdated out of a contained resource's meta",
     "内嵌资源的 meta 不能有 versionId 和 lastUpdated"),
    ("leave security labels out of a contained resource's meta", "内嵌资源的 meta 不能有安全标签"),
    ("refer to {a}, not to {b}", "请引用 {a}，而不是 {b}"),
    ("refer to {a}", "请引用 {a}"),
    # narratives
    ("begin the narrative with {a}", "叙述文本应以 {a} 开头"),
    ("put every element of the narrative in {a}", "叙述文本的每个元素都应属于 {a}"),
    ("put some text in the narrative", "叙述文本中应有可见的文字"),
    ("write the narrative as well-formed XHTML, without named entities such as &nbsp;",
     "叙述文本应为格式良好的 XHTML，不使用 &nbsp; 之类的命名实体"),
    ("take {a} out of the narrative", "请从叙述文本中去掉不允许的内容（{a}）"),
    ("use only the elements that R4 allows: no scripts, forms, frames, links",
     "只能使用 R4 允许的元素：不能有脚本、表单、框架、链接"),
    # invariants
    ("begin a {a} with a {b}", "{a} 的第一个条目应为 {b}"),
    ("give a document a timestamp", "文档必须有 timestamp"),
    ("give a document an identifier with system and value",
     "文档必须有带 system 和 value 的 identifier"),
    ("give an entry a resource, request or response", "条目应有 resource、request 或 response"),
    ("give every entry a {a} in a {b}, and nowhere else",
     "在 {b} 中每个条目都应有 {a}，其他类型则不能有"),
    ("give every fullUrl once, unless meta.versionId differs",
     "每个 fullUrl 只能出现一次，除非 meta.versionId 不同"),
    ("leave the version out of fullUrl", "fullUrl 中不能带版本"),
    ("give {a} only in a {b}", "{a} 只能出现在 {b} 中"),
    ("give {a} only with {b}, and not with {c}", "{a} 只能与 {b} 一起提供，且不能是 {c}"),
    ("give {a} only when {b} is {c}", "只有 {b} 为 {c} 时才能提供 {a}"),
    ("give {a}, unless {b} is {c}", "请提供 {a}，除非 {b} 为 {c}"),
    ("leave {a} out when {b} is {c}", "{b} 为 {c} 时请去掉 {a}"),
    ("leave value[x] out when a component has the code of the Observation",
     "某个 component 与 Observation 代码相同时请去掉 value[x]"),
    ("leave {a} out", "请去掉 {a}"),
    ("give no {a} for use home", "{a} 的 use 不能为 home"),
    ("give items to a group, and none to a display", "group 必须有 item，display 不能有 item"),
    ("give either category or productOrService", "category 与 productOrService 须且只能提供一个"),
    ("give either {a}", "须且只能提供其一：{a}"),
    ("give numerator and denominator, or neither", "numerator 与 denominator 须同时提供或都不提供"),
    ("give the extension either a value or extensions of its own",
     "扩展应有值或子扩展，且只能有其一"),
    ("give two items or more", "至少提供两项"),
    ("give a value above 0 with a code of UCUM, such as {a}",
     "值应大于 0，并使用 UCUM 代码，如 {a}"),
    ("give a whole value with the code 1 of UCUM", "应为整数值，UCUM 代码为 1"),
    ("give the value with a code of UCUM, such as {a}", "值应使用 UCUM 代码，如 {a}"),
    ("give the value with a code of ISO 4217", "值应使用 ISO 4217 货币代码"),
    ("give the code with a value and the system UCUM", "有 code 时须有 value，且 system 为 UCUM"),
    ("let {a} not be negative", "{a} 不能为负"),
    ("let low not be above high", "low 不能大于 high"),
    ("let {a} be before {b}", "{a} 应早于 {b}"),
    ("give start and end", "start 与 end 须同时提供或都不提供"),
    ("give {a} or {b}, not both", "{a} 与 {b} 不能同时提供"),
    ("give {a} with {b}", "提供 {b} 时须同时提供 {a}"),
    ("give {a} or {b}", "请在以下元素中选择提供：{a}、{b}"),
    ("keep the rule {a}: {b}", "请满足规则 {a}：{b}"),
)  # fmt: skip
_KINDS = {
    "an object": "对象",
    "an array": "数组",
    "a string": "字符串",
    "true or false": " true 或 false",
    "null": " null",
    "a number": "数字",
}
_KEY = re.compile(r" \(([a-z]{2,4}-[0-9]+[a-z]?)\)$")
_HOLE = re.compile(r"\\\{([a-c])\\\}")


def _read(sentence: str) -> re.Pattern[str]:
    return re.compile(_HOLE.sub(r"(?P<\1>.+?)", re.escape(sentence)), re.DOTALL)


_READ = tuple((_read(english), chinese) for english, chinese in _SENTENCES)


def in_chinese(diagnostics: str) -> str:
    """Return what a check says in Chinese, empty if the sentence is not in the table.

    >>> in_chinese("give duration with durationMax (tim-7)")
    '提供 durationMax 时须同时提供 duration (tim-7)'
    """
    key = _KEY.search(diagnostics)
    plain = diagnostics[: key.start()] if key else diagnostics
    for sentence, chinese in _READ:
        if match := sentence.fullmatch(plain):
            names = {name: _KINDS.get(text, text) for name, text in match.groupdict().items()}
            return chinese.format(**names) + (key[0] if key else "")
    return ""


def with_chinese(issues: Sequence[Issue]) -> list[Issue]:
    """Return issues, each with what it says in Chinese, where that is known."""
    return [
        each if each.chinese else replace(each, chinese=in_chinese(each.diagnostics))
        for each in issues
    ]
