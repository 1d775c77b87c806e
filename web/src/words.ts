/** Every word on the page, in English and Chinese; the browser's language chooses. */

const en = {
  yourName: 'Your name',
  enter: 'Enter',
  nameNeeded: 'Please enter a name.',
  noPassword: 'There are no passwords: anybody may enter under any name.',
  switchName: 'Switch name',
  peerName: 'Name of the other person',
  peerHint: 'Chat with…',
  start: 'Start',
  conversations: 'Conversations',
  noConversations: 'No conversations yet. Enter a name above to start one.',
  messages: 'Messages',
  pickOne: 'Pick a conversation, or start one with a name.',
  back: 'Back to conversations',
  earlier: 'Earlier messages',
  message: 'Message',
  send: 'Send',
  sending: 'Sending…',
  sent: 'Sent',
  notSent: 'Not sent',
  retry: 'Try again',
  connected: 'Connected',
  reconnecting: 'Reconnecting…',
  offline: 'Offline',
  lost: 'The connection is lost. Messages are sent when it is back.',
  tryNow: 'Try now',
  today: 'Today',
  yesterday: 'Yesterday',
  unread: 'unread',
  you: 'You: ',
  otherContent: '[A message this page cannot show]',
  recalled: '[A message that was taken back]',
  thatIsYou: 'That is your own name.',
  serverUnreachable: 'The server cannot be reached. Please try again.',
  signedOut: 'The server ended this session.',
  signInAgain: 'Enter again',
};

const zh: typeof en = {
  yourName: '你的名字',
  enter: '进入',
  nameNeeded: '请输入名字。',
  noPassword: '没有密码：任何人都可以用任何名字进入。',
  switchName: '换名字',
  peerName: '对方的名字',
  peerHint: '和谁聊天…',
  start: '开始',
  conversations: '会话',
  noConversations: '还没有会话。在上方输入对方的名字开始聊天。',
  messages: '消息',
  pickOne: '选择一个会话，或输入名字开始聊天。',
  back: '返回会话列表',
  earlier: '更早的消息',
  message: '输入消息',
  send: '发送',
  sending: '发送中…',
  sent: '已发送',
  notSent: '未发送',
  retry: '重试',
  connected: '已连接',
  reconnecting: '正在重连…',
  offline: '网络已断开',
  lost: '连接已断开，恢复后会自动发送消息。',
  tryNow: '立即重连',
  today: '今天',
  yesterday: '昨天',
  unread: '条未读',
  you: '我：',
  otherContent: '[此页面无法显示的消息]',
  recalled: '[已撤回的消息]',
  thatIsYou: '这是你自己的名字。',
  serverUnreachable: '无法连接服务器，请重试。',
  signedOut: '服务器结束了这次登录。',
  signInAgain: '重新进入',
};

const chinese = navigator.language.startsWith('zh');
export const locale = chinese ? 'zh-CN' : navigator.language;
export const words = chinese ? zh : en;

/** Fills every element that names its words in `data-text`, `data-label` or `data-placeholder`. */
export function translatePage(): void {
  document.documentElement.lang = chinese ? 'zh-CN' : 'en';
  for (const node of document.querySelectorAll<HTMLElement>('[data-text], [data-label], [data-placeholder]')) {
    const { text, label, placeholder } = node.dataset as Record<string, keyof typeof en | undefined>;
    if (text) node.textContent = words[text];
    if (label) node.ariaLabel = words[label];
    if (placeholder) node.setAttribute('placeholder', words[placeholder]);
  }
}
