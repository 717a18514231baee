"""What is odd in a message, in Chinese, by the code of the issue: for reports and refusals.

Spec: docs/senders.md, quirks
"""

from collections.abc import Mapping
from types import MappingProxyType

CHINESE: Mapping[str, str] = MappingProxyType(
    {
        "broken-line": "文本中的换行未转义，已接回原字段",
        "charset-bom": "字节顺序标记与正文不符",
        "charset-misplaced": "字符集写在别的字段",
        "charset-not-as-declared": "正文与声明的字符集不符",
        "charset-private-use": "旧字库的造字已换为 Unicode 字符",
        "charset-surrogates": "已按代理对的原意读取",
        "charset-unknown": "MSH-18 的字符集无法识别",
        "charset-unknown-character": "造字含义不明，原样保留",
        "charset-windows": "0x80 按欧元符号读取",
        "control-character": "控制字符已换为其图形符号",
        "converted-unit": "斤已折算为千克",
        "damaged-name": "姓名中有字丢失",
        "date-without-time": "缺少具体时刻，未采用",
        "filler-identifier": "号码为占位值，未采用",
        "foreign-code": "代码不在 HL7 码表中",
        "incomplete": "不完整，未采用",
        "invalid-resident-id": "居民身份证号有误，不用于匹配",
        "misplaced-resident-id": "居民身份证号写在别的字段",
        "no-end": "预约缺少结束时间",
        "no-id": "编号不是 FHIR id，未采用",
        "no-start": "预约没有时间，视为拟议",
        "period-reversed": "结束早于开始，未采用结束",
        "placeholder-date": "日期为占位值，未采用",
        "repeated-value": "只能有一个值，取第一个",
        "retyped-value": "所称数值并非数值",
        "small-segment-name": "段名写成了小写，原样保留",
        "unmapped-code": "码表中没有此代码",
        "unreadable-boolean": "是否值无法识别，未采用",
        "unreadable-data": "附件编码与所称不符",
        "unreadable-date": "日期时间无法识别，未采用",
        "unreadable-number": "数值无法识别，未采用",
        "unsplit-name": "姓名未分为姓与名",
        "written-date": "日期时间不是 HL7 写法",
    }
)
