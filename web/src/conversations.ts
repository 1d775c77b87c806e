import type { ConversationBase, IMClient } from 'leancloud-realtime';
import { avatar, clock, create, day } from './dom';
import { textOf } from './row';
import { words } from './words';

const LISTED = 100;

/** The other members of a conversation, or its name if it has one. */
export function titleOf(conversation: ConversationBase, me: string): string {
  const others = conversation.members.filter((member) => member !== me);
  return conversation.name || others.join(', ') || conversation.id;
}

/** The list of conversations, newest first, with unread counts and previews. */
export class Conversations {
  private readonly known = new Map<string, ConversationBase>();
  private selected = '';

  constructor(
    private readonly client: IMClient,
    private readonly list: HTMLElement,
  ) {}

  /** Asks the server for the newest conversations and their last messages. */
  async load(): Promise<void> {
    const query = this.client.getQuery().containsMembers([this.client.id]);
    const found = await query.withLastMessagesRefreshed().limit(LISTED).find();
    this.add(...found);
  }

  /** Lists conversations that may be new or changed. */
  add(...conversations: ConversationBase[]): void {
    for (const conversation of conversations) this.known.set(conversation.id, conversation);
    this.render();
  }

  select(id: string): void {
    this.selected = id;
    this.render();
  }

  /** How many messages wait to be read, over all conversations. */
  get unread(): number {
    return [...this.known.values()].reduce((sum, { unreadMessagesCount }) => sum + Number(unreadMessagesCount), 0);
  }

  private render(): void {
    const newest = [...this.known.values()].sort((one, other) => activity(other) - activity(one));
    const items = newest.map((conversation) => create('li', '', this.link(conversation)));
    const focused = this.list.contains(document.activeElement) && document.activeElement?.getAttribute('href');
    this.list.replaceChildren(...(items.length ? items : [create('li', 'none', words.noConversations)]));
    if (focused) this.list.querySelector<HTMLElement>(`[href="${CSS.escape(focused)}"]`)?.focus();
  }

  private link(conversation: ConversationBase): HTMLAnchorElement {
    const title = titleOf(conversation, this.client.id);
    const time = conversation.lastMessage ? when(conversation.lastMessage.timestamp) : '';
    const top = create('span', 'top', create('strong', '', title), create('time', '', time));
    const bottom = create('span', 'bottom', create('span', 'preview', this.preview(conversation)));
    if (conversation.unreadMessagesCount) bottom.append(badge(Number(conversation.unreadMessagesCount)));
    const link = create('a', 'conversation', avatar(title), create('span', 'summary', top, bottom));
    link.href = `#${conversation.id}`;
    if (conversation.id === this.selected) link.ariaCurrent = 'page';
    return link;
  }

  private preview({ lastMessage }: ConversationBase): string {
    if (!lastMessage) return '';
    const text = textOf(lastMessage);
    return lastMessage.from === this.client.id ? `${words.you}${text}` : text;
  }
}

function activity(conversation: ConversationBase): number {
  const moment: Date = conversation.lastMessage?.timestamp ?? conversation.createdAt ?? new Date(0);
  return moment.getTime();
}

function when(date: Date): string {
  const label = day(date);
  return label === words.today ? clock(date) : label;
}

function badge(count: number): HTMLElement {
  const node = create('span', 'badge', count > 99 ? '99+' : String(count));
  node.append(create('span', 'for-readers', ` ${words.unread}`));
  return node;
}
