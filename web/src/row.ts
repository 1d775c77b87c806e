import { RecalledMessage, type Message, type TextMessage } from 'leancloud-realtime';
import { avatar, clock, create, day } from './dom';
import { words } from './words';

export type State = 'sending' | 'sent' | 'failed';

const GROUP_GAP_MS = 2 * 60_000;
const STATE_WORDS: Record<State, string> = { sending: words.sending, sent: words.sent, failed: words.notSent };

/** The text of a message of any type, for a bubble or a preview. */
export function textOf(message: Message): string {
  if (message instanceof RecalledMessage) return words.recalled;
  const { text } = message as TextMessage;
  if (text) return text;
  const payload = message.getPayload();
  return typeof payload === 'string' ? payload : words.otherContent;
}

/** The list item of one message; `retry` is called by the button that a failed message shows. */
export function drawRow(message: Message, mine: boolean, retry: () => void): HTMLLIElement {
  const again = create('button', 'retry', words.retry);
  again.type = 'button';
  again.addEventListener('click', retry);
  const foot = create('div', 'foot', create('time', ''), create('span', 'state'), again);
  const from = create('div', 'from', message.from);
  const bubble = create('div', 'bubble', textOf(message));
  return create('li', mine ? 'row mine' : 'row', avatar(message.from), create('div', 'body', from, bubble, foot));
}

/** Shows the time of a message and whether it is on its way, sent or failed, for which reason. */
export function setState(row: HTMLElement, message: Message, state: State, reason?: string): void {
  row.dataset.state = state;
  row.querySelector('.state')!.textContent = STATE_WORDS[state] + (reason ? ` (${reason})` : '');
  const time = row.querySelector('time')!;
  time.dateTime = message.timestamp.toISOString();
  time.textContent = clock(message.timestamp);
}

/** Marks where a day begins and where a speaker begins, for the style sheet. */
export function setContext(row: HTMLElement, message: Message, previous: Message | undefined): void {
  const label = day(message.timestamp);
  const newDay = !previous || day(previous.timestamp) !== label;
  if (newDay) row.dataset.day = label;
  else delete row.dataset.day;
  const gap = previous ? message.timestamp.getTime() - previous.timestamp.getTime() : Infinity;
  row.classList.toggle('first', newDay || previous?.from !== message.from || gap > GROUP_GAP_MS);
}
