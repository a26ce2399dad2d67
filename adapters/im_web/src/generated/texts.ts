// Made from docs/protocol.json by `node tools/generate.mjs`. Never edited.

import type { Table } from './tables'

export const SERVER_CONNECTION: Table = {
  initial: 'handshaking',
  final: ['closed'],
  next: { handshaking: { upgraded: 'unauthenticated', close_started: 'closing', transport_ended: 'closed' }, unauthenticated: { auth_received: 'verifying', close_started: 'closing', transport_ended: 'closed' }, verifying: { token_verified: 'logging_in', close_started: 'closing', transport_ended: 'closed' }, logging_in: { logged_in: 'online', close_started: 'closing', transport_ended: 'closed' }, online: { drain: 'draining', close_started: 'closing', transport_ended: 'closed' }, draining: { close_started: 'closing', transport_ended: 'closed' }, closing: { transport_ended: 'closed' }, closed: {} },
}

/** What each machine is. */
export const MACHINE_TEXTS: Record<string, string> = {
  connection: 'From the wish for a transport to its end. One transport at a time.',
  auth: 'From no token to logged in, and what ends it.',
  heartbeat: 'Probes at a steady pace; any complete frame is an answer.',
  reconnect: 'The will to be connected; `connect()` and `disconnect()` move it from outside.',
  delivery: "From the application's hand to an end that is known, or honestly unknown.",
  server_connection: 'From the first byte of the upgrade to the end of the transport.',
  session: 'A session can be written in while it is active, and read for ever.',
}

/** What each state of each machine is. */
export const STATE_TEXTS: Record<string, Record<string, string>> = {
  connection: { disconnected: 'There is no transport, and nobody is asked for one.', opening: 'A transport was asked for: name look-up, TCP, TLS are under way.', handshaking: 'Bytes flow; the WebSocket upgrade was sent and is not yet answered.', open: 'Upgraded: frames may be sent and received.', closing: "A close frame was sent; the peer's end, or the close timer, ends it." },
  auth: { logged_out: 'No token is held for the next log-in.', fetching_token: "The application's token function was asked and has not answered.", token_held: 'A token is at hand; the link is not ready for it yet.', authenticating: 'AUTH_REQUEST was sent and is not yet answered.', authenticated: 'The server has accepted the log-in on this link.', refused: 'The server refuses this user or token. Only a new token or connect() goes on.' },
  heartbeat: { stopped: 'Nobody is logged in: there is nothing to probe.', resting: 'The peer was heard since the last probe; the next one is scheduled.', awaiting: 'A probe is out and nothing complete was heard since.' },
  reconnect: { idle: 'The application wants no connection.', attempting: 'One attempt is under way: token, transport, handshake, log-in.', established: 'Logged in.', waiting: 'The last attempt or link failed; the next attempt has a time.', exhausted: '`max_retries` attempts in a row failed. The queue is kept; connect() goes on.', halted: "The server said something that trying again can't change. connect() goes on." },
  delivery: { queued: 'Held here; no byte of it was ever given to a transport.', in_flight: 'Given to the transport of the present link; the answer is awaited.', unconfirmed: 'The link it went out on is gone, the answer with it. It goes out again on the next.', accepted: 'The server has it, for good.', rejected: 'The server, or we, will not take it; the reason is told.', cancelled: 'Withdrawn by the application before it was ever given to a transport.', expired: 'Its time to live was over before it was ever given to a transport.', in_doubt: 'It may or may not have arrived, and nobody can tell any more.' },
  server_connection: { handshaking: 'The upgrade has not been read, or not been answered.', unauthenticated: 'Upgraded; AUTH_REQUEST is awaited.', verifying: 'The token is with the authenticator.', logging_in: "The token is good; the store is asked for the login's generation and cursor.", online: 'Logged in: messages go both ways.', draining: 'The server goes down: nothing more is read, what was accepted is still answered.', closing: 'A close frame, or the refusal of the upgrade, was sent.', closed: 'The transport is gone.' },
  session: { active: 'Its buyer and its seller may write to each other in it.', expired: 'Its time is over. Who wants to go on gets a new one.', closed: 'Somebody has ended it.' },
}

/** What each deadline of the client is for. */
export const TIMER_TEXTS: Record<string, string> = {
  TOKEN: "The application's token function was asked and has not answered.",
  CONNECT: 'From the wish for a transport to the upgrade; absolute.',
  AUTH: 'AUTH_REQUEST is out: of the log-in, or with a new token for the live connection.',
  REFRESH: 'The token of the link is to be replaced: it grows old, or the last try has failed.',
  HEARTBEAT_DUE: 'Time to probe; goes on at a steady pace while logged in.',
  WATCH: 'Logged in, or waiting for an attempt: a look by which a sleep of the machine is noticed.',
  HEARTBEAT_ANSWER: 'A probe is out; nothing complete was heard since.',
  PARTIAL: 'A frame or message has begun to come in; absolute.',
  ACK: 'The oldest message in flight is unanswered.',
  STATUS: 'The server was asked, and has not answered.',
  EXPIRY: 'The first message that may still expire does so.',
  RETRY: 'A plain server answered a message with a server error.',
  ACK_OUT: 'The application has handled messages that the server is not told of yet.',
  SYNC: 'SYNC_REQUEST is out.',
  RECONNECT: 'The delay before the next attempt to connect.',
  TYPING: 'It was told less than a second ago, and has changed.',
  SESSION: 'A session call is under way; absolute, whatever it takes inside.',
  SESSION_RETRY: 'The HTTP server failed, and the call may be repeated.',
  JOURNAL: 'The journal could not be written.',
  CLOSE: 'Our close frame is out; absolute.',
}

/** What each deadline of a connection at the server is for. */
export const SERVER_TIMER_TEXTS: Record<string, string> = {
  HANDSHAKE: 'From the first byte to the end of the upgrade request; absolute.',
  AUTH: "From the upgrade to the log-in's end; absolute. Or for a later token's answer.",
  EXPIRING: 'The client is told, in time to bring a new token.',
  EXPIRY: 'The token expires; absolute.',
  PING: 'A peer that was silent for an interval is pinged.',
  IDLE: 'A peer that is silent for several intervals is gone.',
  PROOF: 'More was pushed to a plain peer since the last ping; see `PROOF_PACE`.',
  PARTIAL: 'A frame or message has begun to come in; absolute.',
  RATE: 'It has said more than it may, and is not read until this.',
  STALL: 'Writing is blocked; neither an ack nor a byte of room so far.',
  CLOSE: 'Our close frame is out; absolute.',
}

export const ERROR_TEXTS: Record<string, string> = {
  CONNECTION_FAILED: 'no link could be had',
  CONNECTION_TIMEOUT: 'no link, or no log-in, in time',
  CONNECTION_LOST: 'the link has ended',
  RECONNECT_FAILED: 'so many attempts in a row have failed that the client gives up',
  AUTH_FAILED: 'the server, or what stands before it, refuses the log-in',
  AUTH_TIMEOUT: 'the log-in was not answered in time',
  TOKEN_INVALID: 'the token is no longer good, and no other can be had',
  MESSAGE_SEND_FAILED: 'the server refuses the message',
  MESSAGE_TIMEOUT: 'the application waited no longer; the message is not withdrawn',
  MESSAGE_FORMAT_ERROR: 'what was handed over breaks the rules',
  SESSION_CREATE_FAILED: 'the server refuses the session',
  SESSION_NOT_FOUND: 'the server knows no such session',
  NETWORK_ERROR: 'a call has not come through, or nobody knows whether',
  SERVER_ERROR: 'the server failed',
  UNKNOWN_ERROR: 'something else; the text says what',
  QUEUE_FULL: 'too much waits already',
  MESSAGE_EXPIRED: "the message's time to live was over before it was handed over",
  MESSAGE_CANCELLED: 'the application has withdrawn the message',
  IN_DOUBT: 'the message may have arrived or not, and nobody can tell any more',
  JOURNAL_FAILED: "the journal can't be written",
}

/**
 * Which of the client's states go together: while `machine` is in one of `states`, one of
 * `needs` holds.
 */
export const PRODUCT = [
  { machine: 'connection', states: ['opening', 'handshaking'], needs: [{ machine: 'reconnect', states: ['attempting'] }], why: 'a transport is made for an attempt' },
  { machine: 'reconnect', states: ['idle', 'waiting', 'exhausted', 'halted'], needs: [{ machine: 'connection', states: ['disconnected', 'closing'] }], why: 'who wants no link now has none, or is taking leave' },
  { machine: 'auth', states: ['authenticating', 'authenticated'], needs: [{ machine: 'connection', states: ['open'] }], why: 'a log-in belongs to its link' },
  { machine: 'auth', states: ['authenticated'], needs: [{ machine: 'reconnect', states: ['established'] }], why: 'the log-in is the end of the attempt' },
  { machine: 'reconnect', states: ['established'], needs: [{ machine: 'auth', states: ['authenticated'] }, { machine: 'connection', states: ['closing'] }], why: 'a link without its log-in is given up' },
  { machine: 'heartbeat', states: ['resting', 'awaiting'], needs: [{ machine: 'auth', states: ['authenticated'] }], why: 'only a logged-in link is probed' },
  { machine: 'auth', states: ['fetching_token'], needs: [{ machine: 'reconnect', states: ['attempting', 'established'] }], why: 'a token is fetched for a link' },
  { machine: 'auth', states: ['refused'], needs: [{ machine: 'reconnect', states: ['halted'] }], why: "trying again can't change a refusal" },
] as const
