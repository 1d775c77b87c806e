"""The settings of an app, each with its help line."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What an operator may change per app with `hongyan app set`."""

    limits: bool = field(
        default=True,
        metadata={
            "help": "Whether the rates hold, those of clients, of HTTP calls and `delivery_rate`; on or off.",
            "help_zh": "是否启用各项限流（client、HTTP 调用及 `delivery_rate`）；on 或 off。",
        },
    )
    session_ttl: int = field(
        default=172_800,
        metadata={
            "help": "Lifetime of a session token, in seconds.",
            "help_zh": "会话 token 的有效期（秒）。",
            "min": 1,
            "max": 31_536_000,
        },
    )
    members_max: int = field(
        default=500,
        metadata={
            "help": "Members a normal conversation may have.",
            "help_zh": "普通对话的成员人数上限。",
            "min": 2,
            "max": 100_000,
        },
    )
    message_max: int = field(
        default=5_120,
        metadata={
            "help": "Size of one message with its options, in bytes.",
            "help_zh": "单条消息（含选项）的大小上限（字节）。",
            "min": 1,
            "max": 61_440,
        },
    )
    send_rate: int = field(
        default=60,
        metadata={
            "help": "Messages a client may send per minute.",
            "help_zh": "每个 client 每分钟可发送的消息数。",
            "min": 1,
            "max": 1_000_000,
        },
    )
    read_rate: int = field(
        default=120,
        metadata={
            "help": "History pages and read marks of a client per minute.",
            "help_zh": "每个 client 每分钟可查询历史消息及标记已读的次数。",
            "min": 1,
            "max": 1_000_000,
        },
    )
    other_rate: int = field(
        default=30,
        metadata={
            "help": "Other commands of a client per minute, such as logins and queries.",
            "help_zh": "每个 client 每分钟的其他操作（登录、查询等）次数。",
            "min": 1,
            "max": 1_000_000,
        },
    )
    delivery_rate: int = field(
        default=160_000,
        metadata={
            "help": "Messages delivered to all sessions together per second; over it, sends are refused.",
            "help_zh": "整个应用每秒向会话投递的消息数；超出后拒绝发送。",
            "min": 1,
            "max": 1_000_000_000,
        },
    )
    unread_conversations: int = field(
        default=50,
        metadata={
            "help": "Conversations with unread messages that a client is told of at its login, the latest ones.",
            "help_zh": "登录时通知的含未读消息的对话数（取最近的）。",
            "min": 1,
            "max": 200,
        },
    )
    unread_max: int = field(
        default=100,
        metadata={
            "help": "Highest unread count that clients are told.",
            "help_zh": "通知给客户端的未读数上限。",
            "min": 1,
            "max": 1_000_000,
        },
    )
    temporary_ttl_max: int = field(
        default=86_400,
        metadata={
            "help": "Longest lifetime of a temporary conversation, in seconds; a day, or this if it is less, is the"
            " default.",
            "help_zh": "临时对话的最长有效期（秒）；默认有效期为一天，若此值更小则以此值为准。",
            "min": 1,
            "max": 2_592_000,
        },
    )
    message_days: int = field(
        default=0,
        metadata={
            "help": "Days after which messages are deleted; 0 keeps them for ever. `preset=leancloud` sets 180.",
            "help_zh": "消息的保存天数，到期删除；0 表示永久保存。`preset=leancloud` 设为 180。",
            "min": 0,
            "max": 36_500,
        },
    )
    conversation_days: int = field(
        default=0,
        metadata={
            "help": "Days after which a conversation without new messages and changes is deleted with all that is in"
            " it; 0 keeps it for ever. `preset=leancloud` sets 180.",
            "help_zh": "对话无新消息且无变更达到该天数后连同全部内容删除；0 表示永久保存。"
            "`preset=leancloud` 设为 180。",
            "min": 0,
            "max": 36_500,
        },
    )
    edit: bool = field(
        default=True,
        metadata={
            "help": "Whether authors may edit their messages; on or off.",
            "help_zh": "发送者是否可以修改自己的消息；on 或 off。",
        },
    )
    recall: bool = field(
        default=True,
        metadata={
            "help": "Whether authors may recall their messages; on or off.",
            "help_zh": "发送者是否可以撤回自己的消息；on 或 off。",
        },
    )
    roles: bool = field(
        default=True,
        metadata={
            "help": "Whether members have roles (owner, manager, member) that clients may change; on or off.",
            "help_zh": "是否启用成员角色（所有者、管理员、普通成员）并允许客户端修改；on 或 off。",
        },
    )
    members_may_add: bool = field(
        default=True,
        metadata={
            "help": "Whether plain members may add others once roles are used in a conversation; on or off.",
            "help_zh": "对话启用角色后，普通成员是否可以添加他人；on 或 off。",
        },
    )
    managers_max: int = field(
        default=100,
        metadata={
            "help": "Members of a conversation to whom the role of a manager may be given.",
            "help_zh": "每个对话的管理员人数上限。",
            "min": 1,
            "max": 1_000,
        },
    )
    blacklist: bool = field(
        default=True,
        metadata={
            "help": "Whether clients may block others from conversations; on or off.",
            "help_zh": "是否允许客户端使用对话黑名单；on 或 off。",
        },
    )
    sign_login: bool = field(
        default=False,
        metadata={
            "help": "Whether a login needs a signature; on or off.",
            "help_zh": "登录是否需要签名；on 或 off。",
        },
    )
    sign_conversation: bool = field(
        default=False,
        metadata={
            "help": "Whether starting, joining and changing the members of conversations needs a signature; on or off.",
            "help_zh": "创建、加入对话及变更成员是否需要签名；on 或 off。",
        },
    )
    sign_history: bool = field(
        default=False,
        metadata={
            "help": "Whether reading history over HTTP without the master key needs a signature; on or off.",
            "help_zh": "不使用 master key 通过 HTTP 查询历史消息是否需要签名；on 或 off。",
        },
    )
    sign_blacklist: bool = field(
        default=False,
        metadata={
            "help": "Whether blocking and unblocking needs a signature; on or off.",
            "help_zh": "拉黑与解除拉黑是否需要签名；on 或 off。",
        },
    )
    signature_once: bool = field(
        default=False,
        metadata={
            "help": "Whether a signature is refused the second time it is used; on or off.",
            "help_zh": "签名是否只能使用一次；on 或 off。",
        },
    )
    conversation_read: bool = field(
        default=False,
        metadata={
            "help": "Whether callers with the app key alone may read conversations over HTTP and LiveQuery; on or off.",
            "help_zh": "仅凭 app key 是否可通过 HTTP 和 LiveQuery 读取对话；on 或 off。",
        },
    )
    conversation_write: bool = field(
        default=False,
        metadata={
            "help": "Whether callers with the app key alone may create, change and delete conversations over HTTP;"
            " on or off. Service conversations are the application's alone.",
            "help_zh": "仅凭 app key 是否可通过 HTTP 创建、修改和删除对话；on 或 off。服务号始终须用 master key。",
        },
    )
    filter: Literal["replace", "refuse"] = field(
        default="replace",
        metadata={
            "help": "What becomes of a message with words of the app's word list: they are masked, or it is refused.",
            "help_zh": "消息含有敏感词表中的词时：replace 将其替换为星号，refuse 拒绝该消息。",
            "choices": ("replace", "refuse"),
        },
    )
    filter_direct: bool = field(
        default=False,
        metadata={
            "help": "Whether the word list also holds in conversations of two; on or off.",
            "help_zh": "敏感词表是否也用于两人之间的对话；on 或 off。",
        },
    )
    subscriptions_max: int = field(
        default=500,
        metadata={
            "help": "Service conversations a client may subscribe to.",
            "help_zh": "每个 client 可订阅的服务号数。",
            "min": 1,
            "max": 10_000,
        },
    )
    hook_url: str = field(
        default="",
        metadata={
            "help": "Address of the app's own cloud engine, such as `http://10.0.0.5:3000`: it hears of what happens,"
            " and may refuse or change it. Empty: there is none.",
            "help_zh": "应用自己的云引擎的地址，例如 `http://10.0.0.5:3000`；消息、对话等事件会调用其中的 Hook 函数。"
            "为空则不调用。",
            "url": True,
        },
    )
    hook_timeout: int = field(
        default=3,
        metadata={
            "help": "Seconds that a hook may take whose answer is waited for.",
            "help_zh": "需要等待结果的 Hook 的时限（秒）。",
            "min": 1,
            "max": 15,
        },
    )
    hook_failure: Literal["ignore", "refuse"] = field(
        default="ignore",
        metadata={
            "help": "What becomes of a request whose hook fails: it goes on as if there were none, or it is refused.",
            "help_zh": "Hook 调用失败时：ignore 视为没有 Hook 继续处理，refuse 拒绝该请求。",
            "choices": ("ignore", "refuse"),
        },
    )
    hook_rest: bool = field(
        default=True,
        metadata={
            "help": "Whether hooks are called for what the app's own server does by REST, too; on or off.",
            "help_zh": "应用服务端通过 REST 进行的操作是否也调用 Hook；on 或 off。",
        },
    )
    user_sign_up: bool = field(
        default=True,
        metadata={
            "help": "Whether users may sign up by themselves, with the app key alone; on or off.",
            "help_zh": "用户是否可以仅凭 app key 自行注册；on 或 off。",
        },
    )
    user_read: bool = field(
        default=True,
        metadata={
            "help": "Whether callers with the app key alone may read a user whose id they know; never its e-mail"
            " address, phone number and accounts; on or off.",
            "help_zh": "仅凭 app key 是否可以读取已知 id 的用户（不含邮箱、手机号码和第三方帐号）；on 或 off。",
        },
    )
    web_domains: str = field(
        default="",
        metadata={
            "help": "Sites whose pages may use this app, with commas between: `chat.example.com`, `*.example.com` or"
            " `https://example.com:8443`. Pages of this machine (localhost) always may. Empty: pages of any site.",
            "help_zh": "可使用本应用的网页所属站点，以逗号分隔：`chat.example.com`、`*.example.com` 或"
            " `https://example.com:8443`。本机（localhost）页面始终允许。为空则不限。",
            "sites": True,
        },
    )
    android_key: str = field(
        default="",
        metadata={
            "help": "The key with which Android apps sign their calls after `LeanCloud.initializeSecurely`, as"
            " LeanCloud gave it to the app. Empty: such calls count as calls without a key.",
            "help_zh": "Android 应用以 `LeanCloud.initializeSecurely` 初始化后用来签名请求的 key，"
            "由 LeanCloud 分配给应用。为空时，此类请求视为未带 key。",
            "key": True,
        },
    )
    url_rewrites: str = field(
        default="",
        metadata={
            "help": "Where URLs in older messages lead now, for who reads history: `OLD=NEW`, the beginnings of URLs,"
            " with commas between. What is kept stays as it was sent.",
            "help_zh": "读取历史消息时，旧消息中 URL 的新地址：`旧=新`，均为 URL 的开头部分，以逗号分隔。"
            "保存的消息内容不变。",
            "rewrites": True,
        },
    )
    file_max: int = field(
        default=104_857_600,
        metadata={
            "help": "Size of one uploaded file, in bytes.",
            "help_zh": "单个上传文件的大小上限（字节）。",
            "min": 1,
            "max": 99_999_999_999,
        },
    )
    file_types: str = field(
        default="*/*",
        metadata={
            "help": "Types of files that may be uploaded, such as `image/*,audio/*,application/pdf`.",
            "help_zh": "允许上传的文件类型，例如 `image/*,audio/*,application/pdf`。",
            "pattern": r"[a-z0-9.+*-]+/[a-z0-9.+*-]+(,[a-z0-9.+*-]+/[a-z0-9.+*-]+){0,49}",
        },
    )
    file_upload: Literal["key", "master"] = field(
        default="key",
        metadata={
            "help": "Who may upload files: whoever has the app key, or only who has the master key.",
            "help_zh": "谁可以上传文件：key 为持有 app key 者，master 为仅持有 master key 者。",
            "choices": ("key", "master"),
        },
    )
    file_rate: int = field(
        default=600,
        metadata={
            "help": "Files that may be uploaded per minute from one address; not counted with the master key.",
            "help_zh": "每个来源地址每分钟可上传的文件数；使用 master key 时不计。",
            "min": 1,
            "max": 1_000_000,
        },
    )
    file_link_ttl: int = field(
        default=0,
        metadata={
            "help": "Seconds for which a link to a file is good; 0: for ever.",
            "help_zh": "文件链接的有效期（秒）；0 表示永久有效。",
            "min": 0,
            "max": 31_536_000,
        },
    )
    rest_send_rate: int = field(
        default=0,
        metadata={
            "help": "Messages, edits and recalls per minute over HTTP by the app's own server; 0: any number."
            " LeanCloud's is 1800. Over it, nothing more is taken for a minute.",
            "help_zh": "应用服务端每分钟可通过 HTTP 发送、修改、撤回消息的次数；0 表示不限。LeanCloud 为 1800。"
            "超出后一分钟内不再接受。",
            "min": 0,
            "max": 1_000_000,
        },
    )
    rest_subscription_rate: int = field(
        default=0,
        metadata={
            "help": "Messages to all subscribers of a service conversation, and their edits and recalls, per minute; 0:"
            " any number. LeanCloud's is 30.",
            "help_zh": "每分钟可向服务号全体订阅者发送、修改、撤回消息的次数；0 表示不限。LeanCloud 为 30。",
            "min": 0,
            "max": 1_000_000,
        },
    )
    rest_subscriptions_daily: int = field(
        default=0,
        metadata={
            "help": "The same per day (UTC); 0: any number. LeanCloud's is 1000.",
            "help_zh": "同上，每天（UTC）的次数；0 表示不限。LeanCloud 为 1000。",
            "min": 0,
            "max": 10_000_000,
        },
    )
    rest_broadcast_rate: int = field(
        default=0,
        metadata={
            "help": "Broadcasts to all clients of the app, and their edits, per minute; 0: any number. LeanCloud's is"
            " 10.",
            "help_zh": "每分钟可向应用全体用户发送广播（含修改）的次数；0 表示不限。LeanCloud 为 10。",
            "min": 0,
            "max": 1_000_000,
        },
    )
    rest_broadcasts_daily: int = field(
        default=30,
        metadata={
            "help": "The same per day (UTC); 0: any number.",
            "help_zh": "同上，每天（UTC）的次数；0 表示不限。",
            "min": 0,
            "max": 1_000,
        },
    )
    callback_url: str = field(
        default="",
        metadata={
            "help": "URL of the app's own server to which messages that clients send in service conversations are"
            " posted, as LeanCloud does it. Empty: none.",
            "help_zh": "应用自己的服务器地址；client 发给服务号的消息会以 LeanCloud 的格式发送到该地址。为空则不发送。",
            "url": "whole",
        },
    )
    push_content: str = field(
        default="",
        metadata={
            "help": "What is pushed of messages that say nothing of it themselves: JSON such as"
            ' `{"alert":"New message"}`, in which `${convId}`, `${timestamp}` and `${fromClientId}` are filled in.'
            " Empty: nothing.",
            "help_zh": '消息自身未指定推送内容时的默认推送内容，为 JSON，例如 `{"alert":"您有新的消息"}`；其中'
            " `${convId}`、`${timestamp}`、`${fromClientId}` 会被替换。为空则不推送。",
            "push": 4_096,
        },
    )
    push_rate: int = field(
        default=0,
        metadata={
            "help": "Pushes to devices per minute; those over it wait. 0: any number.",
            "help_zh": "每分钟向设备发出的推送数，超出的排队等待；0 表示不限。",
            "min": 0,
            "max": 10_000_000,
        },
    )
    push_by_clients: bool = field(
        default=False,
        metadata={
            "help": "Whether callers with the app key alone may push over HTTP, to any device of the app; on or off.",
            "help_zh": "仅凭 app key 是否可以通过 HTTP 向应用的任意设备发送推送；on 或 off。",
        },
    )
    rest_push_rate: int = field(
        default=0,
        metadata={
            "help": "Pushes that may be asked for over HTTP per minute; 0: any number. LeanCloud's is 600.",
            "help_zh": "每分钟可通过 HTTP 请求推送的次数；0 表示不限。LeanCloud 为 600。",
            "min": 0,
            "max": 1_000_000,
        },
    )


#: Several settings under one name, for `preset=NAME`.
PRESETS = {"leancloud": {"message_days": "180", "conversation_days": "180"}}
