import { Chat } from './chat';
import { byId } from './dom';
import { openSession, refusal, watchEnd, type Session } from './session';
import { translatePage, words } from './words';

const NAME_KEY = 'hongyan.name'; // kept per window, so that two windows can be two people
const nameField = byId<HTMLInputElement>('name');
const enterButton = byId<HTMLButtonElement>('enter');
const signInError = byId('sign-in-error');

translatePage();
byId('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void signIn(nameField.value.trim());
});
nameField.value = sessionStorage.getItem(NAME_KEY) ?? '';
if (nameField.value) void signIn(nameField.value);
else askName();

function askName(problem = ''): void {
  document.body.dataset.view = 'sign-in';
  signInError.textContent = problem;
  enterButton.disabled = false;
  nameField.focus();
}

async function signIn(name: string): Promise<void> {
  if (!name) return askName(words.nameNeeded);
  enterButton.disabled = true;
  try {
    const session = await openSession(name);
    sessionStorage.setItem(NAME_KEY, name);
    enter(session).catch((error: Error) => showSignedOut(error.message));
  } catch (error) {
    askName(refusal(error) ?? words.serverUnreachable);
  }
}

async function enter(session: Session): Promise<void> {
  const chat = new Chat(session);
  watchEnd(session.client, showSignedOut);
  bindSidebar(chat, session);
  bindThread(chat, session);
  await chat.start();
}

function bindSidebar(chat: Chat, session: Session): void {
  const peer = byId<HTMLInputElement>('peer');
  const error = byId('new-chat-error');
  byId('new-chat').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = peer.value.trim();
    error.textContent = name === session.client.id ? words.thatIsYou : '';
    if (!name || error.textContent) return;
    chat.chatWith(name).then(
      () => (peer.value = ''),
      (reason) => (error.textContent = refusal(reason) ?? words.lost),
    );
  });
  byId('sign-out').addEventListener('click', () => {
    sessionStorage.removeItem(NAME_KEY);
    location.replace('/');
  });
}

function bindThread(chat: Chat, session: Session): void {
  const text = byId<HTMLTextAreaElement>('text');
  const composer = byId<HTMLFormElement>('composer');
  composer.addEventListener('submit', (event) => {
    event.preventDefault();
    if (text.value.trim()) chat.send(text.value.trim());
    composer.reset();
    text.focus();
  });
  text.addEventListener('keydown', (event) => {
    // While an input method composes, Enter chooses a word; some browsers say so only by code 229.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    composer.requestSubmit();
  });
  byId('earlier').addEventListener('click', () => void chat.loadEarlier());
  byId('retry-now').addEventListener('click', () => retryNow(session));
}

function retryNow({ realtime }: Session): void {
  try {
    realtime.retry();
  } catch {
    // The SDK is trying at this very moment.
  }
}

function showSignedOut(reason?: string): void {
  byId('signed-out-reason').textContent = reason ? `${words.signedOut} (${reason})` : words.signedOut;
  byId('sign-in-again').addEventListener('click', () => location.reload());
  byId<HTMLDialogElement>('signed-out').showModal();
}
