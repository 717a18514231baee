"""One form for characters that are written in several: traditional, and old or other variants.

Names come as 劉國華 from a card of Taiwan and as 刘国华 from the desk. For the comparison of names
alone both become the simplified, common one; what is stored is never changed. The table has the
characters that names in fact use, not every variant there is.

Spec: 通用规范汉字表 (2013), annex 1; DOMAIN 3.4
"""

_PAIRS = """
劉刘 張张 陳陈 楊杨 趙赵 黃黄 吳吴 孫孙 馬马 鄭郑 羅罗 謝谢 韓韩 馮冯 鄧邓 蕭萧
許许 蔣蒋 韋韦 葉叶 閻阎 餘余 鍾钟 鐘钟 盧卢 賈贾 範范 陸陆 龔龚 萬万 賀贺 賴赖
龍龙 錢钱 湯汤 嚴严 喬乔 魯鲁 莊庄 關关 蘇苏 齊齐 倫伦 歐欧 單单 譚谭 鄒邹 顧顾
聶聂 衛卫 費费 紀纪 諸诸 項项 華华 寧宁 區区 鄔邬 鄺邝 龐庞 樂乐 鮑鲍 駱骆 顏颜
臺台 滿满 饒饶 祿禄 於于 國国 偉伟 麗丽 靜静 強强 鋒锋 軍军 傑杰 濤涛 飛飞 蘭兰
鳳凤 鵬鹏 寶宝 貴贵 紅红 東东 愛爱 瓊琼 曉晓 豔艳 艷艳 傳传 義义 榮荣 慶庆 興兴
發发 財财 瑩莹 穎颖 賢贤 輝辉 勝胜 順顺 學学 軒轩 澤泽 潔洁 濱滨 淵渊 銀银 鐵铁
錦锦 鈺钰 銘铭 鎮镇 鋼钢 長长 門门 開开 閃闪 雲云 電电 韻韵 領领 風风 鶴鹤 鵑鹃
鴻鸿 鷹鹰 麥麦 黨党 齡龄 雙双 會会 歲岁 歸归 歷历 氣气 漢汉 燦灿 爾尔 獎奖 環环
現现 珮佩 瑋玮 璉琏 畫画 盡尽 禮礼 禎祯 種种 穩稳 節节 紹绍 純纯 統统 綺绮 維维
綱纲 緯纬 練练 繼继 聖圣 聞闻 聰聪 聯联 膽胆 臨临 與与 舉举 藝艺 藥药 薔蔷 蓮莲
菓果 蘊蕴 處处 號号 視视 親亲 觀观 計计 訓训 記记 設设 詠咏 詩诗 詳详 語语 誠诚
誼谊 諾诺 讓让 貝贝 貞贞 賓宾 質质 贊赞 軻轲 載载 達达 運运 過过 遠远 適适 遷迁
邁迈 鄉乡 郵邮 鋭锐 銳锐 錚铮 錫锡 鏡镜 閔闵 陽阳 隨随 際际 雋隽 靈灵 頌颂 願愿
馳驰 駿骏 驊骅 魚鱼 鯉鲤 鳴鸣 鵝鹅 億亿 儀仪 優优 儉俭 兒儿 內内 兩两 凱凯 創创
劍剑 勁劲 動动 勛勋 勳勋 務务 協协 參参 叢丛 啟启 啓启 喚唤 嘯啸 園园 圓圆 團团
堅坚 報报 場场 塵尘 壯壮 夢梦 婭娅 媽妈 嬌娇 嫻娴 實实 審审 寫写 將将 專专 尋寻
對对 導导 屆届 岡冈 島岛 崢峥 嵐岚 幣币 師师 幹干 幾几 廣广 廠厂 彌弥 徑径 從从
徵征 悅悦 憐怜 憶忆 應应 懷怀 戀恋 戰战 揚扬 換换 擁拥 據据 斬斩 昇升 時时 晉晋
暉晖 暢畅 曄晔 書书 朧胧 條条 棟栋 棗枣 楓枫 業业 極极 槍枪 樓楼 標标 樹树 橋桥
機机 檸柠 權权 歡欢 決决 沖冲 淨净 淚泪 淺浅 測测 渾浑 溫温 滬沪 潤润 瀾澜 瀟潇
灣湾 爍烁 爐炉 爭争 牆墙 獻献 琺珐 瑤瑶 瑪玛 璣玑 產产 異异 當当 疊叠 堃坤 喆哲
珎珍 甯宁 昰是 峯峰 羣群 勅敕 秝历 祐佑 祕秘 鉄铁 暎映 仝同 菴庵 崑昆 嶽岳 邨村
塚冢 畧略 濬浚 衞卫 姸妍 姉姊 査查 敎教 昻昂 眞真 値值 頴颖 鷄鸡 鑑鉴 鍳鉴 硏研
畵画 戶户 産产 説说 呂吕 顔颜 滙汇 匯汇
"""
_TABLE = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}


def unified(text: str) -> str:
    """Return `text` with each character in its common simplified form.

    >>> unified("劉國華"), unified("王喆")
    ('刘国华', '王哲')
    """
    return text.translate(_TABLE)
