"""Every error a caller can see, in one table.

`Kind` is what a client acts on: the wire code and symbolic name of the LeanCloud reference (section 9),
the HTTP status for the same failure, whether a retry can help, and whether it may end a connection as its close code.
Raise `Refused(kind, detail)` for a caller's mistake, `StartupError` for an operator's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of refusal. `name` is sent verbatim as `reason`: SDKs compare it literally."""

    name: str
    code: int
    status: int
    retry: bool
    closes: bool
    advice_en: str
    advice_zh: str


class Refused(Exception):
    """A request was refused; nothing was changed. `detail` is text for people, in English.

    Where the app's own engine has refused, `app_code` and `detail` are its words.
    """

    def __init__(self, kind: Kind, detail: str = "", app_code: int | None = None) -> None:
        super().__init__(f"{kind.name}: {detail}" if detail else kind.name)
        self.kind = kind
        self.detail = detail
        self.app_code = app_code


class StartupError(Exception):
    """The program can't run as it was set up. The text is one sentence for the operator."""


def _kind(
    name: str, code: int, en: str, zh: str, *, status: int = 400, retry: bool = False, closes: bool = False
) -> Kind:
    return Kind(name, code, status, retry, closes, en, zh)


APP_NOT_AVAILABLE = _kind("APP_NOT_AVAILABLE", 4100, "Check the app id.", "请检查应用 id。", status=404, closes=True)
SIGNATURE_FAILED = _kind(
    "SIGNATURE_FAILED",
    4102,
    "Sign the login as the app's server is told to, not longer than six hours before.",
    "请按规定为登录签名，签名有效期为六小时。",
    status=401,
)
INVALID_LOGIN = _kind(
    "INVALID_LOGIN",
    4103,
    "A client id has 1 to 64 characters.",
    "client id 的长度为 1 到 64 个字符。",
)
SESSION_REQUIRED = _kind("SESSION_REQUIRED", 4105, "Open a session first.", "请先打开会话（登录）。")
READ_TIMEOUT = _kind(
    "READ_TIMEOUT",
    4107,
    "Send a keep-alive every 180 s.",
    "请每 180 秒发送一次心跳。",
    retry=True,
    closes=True,
)
LOGIN_TIMEOUT = _kind(
    "LOGIN_TIMEOUT",
    4108,
    "Open a session soon after connecting.",
    "连接后请尽快打开会话。",
    retry=True,
    closes=True,
)
FRAME_TOO_LONG = _kind("FRAME_TOO_LONG", 4109, "Send a shorter message.", "请缩短消息。", status=413, closes=True)
SESSION_CONFLICT = _kind(
    "SESSION_CONFLICT",
    4111,
    "Another device of this kind is logged in: log out there, or log in anew, which logs it out.",
    "该 client 已在另一台同类设备上登录：请先在那里退出，或重新登录以使其下线。",
    status=409,
)
SESSION_TOKEN_EXPIRED = _kind(
    "SESSION_TOKEN_EXPIRED",
    4112,
    "Open the session again without the token.",
    "请不带 token 重新打开会话。",
    status=401,
)
UNPARSEABLE_RAW_MESSAGE = _kind(
    "UNPARSEABLE_RAW_MESSAGE",
    4114,
    "Send a command of the protocol.",
    "请发送协议规定的命令。",
    closes=True,
)
MESSAGE_SENT_QUOTA_EXCEEDED = _kind(
    "MESSAGE_SENT_QUOTA_EXCEEDED", 4116, "Slow down.", "请降低发送频率。", status=429, retry=True
)
KICKED_BY_APP = _kind(
    "KICKED_BY_APP",
    4115,
    "The application has logged this client out: log in anew.",
    "应用已将该 client 强制下线：请重新登录。",
    status=401,
)
INTERNAL_ERROR = _kind(
    "INTERNAL_ERROR", 4200, "Try again; tell the operator.", "请重试，并告知管理员。", status=500, retry=True
)
STORAGE_FULL = _kind(
    "STORAGE_FULL",
    4200,
    "The server's disk is full: tell the operator, then try again.",
    "服务器磁盘已满：请告知管理员后重试。",
    status=507,
    retry=True,
)
CONVERSATION_API_FAILED = _kind("CONVERSATION_API_FAILED", 4301, "Check the arguments.", "请检查参数。")
CONVERSATION_SIGNATURE_FAILED = _kind(
    "CONVERSATION_SIGNATURE_FAILED",
    4302,
    "Sign the operation as the app's server is told to, not longer than six hours before.",
    "请按规定为该操作签名，签名有效期为六小时。",
    status=401,
)
CONVERSATION_NOT_FOUND = _kind(
    "CONVERSATION_NOT_FOUND", 4303, "Check the conversation id.", "请检查对话 id。", status=404
)
CONVERSATION_FULL = _kind(
    "CONVERSATION_FULL", 4304, "Remove members first, or raise the limit.", "请先移除成员，或提高人数上限。"
)
CONVERSATION_REJECTED_BY_APP = _kind(
    "CONVERSATION_REJECTED_BY_APP",
    4305,
    "The app's rules refuse this.",
    "该操作被应用的规则拒绝。",
    status=403,
)
CONVERSATION_UPDATE_FAILED = _kind(
    "CONVERSATION_UPDATE_FAILED",
    4306,
    "Check the keys, the operators and the size of the attributes.",
    "请检查属性的键、操作符和大小。",
)
CONVERSATION_READ_ONLY = _kind(
    "CONVERSATION_READ_ONLY", 4307, "This conversation can't be changed.", "该对话不可更改。"
)
CONVERSATION_NOT_ALLOWED = _kind(
    "CONVERSATION_NOT_ALLOWED", 4308, "This can't be sent here.", "此处不允许发送该内容。", status=403
)
CONVERSATION_UPDATE_REJECTED = _kind(
    "CONVERSATION_UPDATE_REJECTED",
    4309,
    "Join first: only members change a conversation.",
    "请先加入：只有成员可以修改对话。",
    status=403,
)
CONVERSATION_QUERY_FAILED = _kind("CONVERSATION_QUERY_FAILED", 4310, "Check the condition.", "请检查查询条件。")
CONVERSATION_LOG_FAILED = _kind("CONVERSATION_LOG_FAILED", 4311, "Check the arguments.", "请检查参数。")
CONVERSATION_LOG_REJECTED = _kind(
    "CONVERSATION_LOG_REJECTED",
    4312,
    "Only members read the history.",
    "只有成员可以读取历史消息。",
    status=403,
)
SYSTEM_CONVERSATION_REQUIRED = _kind(
    "SYSTEM_CONVERSATION_REQUIRED",
    4313,
    "Ask this of a service conversation only.",
    "该操作仅适用于服务号。",
)
NORMAL_CONVERSATION_REQUIRED = _kind(
    "NORMAL_CONVERSATION_REQUIRED",
    4314,
    "Ask this of a normal conversation only.",
    "该操作仅适用于普通对话。",
)
CONVERSATION_BLACKLISTED = _kind(
    "CONVERSATION_BLACKLISTED",
    4315,
    "Silenced for a time: wait until it is over.",
    "已被临时禁言：请等待禁言结束。",
    status=403,
)
TRANSIENT_CONVERSATION_REQUIRED = _kind(
    "TRANSIENT_CONVERSATION_REQUIRED",
    4316,
    "Ask this of a chat room only.",
    "该操作仅适用于聊天室。",
)
CONVERSATION_MEMBERSHIP_REQUIRED = _kind(
    "CONVERSATION_MEMBERSHIP_REQUIRED", 4317, "Join first.", "请先加入对话。", status=403
)
CONVERSATION_API_QUOTA_EXCEEDED = _kind(
    "CONVERSATION_API_QUOTA_EXCEEDED", 4318, "Slow down.", "请降低操作频率。", status=429, retry=True
)
CONVERSATION_OPERATION_UNAUTHORIZED = _kind(
    "CONVERSATION_OPERATION_UNAUTHORIZED",
    4320,
    "This needs a higher role in the conversation.",
    "该操作需要在对话中拥有更高的角色。",
    status=403,
)
UNKNOWN_CONVERSATION_ROLE = _kind(
    "UNKNOWN_CONVERSATION_ROLE", 4321, "A role is Owner, Manager or Member.", "角色只能是 Owner、Manager 或 Member。"
)
CONVERSATION_MEMBER_IN_ROLE_FULL = _kind(
    "CONVERSATION_MEMBER_IN_ROLE_FULL",
    4322,
    "Take the role from somebody first.",
    "担任该角色的成员已满：请先取消其他成员的角色。",
)
CONVERSATION_NEED_OWNER = _kind(
    "CONVERSATION_NEED_OWNER",
    4324,
    "The owner of a conversation can't leave or be removed.",
    "对话的所有者不能退出，也不能被移除。",
    status=403,
)
CONVERSATION_MEMBER_INFO_FEATURE_DISABLED = _kind(
    "CONVERSATION_MEMBER_INFO_FEATURE_DISABLED",
    4325,
    "Roles are off: the operator can allow them with the app setting `roles`.",
    "已关闭成员角色功能：管理员可用应用设置 `roles` 开启。",
    status=403,
)
INVALID_MESSAGING_TARGET = _kind(
    "INVALID_MESSAGING_TARGET",
    4401,
    "Check the conversation id and your membership.",
    "请检查对话 id 以及自己是否为成员。",
    status=404,
)
MESSAGE_REJECTED_BY_APP = _kind(
    "MESSAGE_REJECTED_BY_APP",
    4402,
    "The app's rules refuse this message.",
    "该消息被应用的规则拒绝。",
    status=403,
)
MESSAGE_OWNERSHIP_REQUIRED = _kind(
    "MESSAGE_OWNERSHIP_REQUIRED",
    4403,
    "Only its author edits or recalls a message.",
    "只有消息的发送者可以修改或撤回它。",
    status=403,
)
MESSAGE_NOT_FOUND = _kind(
    "MESSAGE_NOT_FOUND",
    4404,
    "Check the message's id and timestamp; a recalled message can't be edited.",
    "请检查消息的 id 和时间戳；已撤回的消息不能再修改。",
    status=404,
)
MESSAGE_UPDATE_REJECTED_BY_APP = _kind(
    "MESSAGE_UPDATE_REJECTED_BY_APP",
    4405,
    "The app's rules refuse this edit.",
    "该修改被应用的规则拒绝。",
    status=403,
)
MESSAGE_EDIT_DISABLED = _kind(
    "MESSAGE_EDIT_DISABLED",
    4406,
    "Editing is off: the operator can allow it with the app setting `edit`.",
    "已关闭消息修改功能：管理员可用应用设置 `edit` 开启。",
    status=403,
)
MESSAGE_RECALL_DISABLED = _kind(
    "MESSAGE_RECALL_DISABLED",
    4407,
    "Recalling is off: the operator can allow it with the app setting `recall`.",
    "已关闭消息撤回功能：管理员可用应用设置 `recall` 开启。",
    status=403,
)
BLACKLIST_FULL = _kind(
    "BLACKLIST_FULL", 4543, "Take somebody off the blacklist first.", "黑名单已满：请先移出部分成员。"
)
BLACKLIST_FEATURE_DISABLED = _kind(
    "BLACKLIST_FEATURE_DISABLED",
    4544,
    "Blacklists are off: the operator can allow them with the app setting `blacklist`.",
    "已关闭黑名单功能：管理员可用应用设置 `blacklist` 开启。",
    status=403,
)
BLACKLIST_SIGNATURE_FAILED = _kind(
    "BLACKLIST_SIGNATURE_FAILED",
    4546,
    "Sign the operation as the app's server is told to, not longer than six hours before.",
    "请按规定为该操作签名，签名有效期为六小时。",
    status=401,
)
BLOCKED_BY_CONV = _kind(
    "BLOCKED_BY_CONV", 4548, "This client is on the conversation's blacklist.", "该 client 已被对话拉黑。", status=403
)
SILIENCED_MEMBER_LIST_FULL = _kind(  # (sic), as SDKs know it
    "SILIENCED_MEMBER_LIST_FULL", 4561, "Let somebody speak again first.", "禁言名单已满：请先解除部分成员的禁言。"
)
CONDITION_NOT_MET = _kind(
    "CONDITION_NOT_MET",
    305,
    "Read the object again: the write was to be done only where a condition holds.",
    "请重新读取对象：该写入仅在满足条件时生效。",
)
SILIENCED = _kind("SILIENCED", 4563, "Silenced in this conversation.", "已在该对话中被禁言。", status=403)

INVALID_ORIGIN = _kind(
    "INVALID_ORIGIN",
    4110,
    "The app takes no calls from pages of this site: the operator can add it with the app setting `web_domains`.",
    "该应用不接受来自此站点页面的请求：管理员可用应用设置 `web_domains` 添加。",
    status=403,
    closes=True,
)
INVALID_QUERY = _kind("INVALID_QUERY", 102, "Check the condition and the order.", "请检查查询条件和排序。")
OBJECT_NOT_FOUND = _kind("OBJECT_NOT_FOUND", 101, "Check the object's id.", "请检查对象 id。", status=404)
INVALID_VALUE = _kind(
    "INVALID_VALUE", 111, "Check the keys, their types and the operators.", "请检查字段、类型和操作符。"
)
OBJECT_TOO_LARGE = _kind("OBJECT_TOO_LARGE", 116, "Keep less in one object.", "请减小对象的大小。")
READ_ONLY_KEY = _kind("READ_ONLY_KEY", 117, "Leave out what only the server sets.", "请去掉只能由服务器设置的字段。")
INVALID_EMAIL = _kind("INVALID_EMAIL", 125, "Check the e-mail address.", "请检查电子邮箱地址。")
INVALID_MOBILE = _kind("INVALID_MOBILE", 127, "Check the phone number.", "请检查手机号码。")
USERNAME_MISSING = _kind("USERNAME_MISSING", 200, "Give a username.", "请提供用户名。")
PASSWORD_MISSING = _kind("PASSWORD_MISSING", 201, "Give a password.", "请提供密码。")
USERNAME_TAKEN = _kind("USERNAME_TAKEN", 202, "Choose another username.", "请换一个用户名。")
EMAIL_TAKEN = _kind("EMAIL_TAKEN", 203, "Another user has this e-mail address.", "该电子邮箱已被其他用户使用。")
USER_SESSION_MISSING = _kind(
    "USER_SESSION_MISSING",
    206,
    "Send the session token of this user in `X-LC-Session`.",
    "请在 `X-LC-Session` 中提供该用户的 session token。",
    status=403,
)
ACCOUNT_TAKEN = _kind(
    "ACCOUNT_TAKEN", 208, "Another user has this account of the platform.", "该第三方帐号已绑定到其他用户。"
)
PASSWORD_WRONG = _kind("PASSWORD_WRONG", 210, "Check username and password.", "请检查用户名和密码。")
USER_NOT_FOUND = _kind(
    "USER_NOT_FOUND",
    211,
    "Check the username, the id or the session token; log in anew.",
    "请检查用户名、id 或 session token，或重新登录。",
)
MOBILE_TAKEN = _kind("MOBILE_TAKEN", 214, "Another user has this phone number.", "该手机号码已被其他用户使用。")
INVALID_USERNAME = _kind(
    "INVALID_USERNAME",
    217,
    "A username has 1 to 128 characters, not spaces only.",
    "用户名为 1 到 128 个字符，且不能全为空白。",
)
INVALID_PASSWORD = _kind("INVALID_PASSWORD", 218, "A password has 1 to 512 characters.", "密码为 1 到 512 个字符。")
LOGIN_LOCKED = _kind(
    "LOGIN_LOCKED",
    219,
    "Too many wrong passwords: wait 15 minutes.",
    "密码错误次数过多：请等待 15 分钟。",
    retry=True,
)
ACCOUNT_INVALID = _kind(
    "ACCOUNT_INVALID",
    251,
    "Log in with accounts of other platforms from the app's own server, with the master key.",
    "请由应用自己的服务器使用 master key 以第三方帐号登录。",
)
SIGN_UP_CLOSED = _kind(
    "SIGN_UP_CLOSED",
    207,
    "Users can't sign up by themselves: the operator can allow it with the app setting `user_sign_up`.",
    "已关闭自行注册：管理员可用应用设置 `user_sign_up` 开启。",
    status=403,
)
WEBHOOKS_FULL = _kind("WEBHOOKS_FULL", 409, "Delete a webhook first.", "请先删除一个 webhook。", status=409)
CHANNELS_FULL = _kind("CHANNELS_FULL", 409, "Delete a channel first.", "请先删除一个渠道。", status=409)
SERVER_BUSY = _kind("SERVER_BUSY", 429, "Try again in a moment.", "请稍后重试。", status=429, retry=True)

# Of files: over HTTP only.
FILE_NOT_FOUND = _kind(
    "FILE_NOT_FOUND", 101, "Check the id or the URL of the file.", "请检查文件的 id 或地址。", status=404
)
FILE_TOO_LARGE = _kind(
    "FILE_TOO_LARGE",
    413,
    "Send a smaller file; the operator can raise the app setting `file_max`.",
    "请缩小文件；管理员可调高应用设置 `file_max`。",
    status=413,
)
FILE_TYPE_REFUSED = _kind(
    "FILE_TYPE_REFUSED",
    415,
    "The app setting `file_types` says which types of files this app takes.",
    "该应用接受的文件类型由应用设置 `file_types` 决定。",
    status=415,
)
FILE_DAMAGED = _kind(
    "FILE_DAMAGED",
    1,
    "What arrived is not what was announced: upload the file again.",
    "收到的内容与声明的不符：请重新上传。",
    retry=True,
)
FILE_EXISTS = _kind(
    "FILE_EXISTS",
    409,
    "A file is never overwritten: begin another upload.",
    "文件不可覆盖：请重新开始一次上传。",
    status=409,
)
FILE_UPLOAD_REFUSED = _kind(
    "FILE_UPLOAD_REFUSED",
    403,
    "Ask for an upload address again, and use it soon.",
    "请重新获取上传地址，并尽快使用。",
    status=403,
)
FILE_LINK_EXPIRED = _kind(
    "FILE_LINK_EXPIRED",
    403,
    "Ask for the file by its id, which gives a new link.",
    "请按文件 id 重新查询，以获得新的链接。",
    status=403,
)
FILES_BUSY = _kind("FILES_BUSY", 503, "Try again in a moment.", "请稍后重试。", status=503, retry=True)
IMAGE_REFUSED = _kind(
    "IMAGE_REFUSED",
    1,
    "Ask for a size and a format that images can have, of a file that is an image.",
    "请对图片文件请求有效的尺寸和格式。",
)

#: Refusals of the app itself: `detail` is meant for its clients.
OF_APPS = frozenset({CONVERSATION_REJECTED_BY_APP, MESSAGE_REJECTED_BY_APP, MESSAGE_UPDATE_REJECTED_BY_APP})

KINDS: dict[str, Kind] = {value.name: value for value in list(globals().values()) if isinstance(value, Kind)}
