/** What the components say, in English. The other languages have the same keys. */
import type { EntryState } from '../timeline'

const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`

export const en = {
  title: 'Messages',
  today: 'Today',
  yesterday: 'Yesterday',
  you: 'You',
  they: (name: string) => `${name}:`,

  // the list
  conversations: 'Conversations',
  search: 'Search conversations',
  nothingFound: 'Nothing found',
  noConversations: 'No conversations yet',
  noConversationsHint: 'Start one, or wait until somebody writes to you.',
  newSession: 'New conversation',
  unread: (n: number) => plural(n, 'unread message', 'unread messages'),
  draft: 'Draft:',
  noMessages: 'No messages yet',
  book: (id: string) => `Book ${id}`,
  noBook: 'Without a book',
  active: 'Active',
  expired: 'Expired',
  closed: 'Closed',
  online: 'Online',
  offline: 'Offline',
  lastSeen: (when: string) => `Last seen: ${when}`,
  writing: 'is writing…',

  // the window
  chooseOne: 'Choose a conversation',
  chooseOneHint: 'Your messages are shown here.',
  back: 'Back to the list',
  about: 'Session',
  messagesWith: (name: string) => `Messages with ${name}`,
  beginning: 'This is where the conversation begins.',
  loading: 'Loading…',
  loadFailed: 'Older messages could not be loaded.',
  newMessages: 'New messages',
  jumpNewest: 'Go to the newest messages',
  retry: 'Try again',
  discard: 'Discard',
  states: {
    sending: 'Sending',
    sent: 'Sent',
    delivered: 'Delivered',
    read: 'Read',
    failed: 'Not sent',
    received: 'Received',
  } satisfies Record<EntryState, string>,
  failures: {
    MESSAGE_EXPIRED: 'Not sent: its time was over',
    IN_DOUBT: 'Nobody can tell whether it arrived',
    QUEUE_FULL: 'Not sent: too many messages wait already',
    SESSION_NOT_FOUND: 'Not sent: there is no such user or session',
  } as Record<string, string>,
  sessionOver: {
    expired: 'This session has expired: nothing more can be written in it.',
    closed: 'This session is closed: nothing more can be written in it.',
  },
  renew: 'Open a new session',

  // writing
  write: 'Write a message',
  writeTo: (name: string) => `Write to ${name}`,
  send: 'Send',
  tooLong: (n: number) => `${plural(n, 'character', 'characters')} too many`,
  counter: (n: number, limit: number) => `${n} of ${limit} characters`,

  // a new conversation
  otherUser: 'User',
  otherUserHint: 'The id of whom you want to write to',
  bookId: 'Book (may stay empty)',
  iAm: 'I am the',
  buyer: 'buyer',
  seller: 'seller',
  start: 'Start',
  cancel: 'Cancel',
  notYourself: 'You can’t write to yourself.',
  badBook: 'A book’s id is a whole number.',
  startFailed: (why: string) => `It could not be started: ${why}`,

  // the connection
  connecting: 'Connecting…',
  reconnecting: (attempt: number) => `No connection. Attempt ${attempt}`,
  inSeconds: (n: number) => `in ${n} s`,
  tryNow: 'Try now',
  noNetwork: 'You are offline.',
  disconnected: 'Not connected.',
  queued: (n: number) => `${plural(n, 'message waits', 'messages wait')} to be sent.`,
  loginExpired: 'Your log-in has expired, or was refused.',
  replaced: 'You have logged in elsewhere with this device.',
  newToken: 'New token',
  renewToken: 'Continue',
  connect: 'Connect',

  // switches
  mute: 'Mute the sound',
  unmute: 'Sound on',
  notify: 'Show notifications',
  notifying: 'Notifications are shown',
  notifyDenied: 'This browser refuses notifications',
  dark: 'Dark colours',
  light: 'Light colours',
  otherLanguage: '中文',
  logOut: 'Log out',
  notification: (name: string) => `Message from ${name}`,

  // the log-in
  logIn: 'Log in',
  pickUser: 'Who are you?',
  pickUserHint: 'This server is for development: pick a user, no password needed.',
  token: 'Access token',
  tokenHint: 'Paste the token that you were given.',
  userId: 'Your user id',
  userIdHint: 'It could not be read from the token.',
  orToken: 'or with a token',
  pageFailed: 'The server does not answer.',
}

export type Texts = typeof en
