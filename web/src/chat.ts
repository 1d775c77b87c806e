import { Event as Im, type ConversationBase, type Message } from 'leancloud-realtime';
import { Conversations, titleOf } from './conversations';
import { avatar, byId } from './dom';
import { refusal, watchConnection, type Connection, type Session } from './session';
import { Thread } from './thread';
import { words } from './words';

const NEAR_END_PX = 120;
const RETRY_MS = 1000;
const log = byId('log');

/** The chat of one signed-in client; the conversation open in it is the one named in the address. */
export class Chat {
  private readonly conversations: Conversations;
  private readonly threads = new Map<string, Thread>();
  private open: Thread | undefined;
  private connection: Connection = 'connected';

  constructor(private readonly session: Session) {
    this.conversations = new Conversations(session.client, byId('conversations'));
  }

  /** Shows the chat and keeps it up to date until the page is left. */
  async start(): Promise<void> {
    const { client } = this.session;
    byId('me').textContent = client.id;
    byId('me-avatar').replaceChildren(avatar(client.id));
    this.showConnection('connected');
    this.listen();
    await this.conversations.load();
    await this.follow();
  }

  /** Opens the one conversation between this client and a peer; creates it the first time. */
  async chatWith(peer: string): Promise<void> {
    const conversation = await this.session.client.createConversation({ members: [peer], unique: true });
    this.conversations.add(conversation);
    location.hash = conversation.id;
  }

  /** Sends a text to the open conversation. */
  send(text: string): void {
    const thread = this.open;
    if (!thread) return;
    const sent = thread.send(text);
    scrollToEnd();
    void sent.then(() => this.conversations.add(thread.conversation));
  }

  /** Loads older messages of the open conversation and keeps what is on screen where it is. */
  async loadEarlier(): Promise<void> {
    const thread = this.open;
    if (!thread) return;
    const fromEnd = log.scrollHeight - log.scrollTop;
    log.ariaBusy = 'true';
    await thread.loadEarlier().finally(() => (log.ariaBusy = 'false'));
    if (thread !== this.open) return;
    byId('earlier').hidden = !thread.hasEarlier;
    log.scrollTop = log.scrollHeight - fromEnd;
  }

  private listen(): void {
    const { client } = this.session;
    client.on(Im.MESSAGE, (message, conversation) => this.receive(message!, conversation!));
    client.on(Im.MESSAGE_UPDATE, (message, conversation) => this.changed(message!, conversation!));
    client.on(Im.MESSAGE_RECALL, (message, conversation) => this.changed(message!, conversation!));
    client.on(Im.INVITED, (_, conversation) => this.conversations.add(conversation!));
    client.on(Im.UNREAD_MESSAGES_COUNT_UPDATE, (conversations) => this.unreadChanged(conversations!));
    watchConnection(client, (connection) => this.showConnection(connection));
    addEventListener('hashchange', () => void this.follow());
    document.addEventListener('visibilitychange', () => this.markRead());
  }

  private receive(message: Message, conversation: ConversationBase): void {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    this.threads.get(conversation.id)?.show([message]);
    this.conversations.add(conversation);
    if (this.open?.conversation !== conversation) return;
    if (atEnd) scrollToEnd();
    this.markRead();
  }

  private changed(message: Message, conversation: ConversationBase): void {
    this.threads.get(conversation.id)?.replace(message);
    this.conversations.add(conversation);
  }

  private unreadChanged(conversations: ConversationBase[]): void {
    this.conversations.add(...conversations);
    const { unread } = this.conversations;
    document.title = unread ? `(${unread}) Hongyan 鸿雁` : 'Hongyan 鸿雁';
    this.markRead();
  }

  private markRead(): void {
    const conversation = this.open?.conversation;
    if (conversation?.unreadMessagesCount && document.visibilityState === 'visible') void conversation.read();
  }

  /** Opens the conversation that the address names, or closes the open one if it names none. */
  private async follow(): Promise<void> {
    const id = location.hash.slice(1);
    const conversation = id && (await this.session.client.getConversation(id));
    if (conversation) await this.show(conversation);
    else this.close();
  }

  private close(): void {
    this.open = undefined;
    this.conversations.select('');
    document.body.dataset.view = 'list';
  }

  private async show(conversation: ConversationBase): Promise<void> {
    const thread = this.threadOf(conversation);
    const title = titleOf(conversation, this.session.client.id);
    this.open = thread;
    this.conversations.select(conversation.id);
    byId('title').textContent = title;
    byId('peer-avatar').replaceChildren(avatar(title));
    byId('messages').replaceChildren(thread.element);
    byId('earlier').hidden = !thread.hasEarlier;
    document.body.dataset.view = 'thread';
    // On a touch screen focus would open the keyboard over the messages.
    if (matchMedia('(pointer: fine)').matches) byId('text').focus();
    scrollToEnd();
    this.markRead();
    if (thread.hasEarlier !== undefined || this.connection !== 'connected') return;
    await this.loadEarlier().catch(() => undefined); // the next reconnection loads it
    scrollToEnd();
  }

  private threadOf(conversation: ConversationBase): Thread {
    let thread = this.threads.get(conversation.id);
    if (!thread) {
      thread = new Thread(conversation, this.session.client.id, () => this.connection === 'connected');
      this.threads.set(conversation.id, thread);
    }
    return thread;
  }

  private showConnection(connection: Connection): void {
    const before = this.connection;
    this.connection = connection;
    document.body.dataset.connection = connection;
    byId('status').textContent = words[connection];
    byId('lost').hidden = connection === 'connected';
    if (connection !== 'connected') this.threads.forEach((thread) => thread.pause());
    else if (before !== 'connected') void this.catchUp();
    byId<HTMLButtonElement>('earlier').disabled = connection !== 'connected';
  }

  private async catchUp(): Promise<void> {
    try {
      await Promise.all([...this.threads.values()].map((thread) => thread.resume()));
      await this.conversations.load();
    } catch (error) {
      // Lost again: the next reconnection catches up. Or the SDK took a query for a repetition of one that died with
      // the old connection, and both ran into its time-out.
      if (refusal(error) === undefined) setTimeout(() => this.connection === 'connected' && this.catchUp(), RETRY_MS);
      return;
    }
    byId('earlier').hidden = !this.open?.hasEarlier;
    scrollToEnd();
    this.markRead();
  }
}

function scrollToEnd(): void {
  log.scrollTop = log.scrollHeight;
}
