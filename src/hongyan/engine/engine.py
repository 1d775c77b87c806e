"""The engine: every rule, wired to its ports."""

from hongyan.engine.access import Access
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import Conversations
from hongyan.engine.edits import Edits
from hongyan.engine.history import History
from hongyan.engine.info import ConversationInfo
from hongyan.engine.limits import DeliveryBudget, Limits
from hongyan.engine.messages import Messages
from hongyan.engine.notifications import Notifications
from hongyan.engine.ports import Bus, Store
from hongyan.engine.receipts import ReceiptMarks
from hongyan.engine.sessions import Sessions
from hongyan.engine.sweeps import Sweeps
from hongyan.engine.temporary import TemporaryConversations
from hongyan.engine.unread import UnreadCounts
from hongyan.engine.wills import Wills


class Engine:
    """`secret` signs session tokens."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, secret: bytes) -> None:
        self.clock = clock
        self.limits = Limits()
        self.deliveries = DeliveryBudget()
        self.apps = Apps(store.apps, clock)
        self.sessions = Sessions(store.tokens, clock, secret)
        self.access = Access(store.conversations, clock)
        self.messages = Messages(store.messages, self.access, bus, clock, self.deliveries)
        self.wills = Wills(self.access, bus, clock, self.deliveries)
        self.conversations = Conversations(store.conversations, self.access, bus)
        self.temporary = TemporaryConversations(store.temporary, self.access, bus)
        self.info = ConversationInfo(store.info, self.access, bus)
        self.history = History(store.messages, self.access)
        self.receipts = ReceiptMarks(store.messages, self.access, bus)
        self.notifications = Notifications(store.notifications, bus, clock)
        self.unread = UnreadCounts(store.messages, self.access, bus)
        self.sweeps = Sweeps(store.sweep, self.apps, self.access, clock)
        self.edits = Edits(store.edits, self.access, bus, clock)

    async def start(self) -> None:
        """Load what every session needs. The store must have been started."""
        await self.apps.load()
        await self.sessions.load()
