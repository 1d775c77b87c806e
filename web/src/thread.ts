import { MessageQueryDirection, TextMessage, type ConversationBase, type Message } from 'leancloud-realtime';
import { create } from './dom';
import { drawRow, setContext, setState, type State } from './row';
import { refusal } from './session';

const PAGE = 30;

/** The messages of one conversation: its list element, its history, and what waits to be sent. */
export class Thread {
  readonly element = create('ol', 'messages');
  /** Whether there is history before what is shown; not known until the first page is loaded. */
  hasEarlier: boolean | undefined;
  private readonly rows = new Map<Message, HTMLElement>();
  private readonly outbox = new Set<Message>();
  private brokeAfter: Message | undefined;

  constructor(
    readonly conversation: ConversationBase,
    private readonly me: string,
    private readonly isConnected: () => boolean,
  ) {
    this.element.classList.toggle('group', conversation.members.length > 2);
  }

  /** Loads the page of history before the oldest message shown; the newest page at first. */
  async loadEarlier(): Promise<void> {
    const oldest = this.received()[0];
    const page = await this.conversation.queryMessages({
      limit: PAGE,
      ...(oldest && { startTime: oldest.timestamp, startMessageId: oldest.id }),
    });
    this.hasEarlier = page.length === PAGE;
    this.show(page);
  }

  /** Shows messages that the server has, whichever way they came. */
  show(messages: Message[]): void {
    for (const message of messages) this.put(message, 'sent');
    this.arrange();
  }

  /** Shows what a message is now, after an edit or a recall; one that is not shown stays in the history. */
  replace(message: Message): void {
    if ([...this.rows.keys()].some(({ id }) => id === message.id)) this.show([message]);
  }

  /** Shows a message as on its way and sends it. */
  async send(text: string): Promise<void> {
    const message = new TextMessage(text);
    message.from = this.me;
    this.outbox.add(message);
    await this.deliver(message);
  }

  /** Remembers where the live stream broke, so that `resume` fetches what came after it. */
  pause(): void {
    this.brokeAfter ??= this.received().at(-1);
  }

  /** Sends what waited and fetches what was missed while the connection was lost. */
  async resume(): Promise<void> {
    const waiting = [...this.outbox].filter((message) => this.rows.get(message)?.dataset.state === 'sending');
    await Promise.all(waiting.map((message) => this.deliver(message)));
    while (this.brokeAfter) this.brokeAfter = await this.loadAfter(this.brokeAfter);
    if (this.hasEarlier === undefined) await this.loadEarlier();
  }

  /** Loads one page after a message and returns its last message if there may be more. */
  private async loadAfter(message: Message): Promise<Message | undefined> {
    const page = await this.conversation.queryMessages({
      limit: PAGE,
      startTime: message.timestamp,
      startMessageId: message.id,
      direction: MessageQueryDirection.OLD_TO_NEW,
    });
    this.show(page);
    return page.length === PAGE ? page.at(-1) : undefined;
  }

  // A message keeps its own id until it is acknowledged, so that a second try never says it twice.
  private async deliver(message: Message): Promise<void> {
    this.put(message, 'sending');
    this.arrange();
    if (!this.isConnected()) return;
    try {
      await this.conversation.send(message);
      this.outbox.delete(message);
      this.show([message]);
    } catch (error) {
      if (this.outbox.has(message) && this.isConnected()) this.put(message, 'failed', refusal(error));
    }
  }

  private put(message: Message, state: State, reason?: string): void {
    for (const [other, row] of this.rows) {
      if (other === message || other.id !== message.id) continue;
      row.remove();
      this.rows.delete(other);
    }
    const row = this.rows.get(message) ?? drawRow(message, message.from === this.me, () => this.deliver(message));
    setState(row, message, state, reason);
    this.rows.set(message, row);
  }

  /** Brings the list items into order and moves only those that are not in place. */
  private arrange(): void {
    let previous: Message | undefined;
    this.ordered().forEach((message, index) => {
      const row = this.rows.get(message)!;
      const there = this.element.children[index];
      if (there !== row) this.element.insertBefore(row, there ?? null);
      setContext(row, message, previous);
      previous = message;
    });
  }

  private received(): Message[] {
    return this.ordered().filter((message) => !this.outbox.has(message));
  }

  private ordered(): Message[] {
    const order = (message: Message) => (this.outbox.has(message) ? Infinity : message.timestamp.getTime());
    // Two waiting messages compare as not-a-number, which leaves them in the order they were written.
    return [...this.rows.keys()].sort((one, other) => order(one) - order(other) || 0);
  }
}
