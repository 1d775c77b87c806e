from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    session: _ClassVar[CommandType]
    conv: _ClassVar[CommandType]
    direct: _ClassVar[CommandType]
    ack: _ClassVar[CommandType]
    rcp: _ClassVar[CommandType]
    unread: _ClassVar[CommandType]
    logs: _ClassVar[CommandType]
    error: _ClassVar[CommandType]
    login: _ClassVar[CommandType]
    data: _ClassVar[CommandType]
    room: _ClassVar[CommandType]
    read: _ClassVar[CommandType]
    presence: _ClassVar[CommandType]
    report: _ClassVar[CommandType]
    echo: _ClassVar[CommandType]
    loggedin: _ClassVar[CommandType]
    logout: _ClassVar[CommandType]
    loggedout: _ClassVar[CommandType]
    patch: _ClassVar[CommandType]
    pubsub: _ClassVar[CommandType]
    blacklist: _ClassVar[CommandType]
    goaway: _ClassVar[CommandType]

class OpType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    open: _ClassVar[OpType]
    add: _ClassVar[OpType]
    remove: _ClassVar[OpType]
    close: _ClassVar[OpType]
    opened: _ClassVar[OpType]
    closed: _ClassVar[OpType]
    query: _ClassVar[OpType]
    query_result: _ClassVar[OpType]
    conflict: _ClassVar[OpType]
    added: _ClassVar[OpType]
    removed: _ClassVar[OpType]
    refresh: _ClassVar[OpType]
    refreshed: _ClassVar[OpType]
    start: _ClassVar[OpType]
    started: _ClassVar[OpType]
    joined: _ClassVar[OpType]
    members_joined: _ClassVar[OpType]
    left: _ClassVar[OpType]
    members_left: _ClassVar[OpType]
    results: _ClassVar[OpType]
    count: _ClassVar[OpType]
    result: _ClassVar[OpType]
    update: _ClassVar[OpType]
    updated: _ClassVar[OpType]
    mute: _ClassVar[OpType]
    unmute: _ClassVar[OpType]
    status: _ClassVar[OpType]
    members: _ClassVar[OpType]
    max_read: _ClassVar[OpType]
    is_member: _ClassVar[OpType]
    member_info_update: _ClassVar[OpType]
    member_info_updated: _ClassVar[OpType]
    member_info_changed: _ClassVar[OpType]
    expire: _ClassVar[OpType]
    join: _ClassVar[OpType]
    invite: _ClassVar[OpType]
    leave: _ClassVar[OpType]
    kick: _ClassVar[OpType]
    reject: _ClassVar[OpType]
    invited: _ClassVar[OpType]
    kicked: _ClassVar[OpType]
    upload: _ClassVar[OpType]
    uploaded: _ClassVar[OpType]
    subscribe: _ClassVar[OpType]
    subscribed: _ClassVar[OpType]
    unsubscribe: _ClassVar[OpType]
    unsubscribed: _ClassVar[OpType]
    is_subscribed: _ClassVar[OpType]
    modify: _ClassVar[OpType]
    modified: _ClassVar[OpType]
    block: _ClassVar[OpType]
    unblock: _ClassVar[OpType]
    blocked: _ClassVar[OpType]
    unblocked: _ClassVar[OpType]
    members_blocked: _ClassVar[OpType]
    members_unblocked: _ClassVar[OpType]
    check_block: _ClassVar[OpType]
    check_result: _ClassVar[OpType]
    add_shutup: _ClassVar[OpType]
    remove_shutup: _ClassVar[OpType]
    query_shutup: _ClassVar[OpType]
    shutup_added: _ClassVar[OpType]
    shutup_removed: _ClassVar[OpType]
    shutup_result: _ClassVar[OpType]
    shutuped: _ClassVar[OpType]
    unshutuped: _ClassVar[OpType]
    members_shutuped: _ClassVar[OpType]
    members_unshutuped: _ClassVar[OpType]
    check_shutup: _ClassVar[OpType]

class StatusType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    on: _ClassVar[StatusType]
    off: _ClassVar[StatusType]

class DeviceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    unknown: _ClassVar[DeviceType]
    android: _ClassVar[DeviceType]
    ios: _ClassVar[DeviceType]
session: CommandType
conv: CommandType
direct: CommandType
ack: CommandType
rcp: CommandType
unread: CommandType
logs: CommandType
error: CommandType
login: CommandType
data: CommandType
room: CommandType
read: CommandType
presence: CommandType
report: CommandType
echo: CommandType
loggedin: CommandType
logout: CommandType
loggedout: CommandType
patch: CommandType
pubsub: CommandType
blacklist: CommandType
goaway: CommandType
open: OpType
add: OpType
remove: OpType
close: OpType
opened: OpType
closed: OpType
query: OpType
query_result: OpType
conflict: OpType
added: OpType
removed: OpType
refresh: OpType
refreshed: OpType
start: OpType
started: OpType
joined: OpType
members_joined: OpType
left: OpType
members_left: OpType
results: OpType
count: OpType
result: OpType
update: OpType
updated: OpType
mute: OpType
unmute: OpType
status: OpType
members: OpType
max_read: OpType
is_member: OpType
member_info_update: OpType
member_info_updated: OpType
member_info_changed: OpType
expire: OpType
join: OpType
invite: OpType
leave: OpType
kick: OpType
reject: OpType
invited: OpType
kicked: OpType
upload: OpType
uploaded: OpType
subscribe: OpType
subscribed: OpType
unsubscribe: OpType
unsubscribed: OpType
is_subscribed: OpType
modify: OpType
modified: OpType
block: OpType
unblock: OpType
blocked: OpType
unblocked: OpType
members_blocked: OpType
members_unblocked: OpType
check_block: OpType
check_result: OpType
add_shutup: OpType
remove_shutup: OpType
query_shutup: OpType
shutup_added: OpType
shutup_removed: OpType
shutup_result: OpType
shutuped: OpType
unshutuped: OpType
members_shutuped: OpType
members_unshutuped: OpType
check_shutup: OpType
on: StatusType
off: StatusType
unknown: DeviceType
android: DeviceType
ios: DeviceType

class SemanticVersion(_message.Message):
    __slots__ = ("major", "minor", "patch", "preRelease", "build")
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    MINOR_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    PRERELEASE_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    major: int
    minor: int
    patch: int
    preRelease: str
    build: str
    def __init__(self, major: _Optional[int] = ..., minor: _Optional[int] = ..., patch: _Optional[int] = ..., preRelease: _Optional[str] = ..., build: _Optional[str] = ...) -> None: ...

class AndroidVersion(_message.Message):
    __slots__ = ("codename", "apiLevel")
    CODENAME_FIELD_NUMBER: _ClassVar[int]
    APILEVEL_FIELD_NUMBER: _ClassVar[int]
    codename: str
    apiLevel: str
    def __init__(self, codename: _Optional[str] = ..., apiLevel: _Optional[str] = ...) -> None: ...

class SystemInfo(_message.Message):
    __slots__ = ("deviceType", "osVersion", "androidVersion", "isEmulator")
    DEVICETYPE_FIELD_NUMBER: _ClassVar[int]
    OSVERSION_FIELD_NUMBER: _ClassVar[int]
    ANDROIDVERSION_FIELD_NUMBER: _ClassVar[int]
    ISEMULATOR_FIELD_NUMBER: _ClassVar[int]
    deviceType: DeviceType
    osVersion: SemanticVersion
    androidVersion: AndroidVersion
    isEmulator: bool
    def __init__(self, deviceType: _Optional[_Union[DeviceType, str]] = ..., osVersion: _Optional[_Union[SemanticVersion, _Mapping]] = ..., androidVersion: _Optional[_Union[AndroidVersion, _Mapping]] = ..., isEmulator: _Optional[bool] = ...) -> None: ...

class JsonObjectMessage(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: str
    def __init__(self, data: _Optional[str] = ...) -> None: ...

class LoginCommand(_message.Message):
    __slots__ = ("systemInfo",)
    SYSTEMINFO_FIELD_NUMBER: _ClassVar[int]
    systemInfo: SystemInfo
    def __init__(self, systemInfo: _Optional[_Union[SystemInfo, _Mapping]] = ...) -> None: ...

class LoggedinCommand(_message.Message):
    __slots__ = ("pushDisabled",)
    PUSHDISABLED_FIELD_NUMBER: _ClassVar[int]
    pushDisabled: bool
    def __init__(self, pushDisabled: _Optional[bool] = ...) -> None: ...

class DataCommand(_message.Message):
    __slots__ = ("ids", "msg", "offline")
    IDS_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    msg: _containers.RepeatedCompositeFieldContainer[JsonObjectMessage]
    offline: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., msg: _Optional[_Iterable[_Union[JsonObjectMessage, _Mapping]]] = ..., offline: _Optional[bool] = ...) -> None: ...

class SessionCommand(_message.Message):
    __slots__ = ("t", "n", "s", "ua", "r", "tag", "deviceId", "sessionPeerIds", "onlineSessionPeerIds", "st", "stTtl", "code", "reason", "deviceToken", "sp", "detail", "lastUnreadNotifTime", "lastPatchTime", "configBitmap", "systemInfo")
    T_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    UA_FIELD_NUMBER: _ClassVar[int]
    R_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    DEVICEID_FIELD_NUMBER: _ClassVar[int]
    SESSIONPEERIDS_FIELD_NUMBER: _ClassVar[int]
    ONLINESESSIONPEERIDS_FIELD_NUMBER: _ClassVar[int]
    ST_FIELD_NUMBER: _ClassVar[int]
    STTTL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEVICETOKEN_FIELD_NUMBER: _ClassVar[int]
    SP_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    LASTUNREADNOTIFTIME_FIELD_NUMBER: _ClassVar[int]
    LASTPATCHTIME_FIELD_NUMBER: _ClassVar[int]
    CONFIGBITMAP_FIELD_NUMBER: _ClassVar[int]
    SYSTEMINFO_FIELD_NUMBER: _ClassVar[int]
    t: int
    n: str
    s: str
    ua: str
    r: bool
    tag: str
    deviceId: str
    sessionPeerIds: _containers.RepeatedScalarFieldContainer[str]
    onlineSessionPeerIds: _containers.RepeatedScalarFieldContainer[str]
    st: str
    stTtl: int
    code: int
    reason: str
    deviceToken: str
    sp: bool
    detail: str
    lastUnreadNotifTime: int
    lastPatchTime: int
    configBitmap: int
    systemInfo: SystemInfo
    def __init__(self, t: _Optional[int] = ..., n: _Optional[str] = ..., s: _Optional[str] = ..., ua: _Optional[str] = ..., r: _Optional[bool] = ..., tag: _Optional[str] = ..., deviceId: _Optional[str] = ..., sessionPeerIds: _Optional[_Iterable[str]] = ..., onlineSessionPeerIds: _Optional[_Iterable[str]] = ..., st: _Optional[str] = ..., stTtl: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., deviceToken: _Optional[str] = ..., sp: _Optional[bool] = ..., detail: _Optional[str] = ..., lastUnreadNotifTime: _Optional[int] = ..., lastPatchTime: _Optional[int] = ..., configBitmap: _Optional[int] = ..., systemInfo: _Optional[_Union[SystemInfo, _Mapping]] = ...) -> None: ...

class ErrorCommand(_message.Message):
    __slots__ = ("code", "reason", "appCode", "detail", "pids", "appMsg")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    APPCODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    APPMSG_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    appCode: int
    detail: str
    pids: _containers.RepeatedScalarFieldContainer[str]
    appMsg: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., appCode: _Optional[int] = ..., detail: _Optional[str] = ..., pids: _Optional[_Iterable[str]] = ..., appMsg: _Optional[str] = ...) -> None: ...

class DirectCommand(_message.Message):
    __slots__ = ("msg", "uid", "fromPeerId", "timestamp", "offline", "hasMore", "toPeerIds", "r", "cid", "id", "transient", "dt", "roomId", "pushData", "will", "patchTimestamp", "binaryMsg", "mentionPids", "mentionAll", "convType")
    MSG_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    FROMPEERID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    HASMORE_FIELD_NUMBER: _ClassVar[int]
    TOPEERIDS_FIELD_NUMBER: _ClassVar[int]
    R_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    DT_FIELD_NUMBER: _ClassVar[int]
    ROOMID_FIELD_NUMBER: _ClassVar[int]
    PUSHDATA_FIELD_NUMBER: _ClassVar[int]
    WILL_FIELD_NUMBER: _ClassVar[int]
    PATCHTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    BINARYMSG_FIELD_NUMBER: _ClassVar[int]
    MENTIONPIDS_FIELD_NUMBER: _ClassVar[int]
    MENTIONALL_FIELD_NUMBER: _ClassVar[int]
    CONVTYPE_FIELD_NUMBER: _ClassVar[int]
    msg: str
    uid: str
    fromPeerId: str
    timestamp: int
    offline: bool
    hasMore: bool
    toPeerIds: _containers.RepeatedScalarFieldContainer[str]
    r: bool
    cid: str
    id: str
    transient: bool
    dt: str
    roomId: str
    pushData: str
    will: bool
    patchTimestamp: int
    binaryMsg: bytes
    mentionPids: _containers.RepeatedScalarFieldContainer[str]
    mentionAll: bool
    convType: int
    def __init__(self, msg: _Optional[str] = ..., uid: _Optional[str] = ..., fromPeerId: _Optional[str] = ..., timestamp: _Optional[int] = ..., offline: _Optional[bool] = ..., hasMore: _Optional[bool] = ..., toPeerIds: _Optional[_Iterable[str]] = ..., r: _Optional[bool] = ..., cid: _Optional[str] = ..., id: _Optional[str] = ..., transient: _Optional[bool] = ..., dt: _Optional[str] = ..., roomId: _Optional[str] = ..., pushData: _Optional[str] = ..., will: _Optional[bool] = ..., patchTimestamp: _Optional[int] = ..., binaryMsg: _Optional[bytes] = ..., mentionPids: _Optional[_Iterable[str]] = ..., mentionAll: _Optional[bool] = ..., convType: _Optional[int] = ...) -> None: ...

class AckCommand(_message.Message):
    __slots__ = ("code", "reason", "mid", "cid", "t", "uid", "fromts", "tots", "type", "ids", "appCode", "appMsg")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MID_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    FROMTS_FIELD_NUMBER: _ClassVar[int]
    TOTS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    APPCODE_FIELD_NUMBER: _ClassVar[int]
    APPMSG_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    mid: str
    cid: str
    t: int
    uid: str
    fromts: int
    tots: int
    type: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    appCode: int
    appMsg: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., mid: _Optional[str] = ..., cid: _Optional[str] = ..., t: _Optional[int] = ..., uid: _Optional[str] = ..., fromts: _Optional[int] = ..., tots: _Optional[int] = ..., type: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., appCode: _Optional[int] = ..., appMsg: _Optional[str] = ...) -> None: ...

class UnreadTuple(_message.Message):
    __slots__ = ("cid", "unread", "mid", "timestamp", "data", "patchTimestamp", "mentioned", "binaryMsg", "convType")
    CID_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    MID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PATCHTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MENTIONED_FIELD_NUMBER: _ClassVar[int]
    BINARYMSG_FIELD_NUMBER: _ClassVar[int]
    CONVTYPE_FIELD_NUMBER: _ClassVar[int]
    cid: str
    unread: int
    mid: str
    timestamp: int
    data: str
    patchTimestamp: int
    mentioned: bool
    binaryMsg: bytes
    convType: int
    def __init__(self, cid: _Optional[str] = ..., unread: _Optional[int] = ..., mid: _Optional[str] = ..., timestamp: _Optional[int] = ..., data: _Optional[str] = ..., patchTimestamp: _Optional[int] = ..., mentioned: _Optional[bool] = ..., binaryMsg: _Optional[bytes] = ..., convType: _Optional[int] = ..., **kwargs) -> None: ...

class UnreadCommand(_message.Message):
    __slots__ = ("convs", "notifTime")
    CONVS_FIELD_NUMBER: _ClassVar[int]
    NOTIFTIME_FIELD_NUMBER: _ClassVar[int]
    convs: _containers.RepeatedCompositeFieldContainer[UnreadTuple]
    notifTime: int
    def __init__(self, convs: _Optional[_Iterable[_Union[UnreadTuple, _Mapping]]] = ..., notifTime: _Optional[int] = ...) -> None: ...

class ConvMemberInfo(_message.Message):
    __slots__ = ("pid", "role", "infoId")
    PID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    INFOID_FIELD_NUMBER: _ClassVar[int]
    pid: str
    role: str
    infoId: str
    def __init__(self, pid: _Optional[str] = ..., role: _Optional[str] = ..., infoId: _Optional[str] = ...) -> None: ...

class MaxReadTuple(_message.Message):
    __slots__ = ("pid", "maxAckTimestamp", "maxReadTimestamp")
    PID_FIELD_NUMBER: _ClassVar[int]
    MAXACKTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MAXREADTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    pid: str
    maxAckTimestamp: int
    maxReadTimestamp: int
    def __init__(self, pid: _Optional[str] = ..., maxAckTimestamp: _Optional[int] = ..., maxReadTimestamp: _Optional[int] = ...) -> None: ...

class ConvCommand(_message.Message):
    __slots__ = ("m", "transient", "unique", "cid", "cdate", "initBy", "sort", "limit", "skip", "flag", "count", "udate", "t", "n", "s", "statusSub", "statusPub", "statusTTL", "uniqueId", "targetClientId", "maxReadTimestamp", "maxAckTimestamp", "queryAllMembers", "maxReadTuples", "cids", "info", "tempConv", "tempConvTTL", "tempConvIds", "allowedPids", "failedPids", "existing", "next", "results", "where", "attr", "attrModified")
    M_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    CDATE_FIELD_NUMBER: _ClassVar[int]
    INITBY_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    UDATE_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    STATUSSUB_FIELD_NUMBER: _ClassVar[int]
    STATUSPUB_FIELD_NUMBER: _ClassVar[int]
    STATUSTTL_FIELD_NUMBER: _ClassVar[int]
    UNIQUEID_FIELD_NUMBER: _ClassVar[int]
    TARGETCLIENTID_FIELD_NUMBER: _ClassVar[int]
    MAXREADTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MAXACKTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    QUERYALLMEMBERS_FIELD_NUMBER: _ClassVar[int]
    MAXREADTUPLES_FIELD_NUMBER: _ClassVar[int]
    CIDS_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    TEMPCONV_FIELD_NUMBER: _ClassVar[int]
    TEMPCONVTTL_FIELD_NUMBER: _ClassVar[int]
    TEMPCONVIDS_FIELD_NUMBER: _ClassVar[int]
    ALLOWEDPIDS_FIELD_NUMBER: _ClassVar[int]
    FAILEDPIDS_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    ATTR_FIELD_NUMBER: _ClassVar[int]
    ATTRMODIFIED_FIELD_NUMBER: _ClassVar[int]
    m: _containers.RepeatedScalarFieldContainer[str]
    transient: bool
    unique: bool
    cid: str
    cdate: str
    initBy: str
    sort: str
    limit: int
    skip: int
    flag: int
    count: int
    udate: str
    t: int
    n: str
    s: str
    statusSub: bool
    statusPub: bool
    statusTTL: int
    uniqueId: str
    targetClientId: str
    maxReadTimestamp: int
    maxAckTimestamp: int
    queryAllMembers: bool
    maxReadTuples: _containers.RepeatedCompositeFieldContainer[MaxReadTuple]
    cids: _containers.RepeatedScalarFieldContainer[str]
    info: ConvMemberInfo
    tempConv: bool
    tempConvTTL: int
    tempConvIds: _containers.RepeatedScalarFieldContainer[str]
    allowedPids: _containers.RepeatedScalarFieldContainer[str]
    failedPids: _containers.RepeatedCompositeFieldContainer[ErrorCommand]
    existing: bool
    next: str
    results: JsonObjectMessage
    where: JsonObjectMessage
    attr: JsonObjectMessage
    attrModified: JsonObjectMessage
    def __init__(self, m: _Optional[_Iterable[str]] = ..., transient: _Optional[bool] = ..., unique: _Optional[bool] = ..., cid: _Optional[str] = ..., cdate: _Optional[str] = ..., initBy: _Optional[str] = ..., sort: _Optional[str] = ..., limit: _Optional[int] = ..., skip: _Optional[int] = ..., flag: _Optional[int] = ..., count: _Optional[int] = ..., udate: _Optional[str] = ..., t: _Optional[int] = ..., n: _Optional[str] = ..., s: _Optional[str] = ..., statusSub: _Optional[bool] = ..., statusPub: _Optional[bool] = ..., statusTTL: _Optional[int] = ..., uniqueId: _Optional[str] = ..., targetClientId: _Optional[str] = ..., maxReadTimestamp: _Optional[int] = ..., maxAckTimestamp: _Optional[int] = ..., queryAllMembers: _Optional[bool] = ..., maxReadTuples: _Optional[_Iterable[_Union[MaxReadTuple, _Mapping]]] = ..., cids: _Optional[_Iterable[str]] = ..., info: _Optional[_Union[ConvMemberInfo, _Mapping]] = ..., tempConv: _Optional[bool] = ..., tempConvTTL: _Optional[int] = ..., tempConvIds: _Optional[_Iterable[str]] = ..., allowedPids: _Optional[_Iterable[str]] = ..., failedPids: _Optional[_Iterable[_Union[ErrorCommand, _Mapping]]] = ..., existing: _Optional[bool] = ..., next: _Optional[str] = ..., results: _Optional[_Union[JsonObjectMessage, _Mapping]] = ..., where: _Optional[_Union[JsonObjectMessage, _Mapping]] = ..., attr: _Optional[_Union[JsonObjectMessage, _Mapping]] = ..., attrModified: _Optional[_Union[JsonObjectMessage, _Mapping]] = ...) -> None: ...

class RoomCommand(_message.Message):
    __slots__ = ("roomId", "s", "t", "n", "transient", "roomPeerIds", "byPeerId")
    ROOMID_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    ROOMPEERIDS_FIELD_NUMBER: _ClassVar[int]
    BYPEERID_FIELD_NUMBER: _ClassVar[int]
    roomId: str
    s: str
    t: int
    n: str
    transient: bool
    roomPeerIds: _containers.RepeatedScalarFieldContainer[str]
    byPeerId: str
    def __init__(self, roomId: _Optional[str] = ..., s: _Optional[str] = ..., t: _Optional[int] = ..., n: _Optional[str] = ..., transient: _Optional[bool] = ..., roomPeerIds: _Optional[_Iterable[str]] = ..., byPeerId: _Optional[str] = ...) -> None: ...

class LogItem(_message.Message):
    __slots__ = ("data", "timestamp", "msgId", "ackAt", "readAt", "patchTimestamp", "mentionAll", "mentionPids", "bin", "convType")
    FROM_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MSGID_FIELD_NUMBER: _ClassVar[int]
    ACKAT_FIELD_NUMBER: _ClassVar[int]
    READAT_FIELD_NUMBER: _ClassVar[int]
    PATCHTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MENTIONALL_FIELD_NUMBER: _ClassVar[int]
    MENTIONPIDS_FIELD_NUMBER: _ClassVar[int]
    BIN_FIELD_NUMBER: _ClassVar[int]
    CONVTYPE_FIELD_NUMBER: _ClassVar[int]
    data: str
    timestamp: int
    msgId: str
    ackAt: int
    readAt: int
    patchTimestamp: int
    mentionAll: bool
    mentionPids: _containers.RepeatedScalarFieldContainer[str]
    bin: bool
    convType: int
    def __init__(self, data: _Optional[str] = ..., timestamp: _Optional[int] = ..., msgId: _Optional[str] = ..., ackAt: _Optional[int] = ..., readAt: _Optional[int] = ..., patchTimestamp: _Optional[int] = ..., mentionAll: _Optional[bool] = ..., mentionPids: _Optional[_Iterable[str]] = ..., bin: _Optional[bool] = ..., convType: _Optional[int] = ..., **kwargs) -> None: ...

class LogsCommand(_message.Message):
    __slots__ = ("cid", "l", "limit", "t", "tt", "tmid", "mid", "checksum", "stored", "direction", "tIncluded", "ttIncluded", "lctype", "logs")
    class QueryDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OLD: _ClassVar[LogsCommand.QueryDirection]
        NEW: _ClassVar[LogsCommand.QueryDirection]
    OLD: LogsCommand.QueryDirection
    NEW: LogsCommand.QueryDirection
    CID_FIELD_NUMBER: _ClassVar[int]
    L_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    TT_FIELD_NUMBER: _ClassVar[int]
    TMID_FIELD_NUMBER: _ClassVar[int]
    MID_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    TINCLUDED_FIELD_NUMBER: _ClassVar[int]
    TTINCLUDED_FIELD_NUMBER: _ClassVar[int]
    LCTYPE_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    cid: str
    l: int
    limit: int
    t: int
    tt: int
    tmid: str
    mid: str
    checksum: str
    stored: bool
    direction: LogsCommand.QueryDirection
    tIncluded: bool
    ttIncluded: bool
    lctype: int
    logs: _containers.RepeatedCompositeFieldContainer[LogItem]
    def __init__(self, cid: _Optional[str] = ..., l: _Optional[int] = ..., limit: _Optional[int] = ..., t: _Optional[int] = ..., tt: _Optional[int] = ..., tmid: _Optional[str] = ..., mid: _Optional[str] = ..., checksum: _Optional[str] = ..., stored: _Optional[bool] = ..., direction: _Optional[_Union[LogsCommand.QueryDirection, str]] = ..., tIncluded: _Optional[bool] = ..., ttIncluded: _Optional[bool] = ..., lctype: _Optional[int] = ..., logs: _Optional[_Iterable[_Union[LogItem, _Mapping]]] = ...) -> None: ...

class RcpCommand(_message.Message):
    __slots__ = ("id", "cid", "t", "read")
    ID_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    id: str
    cid: str
    t: int
    read: bool
    def __init__(self, id: _Optional[str] = ..., cid: _Optional[str] = ..., t: _Optional[int] = ..., read: _Optional[bool] = ..., **kwargs) -> None: ...

class ReadTuple(_message.Message):
    __slots__ = ("cid", "timestamp", "mid")
    CID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MID_FIELD_NUMBER: _ClassVar[int]
    cid: str
    timestamp: int
    mid: str
    def __init__(self, cid: _Optional[str] = ..., timestamp: _Optional[int] = ..., mid: _Optional[str] = ...) -> None: ...

class ReadCommand(_message.Message):
    __slots__ = ("cid", "cids", "convs")
    CID_FIELD_NUMBER: _ClassVar[int]
    CIDS_FIELD_NUMBER: _ClassVar[int]
    CONVS_FIELD_NUMBER: _ClassVar[int]
    cid: str
    cids: _containers.RepeatedScalarFieldContainer[str]
    convs: _containers.RepeatedCompositeFieldContainer[ReadTuple]
    def __init__(self, cid: _Optional[str] = ..., cids: _Optional[_Iterable[str]] = ..., convs: _Optional[_Iterable[_Union[ReadTuple, _Mapping]]] = ...) -> None: ...

class PresenceCommand(_message.Message):
    __slots__ = ("status", "sessionPeerIds", "cid")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SESSIONPEERIDS_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    status: StatusType
    sessionPeerIds: _containers.RepeatedScalarFieldContainer[str]
    cid: str
    def __init__(self, status: _Optional[_Union[StatusType, str]] = ..., sessionPeerIds: _Optional[_Iterable[str]] = ..., cid: _Optional[str] = ...) -> None: ...

class ReportCommand(_message.Message):
    __slots__ = ("initiative", "type", "data")
    INITIATIVE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    initiative: bool
    type: str
    data: str
    def __init__(self, initiative: _Optional[bool] = ..., type: _Optional[str] = ..., data: _Optional[str] = ...) -> None: ...

class PatchItem(_message.Message):
    __slots__ = ("cid", "mid", "timestamp", "recall", "data", "patchTimestamp", "binaryMsg", "mentionAll", "mentionPids", "patchCode", "patchReason")
    CID_FIELD_NUMBER: _ClassVar[int]
    MID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PATCHTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    BINARYMSG_FIELD_NUMBER: _ClassVar[int]
    MENTIONALL_FIELD_NUMBER: _ClassVar[int]
    MENTIONPIDS_FIELD_NUMBER: _ClassVar[int]
    PATCHCODE_FIELD_NUMBER: _ClassVar[int]
    PATCHREASON_FIELD_NUMBER: _ClassVar[int]
    cid: str
    mid: str
    timestamp: int
    recall: bool
    data: str
    patchTimestamp: int
    binaryMsg: bytes
    mentionAll: bool
    mentionPids: _containers.RepeatedScalarFieldContainer[str]
    patchCode: int
    patchReason: str
    def __init__(self, cid: _Optional[str] = ..., mid: _Optional[str] = ..., timestamp: _Optional[int] = ..., recall: _Optional[bool] = ..., data: _Optional[str] = ..., patchTimestamp: _Optional[int] = ..., binaryMsg: _Optional[bytes] = ..., mentionAll: _Optional[bool] = ..., mentionPids: _Optional[_Iterable[str]] = ..., patchCode: _Optional[int] = ..., patchReason: _Optional[str] = ..., **kwargs) -> None: ...

class PatchCommand(_message.Message):
    __slots__ = ("patches", "lastPatchTime")
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    LASTPATCHTIME_FIELD_NUMBER: _ClassVar[int]
    patches: _containers.RepeatedCompositeFieldContainer[PatchItem]
    lastPatchTime: int
    def __init__(self, patches: _Optional[_Iterable[_Union[PatchItem, _Mapping]]] = ..., lastPatchTime: _Optional[int] = ...) -> None: ...

class PubsubCommand(_message.Message):
    __slots__ = ("cid", "cids", "topic", "subtopic", "topics", "subtopics", "results")
    CID_FIELD_NUMBER: _ClassVar[int]
    CIDS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    SUBTOPIC_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    SUBTOPICS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    cid: str
    cids: _containers.RepeatedScalarFieldContainer[str]
    topic: str
    subtopic: str
    topics: _containers.RepeatedScalarFieldContainer[str]
    subtopics: _containers.RepeatedScalarFieldContainer[str]
    results: JsonObjectMessage
    def __init__(self, cid: _Optional[str] = ..., cids: _Optional[_Iterable[str]] = ..., topic: _Optional[str] = ..., subtopic: _Optional[str] = ..., topics: _Optional[_Iterable[str]] = ..., subtopics: _Optional[_Iterable[str]] = ..., results: _Optional[_Union[JsonObjectMessage, _Mapping]] = ...) -> None: ...

class BlacklistCommand(_message.Message):
    __slots__ = ("srcCid", "toPids", "srcPid", "toCids", "limit", "next", "blockedPids", "blockedCids", "allowedPids", "failedPids", "t", "n", "s")
    SRCCID_FIELD_NUMBER: _ClassVar[int]
    TOPIDS_FIELD_NUMBER: _ClassVar[int]
    SRCPID_FIELD_NUMBER: _ClassVar[int]
    TOCIDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    BLOCKEDPIDS_FIELD_NUMBER: _ClassVar[int]
    BLOCKEDCIDS_FIELD_NUMBER: _ClassVar[int]
    ALLOWEDPIDS_FIELD_NUMBER: _ClassVar[int]
    FAILEDPIDS_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    srcCid: str
    toPids: _containers.RepeatedScalarFieldContainer[str]
    srcPid: str
    toCids: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    next: str
    blockedPids: _containers.RepeatedScalarFieldContainer[str]
    blockedCids: _containers.RepeatedScalarFieldContainer[str]
    allowedPids: _containers.RepeatedScalarFieldContainer[str]
    failedPids: _containers.RepeatedCompositeFieldContainer[ErrorCommand]
    t: int
    n: str
    s: str
    def __init__(self, srcCid: _Optional[str] = ..., toPids: _Optional[_Iterable[str]] = ..., srcPid: _Optional[str] = ..., toCids: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., next: _Optional[str] = ..., blockedPids: _Optional[_Iterable[str]] = ..., blockedCids: _Optional[_Iterable[str]] = ..., allowedPids: _Optional[_Iterable[str]] = ..., failedPids: _Optional[_Iterable[_Union[ErrorCommand, _Mapping]]] = ..., t: _Optional[int] = ..., n: _Optional[str] = ..., s: _Optional[str] = ...) -> None: ...

class GenericCommand(_message.Message):
    __slots__ = ("cmd", "op", "appId", "peerId", "i", "installationId", "priority", "service", "serverTs", "clientTs", "notificationType", "loginMessage", "dataMessage", "sessionMessage", "errorMessage", "directMessage", "ackMessage", "unreadMessage", "readMessage", "rcpMessage", "logsMessage", "convMessage", "roomMessage", "presenceMessage", "reportMessage", "patchMessage", "pubsubMessage", "blacklistMessage", "loggedinMessage")
    CMD_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    APPID_FIELD_NUMBER: _ClassVar[int]
    PEERID_FIELD_NUMBER: _ClassVar[int]
    I_FIELD_NUMBER: _ClassVar[int]
    INSTALLATIONID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SERVERTS_FIELD_NUMBER: _ClassVar[int]
    CLIENTTS_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONTYPE_FIELD_NUMBER: _ClassVar[int]
    LOGINMESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATAMESSAGE_FIELD_NUMBER: _ClassVar[int]
    SESSIONMESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERRORMESSAGE_FIELD_NUMBER: _ClassVar[int]
    DIRECTMESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACKMESSAGE_FIELD_NUMBER: _ClassVar[int]
    UNREADMESSAGE_FIELD_NUMBER: _ClassVar[int]
    READMESSAGE_FIELD_NUMBER: _ClassVar[int]
    RCPMESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOGSMESSAGE_FIELD_NUMBER: _ClassVar[int]
    CONVMESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROOMMESSAGE_FIELD_NUMBER: _ClassVar[int]
    PRESENCEMESSAGE_FIELD_NUMBER: _ClassVar[int]
    REPORTMESSAGE_FIELD_NUMBER: _ClassVar[int]
    PATCHMESSAGE_FIELD_NUMBER: _ClassVar[int]
    PUBSUBMESSAGE_FIELD_NUMBER: _ClassVar[int]
    BLACKLISTMESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOGGEDINMESSAGE_FIELD_NUMBER: _ClassVar[int]
    cmd: CommandType
    op: OpType
    appId: str
    peerId: str
    i: int
    installationId: str
    priority: int
    service: int
    serverTs: int
    clientTs: int
    notificationType: int
    loginMessage: LoginCommand
    dataMessage: DataCommand
    sessionMessage: SessionCommand
    errorMessage: ErrorCommand
    directMessage: DirectCommand
    ackMessage: AckCommand
    unreadMessage: UnreadCommand
    readMessage: ReadCommand
    rcpMessage: RcpCommand
    logsMessage: LogsCommand
    convMessage: ConvCommand
    roomMessage: RoomCommand
    presenceMessage: PresenceCommand
    reportMessage: ReportCommand
    patchMessage: PatchCommand
    pubsubMessage: PubsubCommand
    blacklistMessage: BlacklistCommand
    loggedinMessage: LoggedinCommand
    def __init__(self, cmd: _Optional[_Union[CommandType, str]] = ..., op: _Optional[_Union[OpType, str]] = ..., appId: _Optional[str] = ..., peerId: _Optional[str] = ..., i: _Optional[int] = ..., installationId: _Optional[str] = ..., priority: _Optional[int] = ..., service: _Optional[int] = ..., serverTs: _Optional[int] = ..., clientTs: _Optional[int] = ..., notificationType: _Optional[int] = ..., loginMessage: _Optional[_Union[LoginCommand, _Mapping]] = ..., dataMessage: _Optional[_Union[DataCommand, _Mapping]] = ..., sessionMessage: _Optional[_Union[SessionCommand, _Mapping]] = ..., errorMessage: _Optional[_Union[ErrorCommand, _Mapping]] = ..., directMessage: _Optional[_Union[DirectCommand, _Mapping]] = ..., ackMessage: _Optional[_Union[AckCommand, _Mapping]] = ..., unreadMessage: _Optional[_Union[UnreadCommand, _Mapping]] = ..., readMessage: _Optional[_Union[ReadCommand, _Mapping]] = ..., rcpMessage: _Optional[_Union[RcpCommand, _Mapping]] = ..., logsMessage: _Optional[_Union[LogsCommand, _Mapping]] = ..., convMessage: _Optional[_Union[ConvCommand, _Mapping]] = ..., roomMessage: _Optional[_Union[RoomCommand, _Mapping]] = ..., presenceMessage: _Optional[_Union[PresenceCommand, _Mapping]] = ..., reportMessage: _Optional[_Union[ReportCommand, _Mapping]] = ..., patchMessage: _Optional[_Union[PatchCommand, _Mapping]] = ..., pubsubMessage: _Optional[_Union[PubsubCommand, _Mapping]] = ..., blacklistMessage: _Optional[_Union[BlacklistCommand, _Mapping]] = ..., loggedinMessage: _Optional[_Union[LoggedinCommand, _Mapping]] = ...) -> None: ...
