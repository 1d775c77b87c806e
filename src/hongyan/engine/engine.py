"""The engine: every rule, wired to its ports."""

from collections.abc import Callable, Mapping

from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.app_messages import AppMessages
from hongyan.engine.apps import Apps
from hongyan.engine.archive import Archive
from hongyan.engine.blacklist import Blacklists
from hongyan.engine.broadcasts import Broadcasts
from hongyan.engine.budgets import Budgets
from hongyan.engine.chatrooms import ChatRooms
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.conversations import Conversations
from hongyan.engine.edits import Edits
from hongyan.engine.filtering import Filtering
from hongyan.engine.history import History
from hongyan.engine.hooks import Hooks
from hongyan.engine.imports import Imports
from hongyan.engine.info import ConversationInfo
from hongyan.engine.installations import Installations
from hongyan.engine.kicks import Kicks
from hongyan.engine.limits import DeliveryBudget, Limits
from hongyan.engine.live_queries import LiveQueries
from hongyan.engine.messages import Messages
from hongyan.engine.notifications import Notifications
from hongyan.engine.ports import AppEngines, Bus, ContentFilter, Store
from hongyan.engine.presence import Presence
from hongyan.engine.push_calls import PushCalls
from hongyan.engine.push_sending import PushSending
from hongyan.engine.push_services import PushService, PushServices
from hongyan.engine.pushes import Pushes
from hongyan.engine.receipts import ReceiptMarks
from hongyan.engine.roles import Roles
from hongyan.engine.rows import Rows
from hongyan.engine.service_messages import ServiceMessages
from hongyan.engine.services import Services
from hongyan.engine.sessions import Sessions
from hongyan.engine.signatures import Signatures
from hongyan.engine.silence import Silence
from hongyan.engine.streams import Streams
from hongyan.engine.sweeps import Sweeps
from hongyan.engine.temporary import TemporaryConversations
from hongyan.engine.turns import Turns
from hongyan.engine.unread import UnreadCounts
from hongyan.engine.users import Users
from hongyan.engine.visitors import Visitors
from hongyan.engine.webhooks import Webhooks
from hongyan.engine.wills import Wills
from hongyan.engine.words import WordFilter


class Engine:
    """`secret` signs session tokens. `content_filter` takes the place of the one by word lists.

    `app_engines` are asked before something happens, if there are any. `push_services` tells by
    which services pushes can be brought; it is asked when the first app pushes.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        secret: bytes,
        content_filter: ContentFilter | None = None,
        app_engines: AppEngines | None = None,
        push_services: Callable[[], Mapping[str, PushService]] = dict,
    ) -> None:
        self.clock = clock
        self.aftermath = Aftermath(store.jobs)
        self.hooks = Hooks(app_engines)
        turns = Turns()  # of messages and edits, whose hooks take their time
        self.limits = Limits()
        self.deliveries = DeliveryBudget()
        self.congestion = Congestion()
        self.changes = DeliveryBudget()  # of their own: large attributes must keep nobody from writing
        self.apps = Apps(store.apps, clock)
        self.kicks = Kicks(store.kicks, bus, clock)
        self.sessions = Sessions(store.tokens, clock, secret, self.kicks.voids)
        self.signatures = Signatures(store.signatures, clock, self.kicks.voids)
        self.presence = Presence(bus, clock, self.aftermath)
        self.access = Access(store.conversations, clock)
        self.words = WordFilter(store.words, clock)
        self.filtering = Filtering(content_filter or self.words, bus, lambda: self.edits.told_until())
        self.streams = Streams(store.services)
        self.services = Services(store.services, store.conversations, self.access, bus, self.aftermath, self.hooks)
        self.edits = Edits(
            store.edits,
            self.access,
            self.streams,
            bus,
            clock,
            self.filtering,
            self.congestion,
            self.aftermath,
            self.hooks,
            turns,
        )
        self.service_messages = ServiceMessages(
            store.services,
            store.messages,
            self.edits,
            self.streams,
            bus,
            clock,
            self.deliveries,
            self.filtering,
            self.congestion,
            self.aftermath,
            self.hooks,
        )
        self.messages = Messages(
            store.messages,
            self.access,
            self.streams,
            bus,
            clock,
            self.deliveries,
            self.filtering,
            self.congestion,
            self.aftermath,
            self.hooks,
            turns,
        )
        self.app_messages = AppMessages(
            store.messages,
            store.edits,
            self.edits,
            self.access,
            bus,
            clock,
            self.deliveries,
            self.filtering,
            self.congestion,
            self.aftermath,
            self.hooks,
        )
        self.archive = Archive(store.archive)
        self.budgets = Budgets(clock)
        self.broadcasts = Broadcasts(
            store.broadcasts,
            store.visitors,
            self.presence,
            self.budgets,
            bus,
            clock,
            self.deliveries,
            self.filtering,
            self.aftermath,
            lambda: self.visitors.flush(),
        )
        self.visitors = Visitors(store.visitors, bus, clock, self.broadcasts.first_mark)
        self.conversations = Conversations(store.conversations, self.access, bus, self.aftermath, self.hooks)
        self.wills = Wills(
            self.access, bus, clock, self.deliveries, self.filtering, self.congestion, self.aftermath, self.hooks
        )
        self.chatrooms = ChatRooms(
            store.seats, store.conversations, self.access, bus, clock, self.aftermath, self.hooks
        )
        self.blacklists = Blacklists(
            store.standings, store.blacklists, self.access, self.chatrooms, bus, clock, self.aftermath
        )
        self.info = ConversationInfo(
            store.info, self.access, self.services, bus, self.chatrooms, self.congestion, self.aftermath, self.hooks
        )
        self.rows = Rows(
            store.rows, self.conversations, self.chatrooms, self.services, self.access, bus, self.aftermath
        )
        self.history = History(store.messages, self.access, self.service_messages)
        self.temporary = TemporaryConversations(store.temporary, self.access, bus, self.aftermath, self.hooks)
        self.receipts = ReceiptMarks(store.messages, self.access, bus)
        self.notifications = Notifications(store.notifications, bus, clock)
        self.unread = UnreadCounts(store.messages, self.access, self.services, self.service_messages, bus)
        self.live_queries = LiveQueries(store.live_queries, self.sessions, bus)
        standings, lists = store.standings, store.standing_lists
        self.roles = Roles(standings, lists, self.access, bus, clock)
        self.silence = Silence(standings, lists, self.access, bus, clock)
        self.imports = Imports(store.imports, self.access, self.services)
        self.users = Users(store.users, clock)
        self.installations = Installations(store.installations)
        self.sweeps = Sweeps(store.sweep, self.apps, self.access, clock)
        self.webhooks = Webhooks(store.webhooks, store.jobs, clock)
        devices = store.installations
        self.push_services = PushServices(store.pushes, clock, push_services)
        self.push_sending = PushSending(store.pushes, devices, self.push_services, self.apps, clock)
        self.push_calls = PushCalls(store.pushes, devices, self.push_services, clock)
        self.pushes = Pushes(
            store.pushes,
            devices,
            self.push_services,
            self.apps,
            self.access,
            self.services,
            self.presence,
            self.receipts,
            clock,
            self.hooks,
        )
        self.aftermath.add(self.pushes)
        self.aftermath.add(self.push_calls)

    async def start(self) -> None:
        """Load what every session needs. The store must have been started."""
        await self.apps.load()
        await self.sessions.load()
        await self.words.load()
        await self.services.load()
        await self.chatrooms.load()
        await self.kicks.load()
        await self.broadcasts.load()
        await self.webhooks.load()
        await self.push_services.load()
        await self.push_services.make_ready()
