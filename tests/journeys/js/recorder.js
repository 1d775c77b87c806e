/** How long a journey waits for one thing before it says what it missed. */
const PATIENCE_SECONDS = 30;

/** Remembers every occurrence of one event from now on, so that none is missed meanwhile. */
export class Recorder {
  #waiting = new Set();
  #taken = 0;

  constructor(emitter, event) {
    this.event = event;
    this.items = [];
    emitter.on(event, (...args) => {
      this.items.push(args);
      // The SDKs emit in the middle of their own work; look when it is done.
      queueMicrotask(() => this.#waiting.forEach(check => check()));
    });
  }

  /** Whether something came that `next` has not given yet. */
  get hasNews() {
    return this.items.length > this.#taken;
  }

  /** The next occurrence, as the list of the listener's arguments. */
  async next() {
    await this.until(() => this.hasNews, 'the next one');
    return this.items[this.#taken++];
  }

  /** The first `count` occurrences, each as the list of the listener's arguments. */
  async take(count) {
    await this.until(() => this.items.length >= count, `${count} of them`);
    return this.items.slice(0, count);
  }

  /** The first occurrence that `accepts(...arguments)`. */
  async find(accepts) {
    await this.until(() => this.items.some(item => accepts(...item)), 'the expected one');
    return this.items.find(item => accepts(...item));
  }

  /** Resolves when `condition()` holds; it is asked now and after every occurrence. */
  until(condition, what = 'a condition') {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        const had = `had ${this.items.length}`;
        reject(new Error(`waited ${PATIENCE_SECONDS} s for "${this.event}" (${what}), ${had}`));
      }, PATIENCE_SECONDS * 1000);
      this.#waiting.add(check);
      check();
    });
  }
}
