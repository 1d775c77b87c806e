"""The tables, as they are now. `migrations/` holds how they came to be.

Times are milliseconds since the Unix epoch. Messages are rows of a heap in order of arrival, found by
(conversation, timestamp, seq): the id carries its time, so no index on ids is paid per row, and on PostgreSQL the
same key allows partitions by time. Columns may be added to `message`, never changed (docs/decisions/0003).
"""

import sqlalchemy as sa

metadata = sa.MetaData()

#: What any version must be able to read: `oldest_compatible` is the oldest program version's schema that may open this.
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

app = sa.Table(
    "app",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    # app key, master key and hook key, sealed with the data directory's secret
    sa.Column("secrets", sa.LargeBinary, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("creator", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("attr", sa.JSON(none_as_null=True)),
    sa.Column("columns", sa.JSON(none_as_null=True)),
    sa.Column("unique_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    # counts changes of membership: a message checked against an older one is checked again in its write
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("member_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_message_at", sa.BigInteger),
    # the last message that mentions all, its sender, and the last such message of anybody else: nobody is
    # mentioned by his own, so the sender is asked about the second one
    sa.Column("mention_all_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("mention_all_by", sa.Text),
    sa.Column("mention_all_before", sa.BigInteger, nullable=False, server_default="0"),
    # when a temporary conversation ends
    sa.Column("expires_at", sa.BigInteger),
    # the service conversation to which this stream of one client's own messages belongs
    sa.Column("parent", sa.Integer),
    # messages up to this one were deleted when their time was over, and when that was
    sa.Column("swept_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("swept_at", sa.BigInteger, nullable=False, server_default="0"),
    # when it, or history of it, was brought in from another server: as good as a use of it
    sa.Column("imported_at", sa.BigInteger),
    sa.UniqueConstraint("app", "id"),
    # with the key behind it: an app's conversations in the order in which they were made
    sa.Index("conversation_by_app", "app", sqlite_where=sa.text("parent IS NULL")),
    sa.Index("conversation_by_expiry", "expires_at", sqlite_where=sa.text("expires_at IS NOT NULL")),
    sa.Index("conversation_by_parent", "parent", "last_message_at", sqlite_where=sa.text("parent IS NOT NULL")),
    sa.Index("service_conversation", "app", sqlite_where=sa.text("kind = 3 AND parent IS NULL")),
    sa.Index("conversation_by_unique_id", "app", "unique_id", sqlite_where=sa.text("unique_id IS NOT NULL")),
    # the key of a deleted conversation is never given again: rows elsewhere and memory may still hold it
    sqlite_autoincrement=True,
)

#: Conversations that are deleted, of which rows in other tables are left.
deleted_conversation = sa.Table(
    "deleted_conversation",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
)

member = sa.Table(
    "member",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("joined_at", sa.BigInteger, nullable=False),
    sa.Column("muted", sa.Boolean, nullable=False, server_default=sa.false()),
    # unread = conversation.last_seq - read_seq - own_since_read
    sa.Column("read_seq", sa.BigInteger, nullable=False),
    sa.Column("own_since_read", sa.Integer, nullable=False, server_default="0"),
    sa.Column("read_at", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("mention_seq", sa.BigInteger, nullable=False, server_default="0"),
    # all messages up to ack_seq were received, and those of the small set ack_extra beyond it
    sa.Column("ack_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("ack_extra", sa.LargeBinary),
    sa.Column("ack_at", sa.BigInteger, nullable=False, server_default="0"),
    # the timestamps of the messages at read_seq and ack_seq
    sa.Column("read_to", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("ack_to", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("member_by_client", "app", "client", "conversation"),
    sqlite_with_rowid=False,
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("timestamp", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    # first byte: scheme (0 plain); flags: see hot.py
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("flags", sa.Integer, nullable=False, server_default="0"),
    sa.Column("mentions", sa.JSON(none_as_null=True)),
    sa.Column("patched_at", sa.BigInteger),
    # when the first other member received it, and read it
    sa.Column("acked_at", sa.BigInteger),
    sa.Column("read_at", sa.BigInteger),
    sa.Column("app", sa.Integer),
    # messages come nearly in the order of their times, so what is added here goes to the end of the index
    sa.Index("message_by_time", "app", "timestamp"),
    sa.Index("message_by_patch", "conversation", "patched_at", sqlite_where=sa.text("patched_at IS NOT NULL")),
)

#: Idempotence: what a client-supplied id got the first time. Pruned after minutes.
sent_token = sa.Table(
    "sent_token",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Index("sent_token_by_time", "timestamp"),
    sqlite_with_rowid=False,
)

revoked_token = sa.Table(
    "revoked_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("revoked_token_by_expiry", "expires_at"),
    sqlite_with_rowid=False,
)

#: What a client must be told of when it was away: that it joined or left a conversation. Kept for days.
notification = sa.Table(
    "notification",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("joined", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Index("notification_by_time", "at"),
    sqlite_with_rowid=False,
)

#: What is set about a client in a conversation, whether it is a member or not. A row without any of it is deleted.
standing = sa.Table(
    "standing",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("role", sa.SmallInteger),
    sa.Column("role_id", sa.Text),
    # a time far away: for ever
    sa.Column("silenced_until", sa.BigInteger),
    sa.Column("blocked_at", sa.BigInteger),
    # a chat room may have ten thousand of each: they are counted at each change
    sa.Index(
        "standing_by_silence", "conversation", "silenced_until", sqlite_where=sa.text("silenced_until IS NOT NULL")
    ),
    sa.Index("standing_by_block", "conversation", sqlite_where=sa.text("blocked_at IS NOT NULL")),
    sa.Index("standing_by_role", "conversation", "role", sqlite_where=sa.text("role_id IS NOT NULL")),
    sqlite_with_rowid=False,
)

#: Conversations to which a client wants nobody to add it. Apart from what a conversation sets: anybody may refuse any
#: conversation, so there is no end to the clients that refuse one.
refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Index("refusal_by_conversation", "conversation"),
    sqlite_with_rowid=False,
)

#: Broadcasts that one client does not see in its history any more.
hidden_message = sa.Table(
    "hidden_message",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("timestamp", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

#: Who is in which chat room, so that a lost connection or a restart does not end it at once.
seat = sa.Table(
    "seat",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("conversation", sa.Integer, nullable=False),
    # NULL while the client is there
    sa.Column("lost_at", sa.BigInteger),
    sa.Index("seat_by_loss", "lost_at", sqlite_where=sa.text("lost_at IS NOT NULL")),
    sa.Index("seat_by_conversation", "conversation"),
    sqlite_with_rowid=False,
)

#: Signatures that may not be used again, for apps that want that.
used_signature = sa.Table(
    "used_signature",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("used_signature_by_expiry", "expires_at"),
    sqlite_with_rowid=False,
)

#: Words that an app's messages may not contain.
word_list = sa.Table(
    "word_list",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("words", sa.JSON, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

#: Columns of imported conversations of which nothing here makes use, as they came.
imported_column = sa.Table(
    "imported_column",
    metadata,
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sqlite_with_rowid=False,
)

#: Users of an app, as the storage service has them. Keys without a column of their own are in `columns`.
user = sa.Table(
    "user",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("username", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("mobile", sa.Text),
    # a hash that says how it was made (engine/passwords.py); NULL: nobody logs in by a password
    sa.Column("password", sa.Text),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("app", "id"),
    sa.Index("user_by_name", "app", "username", unique=True, sqlite_where=sa.text("username IS NOT NULL")),
    sa.Index("user_by_email", "app", "email", unique=True, sqlite_where=sa.text("email IS NOT NULL")),
    sa.Index("user_by_mobile", "app", "mobile", unique=True, sqlite_where=sa.text("mobile IS NOT NULL")),
    # rows elsewhere name the key: it is never given again
    sqlite_autoincrement=True,
)

#: By which account of another platform, or of a device, a user logs in.
user_identity = sa.Table(
    "user_identity",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("user", sa.Integer, nullable=False),
    sa.Index("user_identity_by_user", "user"),
    sqlite_with_rowid=False,
)

#: Where users are logged in: SHA-256 of each session token.
user_session = sa.Table(
    "user_session",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("user", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index("user_session_by_user", "user", "created_at"),
    sqlite_with_rowid=False,
)

#: Devices that pushes may go to.
installation = sa.Table(
    "installation",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("installation_id", sa.Text),
    sa.Column("device_token", sa.Text),
    sa.Column("device_type", sa.Text),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("app", "id"),
    sa.Index(
        "installation_by_id",
        "app",
        "installation_id",
        unique=True,
        sqlite_where=sa.text("installation_id IS NOT NULL"),
    ),
    sa.Index("installation_by_token", "app", "device_token", sqlite_where=sa.text("device_token IS NOT NULL")),
    sqlite_autoincrement=True,
)

#: Uploaded files, and files elsewhere that are known by their URL. The bytes are elsewhere (the room `blobs`).
file = sa.Table(
    "file",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # what the uploader says, and what the first bytes say
    sa.Column("mime_type", sa.Text, nullable=False),
    sa.Column("detected", sa.Text),
    # the end of our URL, or the whole URL of a file elsewhere
    sa.Column("key", sa.Text),
    sa.Column("url", sa.Text),
    # NULL until it has arrived whole
    sa.Column("size", sa.BigInteger),
    sa.Column("md5", sa.Text),
    sa.Column("meta", sa.JSON, nullable=False),
    sa.Column("acl", sa.JSON(none_as_null=True)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Index("file_by_key", "key", unique=True, sqlite_where=sa.text("key IS NOT NULL")),
    sa.Index("file_by_url", "app", "url", sqlite_where=sa.text("url IS NOT NULL")),
    sa.Index("file_by_time", "app", "created_at", "id"),
    sa.Index("file_unfinished", "created_at", sqlite_where=sa.text("size IS NULL")),
)

#: Who has written where: written with a client's first message in a conversation, so that a message costs nothing more.
author = sa.Table(
    "author",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("conversation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Index("author_by_conversation", "conversation"),
    sqlite_with_rowid=False,
)

#: Messages to all clients of an app, in the name of a service conversation. Apart from its own, which subscribers have.
broadcast = sa.Table(
    "broadcast",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("conversation", sa.Integer, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    # as in messages
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("flags", sa.Integer, nullable=False, server_default="0"),
    sa.Column("patched_at", sa.BigInteger),
    sa.Column("valid_till", sa.BigInteger, nullable=False),
    sa.Index("broadcast_by_conversation", "conversation", "timestamp"),
    sa.Index("broadcast_by_app", "app", "timestamp"),
    sa.Index("broadcast_by_end", "valid_till"),
    # what clients were told is kept as the last key: none is given again
    sqlite_autoincrement=True,
)

#: Clients that have logged in: the last day on which they did, and the last broadcast that they were told.
client = sa.Table(
    "client",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("seen_day", sa.Integer, nullable=False),
    sa.Column("told", sa.Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

#: When the application expelled a client last: signatures and session tokens from before are void.
kick = sa.Table(
    "kick",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    # when none that is void would be good any more
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("kick_by_expiry", "expires_at"),
    sqlite_with_rowid=False,
)

#: Work that follows from a write, kept until it is done (`engine.work`); what has failed for good has `dead_at`.
job = sa.Table(
    "job",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("dead_at", sa.BigInteger),
    sa.Index("job_by_lane", "lane", "due_at", sqlite_where=sa.text("dead_at IS NULL")),
    sa.Index("job_dead", "dead_at", sqlite_where=sa.text("dead_at IS NOT NULL")),
    sa.Index("job_dead_by_lane", "lane", "key", sqlite_where=sa.text("dead_at IS NOT NULL")),
    # a job that is done leaves no key to the next one
    sqlite_autoincrement=True,
)

#: Addresses that are told what happens in an app.
webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("types", sa.JSON, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    # what signs, sealed with the data directory's secret
    sa.Column("secrets", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    # when and why the server has disabled it
    sa.Column("disabled_at", sa.BigInteger),
    sa.Column("disabled_reason", sa.Text, nullable=False),
    sa.Column("failing_since", sa.BigInteger),
    sa.Column("succeeded_at", sa.BigInteger),
)

#: The channels that valid installations listen to, among them the ids of their clients: as in `installation.columns`.
installation_channel = sa.Table(
    "installation_channel",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("installation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Index("installation_channel_by_installation", "installation"),
    sqlite_with_rowid=False,
)

#: The services by which an app pushes.
push_service = sa.Table(
    "push_service",
    metadata,
    sa.Column("app", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("service", sa.Text, primary_key=True),
    # the credentials, sealed with the data directory's secret
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Pushes that an app has asked for over HTTP, and what became of them. Those of messages are not here.
push = sa.Table(
    "push",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    # the same one is not asked for twice in a few minutes
    sa.Column("req_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("push_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    # whether its devices are being looked for, and were all found
    sa.Column("begun", sa.Boolean, nullable=False, server_default="0"),
    sa.Column("planned", sa.Boolean, nullable=False, server_default="0"),
    sa.Column("devices", sa.Integer, nullable=False, server_default="0"),
    sa.Column("successes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("invalid_tokens", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("app", "id"),
    sa.Index("push_by_req_id", "app", "req_id", sqlite_where=sa.text("req_id IS NOT NULL")),
    sa.Index("push_waiting", "app", "push_at", sqlite_where=sa.text("NOT begun")),
    sa.Index("push_by_time", "push_at"),
    # with the key behind it: an app's pushes in the order in which they were asked for
    sa.Index("push_by_app", "app"),
    sqlite_autoincrement=True,
)

#: Channels to other platforms.
hub_channel = sa.Table(
    "hub_channel",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # the credentials and the key of the inbound door, sealed with the data directory's secret
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("failing_since", sa.BigInteger),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("advice", sa.Text, nullable=False),
    sa.Column("succeeded_at", sa.BigInteger),
    sa.UniqueConstraint("app", "name"),
)

#: Messages that an app has sent by a channel.
hub_message = sa.Table(
    "hub_message",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    # the caller's own, by which the same message is not taken twice
    sa.Column("request_key", sa.Text),
    # what was rewritten: pairs of rule and detail
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Index("hub_message_by_channel", "channel"),
    sa.Index(
        "hub_message_by_request",
        "channel",
        "request_key",
        unique=True,
        sqlite_where=sa.text("request_key IS NOT NULL"),
    ),
    sa.Index("hub_message_by_time", "created_at"),
    sqlite_autoincrement=True,
)

#: What became of such a message for each of those it goes to.
hub_delivery = sa.Table(
    "hub_delivery",
    metadata,
    sa.Column("message", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("target_kind", sa.Text, nullable=False),
    sa.Column("target_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("receipt", sa.JSON(none_as_null=True)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("advice", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("unknown", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    # what the platform answered to the parts that have arrived, while others wait
    sa.Column("parts", sa.JSON(none_as_null=True)),
    sqlite_with_rowid=False,
)

#: Events that came in by a channel: platforms tell them again.
hub_event = sa.Table(
    "hub_event",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    # of the message that it tells of, as text by which it is found
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Index("hub_event_by_time", "at"),
    sqlite_with_rowid=False,
)

#: Conversations, and the groups on other platforms that mirror them.
hub_bridge = sa.Table(
    "hub_bridge",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("target_kind", sa.Text, nullable=False),
    sa.Column("target_id", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

#: Messages of conversations that were said elsewhere first.
hub_link = sa.Table(
    "hub_link",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("bridge", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Column("conversation", sa.Text, nullable=False),
    sa.Column("client", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("bridge", "message"),
    sa.Index("hub_link_by_receipt", "channel", "receipt"),
    sa.Index("hub_link_by_time", "timestamp"),
)

#: Versions of templates of messages; the highest is in use.
hub_template = sa.Table(
    "hub_template",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("app", "name", "version"),
)
