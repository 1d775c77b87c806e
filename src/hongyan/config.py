"""The settings: one frozen tree, which `config_load` fills from a file, the environment and the command line.

Each field carries its help in English and Chinese. The reference page, the command line's help and the
sentences about wrong values are made from the fields. `http_port` is `HONGYAN_HTTP_PORT` in the environment;
`backlog` in the section `gateway` is `HONGYAN_GATEWAY_BACKLOG` there, and under `[gateway]` in the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from msgspec import Meta, Struct, inspect, structs

PREFIX = "HONGYAN_"
DATABASE_NAME = "hongyan.db"
FILES_NAME = "files"
#: Free bytes of a disk below which the server is about to fail.
FREE_SPACE_MIN = 512 * 2**20


def _help(en: str, zh: str, *, least: float | None = None, most: float | None = None) -> Meta:
    return Meta(description=en, ge=least, le=most, extra={"zh": zh})


class GatewayOptions(Struct, frozen=True, kw_only=True):
    """Limits of the websocket door."""

    max_connections: Annotated[
        int,
        _help(
            "Connections at once; 0 means as many as the file descriptors allow.",
            "同时连接数上限；0 表示仅受文件描述符数量限制。",
            least=0,
        ),
    ] = 0
    max_sessions: Annotated[
        int,
        _help("Clients that one connection may open.", "单个连接可打开的 client 数。", least=1, most=65_536),
    ] = 256
    login_timeout: Annotated[
        float,
        _help(
            "Seconds a connection may take to open its first session.",
            "连接建立后打开第一个会话的时限（秒）。",
            least=0.1,
            most=86_400,
        ),
    ] = 60.0
    read_timeout: Annotated[
        float,
        _help(
            "Seconds of silence after which a connection is closed; SDKs send something every 180 s.",
            "连接静默多少秒后关闭；SDK 每 180 秒至少发送一次。",
            least=0.1,
            most=86_400,
        ),
    ] = 400.0
    max_frame: Annotated[
        int,
        _help(
            "Bytes a websocket frame may have.",
            "单个 websocket 帧的最大字节数。",
            least=1_024,
            most=16_777_216,
        ),
    ] = 65_536
    max_outbox: Annotated[
        int,
        _help(
            "Bytes that may wait for a slow connection before it is closed.",
            "慢连接的待发送数据上限（字节），超过则关闭该连接。",
            least=65_536,
        ),
    ] = 1_048_576
    max_inflight: Annotated[
        int,
        _help(
            "Commands of one connection that may wait for an answer; reading pauses above it.",
            "单个连接可同时等待应答的命令数；超过时暂停读取。",
            least=1,
            most=65_536,
        ),
    ] = 256
    max_rate: Annotated[
        int,
        _help(
            "Frames per second that one connection may send, and send at once; reading pauses above it.",
            "单个连接每秒（及一次性突发）可发送的帧数；超过时暂停读取。",
            least=100,
            most=1_000_000,
        ),
    ] = 2_000
    tcp_user_timeout: Annotated[
        int,
        _help(
            "Seconds that a peer's network may leave sent bytes unconfirmed before the connection is closed.",
            "已发送数据未被对端网络确认多少秒后关闭连接。",
            least=1,
            most=3_600,
        ),
    ] = 20
    backlog: Annotated[
        int,
        _help(
            "Connections that may wait to be accepted; the kernel's `net.core.somaxconn` caps it.",
            "等待接受的连接数上限；受内核 `net.core.somaxconn` 限制。",
            least=1,
            most=65_535,
        ),
    ] = 4_096


class FilesOptions(Struct, frozen=True, kw_only=True):
    """Where uploaded files are, and what one server does with them at once."""

    url: Annotated[
        str | None,
        _help(
            "Where clients fetch files, if not under `public_url`, such as `https://files.example.com`. Messages keep "
            "the addresses of their files: choose it before the first is sent.",
            "客户端获取文件的地址（若不同于 `public_url`），例如 `https://files.example.com`。"
            "消息会保留其中文件的地址，请在发送第一个文件之前确定。",
        ),
    ] = None
    directory: Annotated[
        Path | None,
        _help(
            "Directory of uploaded files; the default is `files` in the data directory.",
            "上传文件所在目录；默认为数据目录中的 `files`。",
        ),
    ] = None
    s3_bucket: Annotated[
        str | None,
        _help(
            "Bucket of an S3-compatible store that takes the files instead of the directory.",
            "S3 兼容存储的 bucket；设置后文件存放于此，而不在本地目录中。",
        ),
    ] = None
    s3_prefix: Annotated[
        str | None,
        _help("What the names in the bucket begin with.", "bucket 中对象名称的前缀。"),
    ] = None
    s3_endpoint: Annotated[
        str | None,
        _help(
            "URL of the S3-compatible store; not needed for AWS.",
            "S3 兼容存储的地址；使用 AWS 时无需设置。",
        ),
    ] = None
    s3_region: Annotated[
        str | None,
        _help("Region of the bucket.", "bucket 所在区域。"),
    ] = None
    s3_access_key: Annotated[
        str | None,
        _help(
            "Access key for the bucket; if not set, AWS' own variables and files are asked.",
            "访问 bucket 的 access key；未设置时采用 AWS 的环境变量和配置文件。",
        ),
    ] = None
    s3_secret_key: Annotated[
        str | None,
        _help(
            "Secret key for the bucket; better set by its environment variable.",
            "访问 bucket 的 secret key；建议通过环境变量设置。",
        ),
    ] = None
    max_uploads: Annotated[
        int,
        _help(
            "Files that may arrive at once, a quarter of them from one address;"
            " each may hold a few MiB of memory (S3: 24 MiB).",
            "可同时上传的文件数，单个来源地址最多占四分之一；每个上传最多占用数 MiB 内存（S3 为 24 MiB）。",
            least=1,
            most=10_000,
        ),
    ] = 64
    max_pixels: Annotated[
        int,
        _help(
            "Pixels of the largest image of which thumbnails are made; of WebP a third of it.",
            "可生成缩略图的图片的最大像素数；WebP 为其三分之一。",
            least=10_000,
            most=500_000_000,
        ),
    ] = 40_000_000


class ChannelsOptions(Struct, frozen=True, kw_only=True):
    """Messages to other platforms."""

    keep_days: Annotated[
        int,
        _help(
            "Days that messages sent by channels, and what became of them, can be looked at.",
            "通过渠道发送的消息及其结果的保留天数。",
            least=1,
            most=3_650,
        ),
    ] = 30


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an operator may set."""

    host: Annotated[
        str,
        _help("Address to listen on; `0.0.0.0` or `::` for all.", "监听地址；`0.0.0.0` 或 `::` 表示全部。"),
    ] = "127.0.0.1"
    http_port: Annotated[
        int,
        _help(
            "Port of the chat page and the SDKs' router; 0 takes any free one.",
            "聊天页面和 SDK 路由查询的端口；0 表示任一空闲端口。",
            least=0,
            most=65_535,
        ),
    ] = 8000
    gateway_port: Annotated[
        int,
        _help(
            "Port of the websocket gateway; 0 takes any free one.",
            "websocket 网关的端口；0 表示任一空闲端口。",
            least=0,
            most=65_535,
        ),
    ] = 8001
    tls_cert: Annotated[
        Path | None,
        _help(
            "PEM file with the certificate chain; both ports then speak TLS.",
            "证书链的 PEM 文件；设置后两个端口都使用 TLS。",
        ),
    ] = None
    tls_key: Annotated[Path | None, _help("PEM file with the certificate's private key.", "证书私钥的 PEM 文件。")] = (
        None
    )
    public_url: Annotated[
        str | None,
        _help(
            "Where clients reach the HTTP port, such as `https://chat.example.com`.",
            "客户端访问 HTTP 端口的地址，例如 `https://chat.example.com`。",
        ),
    ] = None
    public_gateway_url: Annotated[
        str | None,
        _help(
            "Where clients reach the gateway, such as `wss://chat.example.com:8001`; SDKs are sent there.",
            "客户端访问网关的地址，例如 `wss://chat.example.com:8001`；SDK 会连接该地址。",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        _help(
            "Addresses or networks of reverse proxies whose `X-Forwarded-*` headers are believed.",
            "可信反向代理的地址或网段，其 `X-Forwarded-*` 请求头会被采信。",
        ),
    ] = ()
    metrics_from: Annotated[
        tuple[str, ...],
        _help(
            "Addresses or networks, besides loopback, that may read `/metrics`.",
            "除本机回环地址外，可读取 `/metrics` 的地址或网段。",
        ),
    ] = ()
    allowed_private: Annotated[
        tuple[str, ...],
        _help(
            "Addresses or networks that are not of the internet and may be called all the same: engines of apps, "
            "webhooks and others that are given to the server as URLs.",
            "允许服务器访问的内网地址或网段：应用的云引擎、webhook 等以 URL 配置的目标若在内网，须列于此。",
        ),
    ] = ()
    redis: Annotated[
        str | None,
        _help(
            "URL of Redis, for several processes; not in this version.",
            "多进程部署所用的 Redis 地址；本版本尚不支持。",
        ),
    ] = None
    data_dir: Annotated[
        Path,
        _help("Directory of everything the server keeps.", "服务器全部数据所在目录。"),
    ] = Path("data")
    database: Annotated[
        str | None,
        _help(
            "Database URL, `sqlite:///PATH`; the default is `hongyan.db` in the data directory.",
            "数据库地址 `sqlite:///路径`；默认为数据目录中的 `hongyan.db`。",
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _help("Least important log lines that are written.", "写出的最低日志级别。"),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        _help(
            "Form of the log: for people, as JSON lines, or by whether standard error is a terminal.",
            "日志格式：便于阅读、JSON 行，或按标准错误是否为终端自动选择。",
        ),
    ] = "auto"
    stop_timeout: Annotated[
        float,
        _help(
            "Seconds that a stop waits for connections to take what is meant for them.",
            "停止时等待各连接收完待发数据的时限（秒）。",
            least=0,
            most=3_600,
        ),
    ] = 10.0
    gateway: GatewayOptions = GatewayOptions()
    files: FilesOptions = FilesOptions()
    channels: ChannelsOptions = ChannelsOptions()

    @property
    def files_path(self) -> Path:
        """The directory of uploaded files."""
        return self.files.directory or self.data_dir / FILES_NAME

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        if self.database is None:
            return self.data_dir / DATABASE_NAME
        return Path(self.database.removeprefix("sqlite:///"))


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: where it stands in the tree and what may stand in it."""

    path: tuple[str, ...]
    type: Any
    default: Any

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return PREFIX + "_".join(self.path).upper()

    @property
    def option(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def help(self) -> str:
        return str(self.type.__metadata__[0].description)

    @property
    def help_zh(self) -> str:
        return str(self.type.__metadata__[0].extra["zh"])

    @property
    def is_list(self) -> bool:
        return get_origin(self.type.__origin__) is tuple

    @property
    def values(self) -> str:
        """What may stand in it, in words that complete "must be …"."""
        return _describe(inspect.type_info(self.type))[0]

    @property
    def values_zh(self) -> str:
        return _describe(inspect.type_info(self.type))[1]


def fields(tree: type[Struct] = Settings, section: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every setting, in the order of the tree."""
    for field in structs.fields(tree):
        path = (*section, field.name)
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from fields(field.type, path)
        else:
            yield Field(path, field.type, field.default)


FIELDS: dict[str, Field] = {field.name: field for field in fields()}


_WORDS: dict[type[inspect.Type], tuple[str, str]] = {
    inspect.IntType: ("a whole number", "整数"),
    inspect.FloatType: ("a number", "数"),
    inspect.CustomType: ("a path", "路径"),
    inspect.StrType: ("a text", "文本"),
    inspect.VarTupleType: ("a list of texts", "文本列表"),
}


def _describe(info: inspect.Type) -> tuple[str, str]:
    """The values of a type, in English and Chinese."""
    match info:
        case inspect.Metadata(type=inner):
            return _describe(inner)
        case inspect.UnionType(types=types):
            return next(_describe(inner) for inner in types if not isinstance(inner, inspect.NoneType))
        case inspect.LiteralType(values=choices):
            codes = [f"`{choice}`" for choice in choices]
            return "one of " + ", ".join(codes), "、".join(codes) + " 之一"
        case inspect.IntType(ge=least, le=most) | inspect.FloatType(ge=least, le=most):
            en, zh = _WORDS[type(info)]
            if most is None:
                return f"{en} of at least {least:.12g}", f"至少为 {least:.12g} 的{zh}"
            return f"{en} from {least:.12g} to {most:.12g}", f"{least:.12g} 到 {most:.12g} 的{zh}"
        case _:
            return _WORDS[type(info)]
