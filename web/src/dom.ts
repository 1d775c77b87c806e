import { locale, words } from './words';

/** The element of the page with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A new element; strings become text, never markup. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}

// Hues of quiet, clearly different colours: no yellow, which is mud at this depth.
const HUES = [15, 45, 150, 190, 225, 260, 300, 340];

/** A round mark with the first character of a name, in a colour that belongs to the name. */
export function avatar(name: string): HTMLElement {
  const mark = create('span', 'avatar', [...name.trim()][0]?.toUpperCase() ?? '?');
  mark.ariaHidden = 'true';
  const hash = [...name].reduce((sum, character) => (sum * 31 + character.codePointAt(0)!) % 65_521, 7);
  mark.style.setProperty('--hue', String(HUES[hash % HUES.length]));
  return mark;
}

const clockFormat = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const dayFormat = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' });
const yearFormat = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'short', day: 'numeric' });

/** Hours and minutes. */
export function clock(date: Date): string {
  return clockFormat.format(date);
}

/** The day as people say it: today, yesterday, a date; with the year if it is not this one. */
export function day(date: Date): string {
  const now = new Date();
  const midnight = (moment: Date) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
  const age = Math.round((midnight(now) - midnight(date)) / 86_400_000);
  if (age === 0) return words.today;
  if (age === 1) return words.yesterday;
  return (date.getFullYear() === now.getFullYear() ? dayFormat : yearFormat).format(date);
}
