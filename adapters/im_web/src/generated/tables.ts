// Made from docs/protocol.json by `node tools/generate.mjs`. Never edited.

import type { Blame, CoreConfig, IMErrorCode, TimerName } from './types'

/** What a machine may do: `next[state][event]` is the state that follows. */
export interface Table {
  initial: string
  final: readonly string[]
  next: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export const CONNECTION: Table = {
  initial: 'disconnected',
  final: [],
  next: { disconnected: { open_requested: 'opening' }, opening: { transport_opened: 'handshaking', transport_ended: 'disconnected' }, handshaking: { handshake_accepted: 'open', transport_ended: 'disconnected' }, open: { close_started: 'closing', transport_ended: 'disconnected' }, closing: { transport_ended: 'disconnected' } },
}

export const AUTH: Table = {
  initial: 'logged_out',
  final: [],
  next: { logged_out: { fetch_started: 'fetching_token', token_ready: 'token_held' }, fetching_token: { fetch_failed: 'logged_out', token_ready: 'token_held', reset: 'logged_out' }, token_held: { token_ready: 'token_held', request_sent: 'authenticating', token_rejected: 'logged_out', login_refused: 'refused', reset: 'logged_out' }, authenticating: { accepted: 'authenticated', link_lost: 'token_held', token_rejected: 'logged_out', login_refused: 'refused' }, authenticated: { link_lost: 'token_held', token_rejected: 'logged_out', login_refused: 'refused' }, refused: { reset: 'logged_out' } },
}

export const HEARTBEAT: Table = {
  initial: 'stopped',
  final: [],
  next: { stopped: { started: 'resting' }, resting: { probe_sent: 'awaiting', stopped_probing: 'stopped' }, awaiting: { life_seen: 'resting', missed: 'awaiting', stopped_probing: 'stopped' } },
}

export const RECONNECT: Table = {
  initial: 'idle',
  final: [],
  next: { idle: { connect_requested: 'attempting' }, attempting: { succeeded: 'established', retry_scheduled: 'waiting', retries_exhausted: 'exhausted', halt: 'halted', disconnect_requested: 'idle' }, established: { retry_scheduled: 'waiting', retries_exhausted: 'exhausted', halt: 'halted', disconnect_requested: 'idle' }, waiting: { retry_due: 'attempting', disconnect_requested: 'idle' }, exhausted: { connect_requested: 'attempting', disconnect_requested: 'idle' }, halted: { connect_requested: 'attempting', disconnect_requested: 'idle' } },
}

export const DELIVERY: Table = {
  initial: 'queued',
  final: ['accepted', 'rejected', 'cancelled', 'expired', 'in_doubt'],
  next: { queued: { handed_over: 'in_flight', refused: 'rejected', cancel: 'cancelled', expire: 'expired' }, in_flight: { link_lost: 'unconfirmed', acked: 'accepted', retry_asked: 'unconfirmed', renumbered: 'queued', refused: 'rejected', certainty_lost: 'in_doubt' }, unconfirmed: { handed_over: 'in_flight', found: 'accepted', refused: 'rejected', certainty_lost: 'in_doubt' }, accepted: {}, rejected: {}, cancelled: {}, expired: {}, in_doubt: {} },
}

export const SESSION: Table = {
  initial: 'active',
  final: ['closed'],
  next: { active: { expire: 'expired', close: 'closed' }, expired: { close: 'closed' }, closed: {} },
}

export const MACHINES = {
  connection: CONNECTION,
  auth: AUTH,
  heartbeat: HEARTBEAT,
  reconnect: RECONNECT,
  delivery: DELIVERY,
  session: SESSION,
}

/** What to do after an end of a connection. */
export interface Verdict {
  reconnect: boolean
  refreshToken: boolean
  counts: boolean
  failedDelay: boolean
  blame: Blame
  reason: string
}

export const verdict = (reason: string, unusual: Partial<Verdict> = {}): Verdict => ({
  reconnect: true,
  refreshToken: false,
  counts: true,
  failedDelay: false,
  blame: 'nobody',
  reason,
  ...unusual,
})

export const CLOSES: Record<number, Verdict> = {
  1000: verdict('the peer closed normally'),
  1001: verdict('the peer is going away'),
  1002: verdict('protocol error', { failedDelay: true, blame: 'oldest' }),
  1003: verdict('unsupported data', { failedDelay: true, blame: 'oldest' }),
  1005: verdict('the peer closed without a code'),
  1006: verdict('the connection was lost'),
  1007: verdict('invalid payload data', { failedDelay: true, blame: 'oldest' }),
  1008: verdict('policy violation', { failedDelay: true, blame: 'oldest' }),
  1009: verdict('message too big', { failedDelay: true, blame: 'largest' }),
  1010: verdict('a missing extension', { failedDelay: true, blame: 'oldest' }),
  1011: verdict('the server met an internal error'),
  1012: verdict('the server restarts'),
  1013: verdict('the server is overloaded', { counts: false }),
  4001: verdict('the log-in was refused', { reconnect: false }),
  4002: verdict('the log-in timed out'),
  4003: verdict('the token has expired', { refreshToken: true }),
  4004: verdict('the same device logged in elsewhere', { reconnect: false }),
  4008: verdict('this client read too slowly'),
  4009: verdict('this client sent too fast'),
}

export const HTTP_STATUSES: Record<number, Verdict> = {
  400: verdict('HTTP 400: not a WebSocket here, or a bad request', { reconnect: false }),
  401: verdict('HTTP 401: the log-in was refused', { reconnect: false }),
  403: verdict('HTTP 403: forbidden', { reconnect: false }),
  404: verdict('HTTP 404: no such path', { reconnect: false }),
  426: verdict('HTTP 426: another version of WebSocket is wanted', { reconnect: false }),
  429: verdict('HTTP 429: too many requests', { counts: false }),
  503: verdict('HTTP 503: the server is unavailable', { counts: false }),
}

const flags = (retryable: 0 | 1, terminal: 0 | 1) => ({
  retryable: !!retryable,
  terminal: !!terminal,
})

export const ERROR_FLAGS: Record<IMErrorCode, { retryable: boolean; terminal: boolean }> = {
  CONNECTION_FAILED: flags(1, 0),
  CONNECTION_TIMEOUT: flags(1, 0),
  CONNECTION_LOST: flags(1, 0),
  RECONNECT_FAILED: flags(1, 1),
  AUTH_FAILED: flags(0, 1),
  AUTH_TIMEOUT: flags(1, 0),
  TOKEN_INVALID: flags(0, 1),
  MESSAGE_SEND_FAILED: flags(0, 0),
  MESSAGE_TIMEOUT: flags(1, 0),
  MESSAGE_FORMAT_ERROR: flags(0, 0),
  SESSION_CREATE_FAILED: flags(0, 0),
  SESSION_NOT_FOUND: flags(0, 0),
  NETWORK_ERROR: flags(1, 0),
  SERVER_ERROR: flags(1, 0),
  UNKNOWN_ERROR: flags(0, 0),
  QUEUE_FULL: flags(1, 0),
  MESSAGE_EXPIRED: flags(0, 0),
  MESSAGE_CANCELLED: flags(0, 0),
  IN_DOUBT: flags(0, 0),
  JOURNAL_FAILED: flags(1, 0),
}

export const TIMERS: Record<TimerName, string> = {
  TOKEN: "the token function's answer",
  CONNECT: 'the transport and the WebSocket upgrade',
  AUTH: 'the answer to the log-in',
  REFRESH: 'the renewal of the token',
  HEARTBEAT_DUE: 'the next heartbeat',
  WATCH: 'the next look at the clocks',
  HEARTBEAT_ANSWER: 'a sign of life',
  PARTIAL: 'the rest of a message',
  ACK: 'the answer to the oldest message',
  STATUS: 'what became of messages that may have arrived',
  EXPIRY: "the end of a message's time to live",
  RETRY: 'the next try of a message',
  ACK_OUT: 'handled messages to be acknowledged',
  SYNC: 'the repair of a hole',
  RECONNECT: 'the next attempt',
  TYPING: 'typing to be told',
  SESSION: 'the answer to a session call',
  SESSION_RETRY: 'the next try of a session call',
  JOURNAL: 'the next try to write the journal',
  CLOSE: "the peer's close",
}

export const JUDGES: readonly TimerName[] = [
  'CONNECT',
  'AUTH',
  'HEARTBEAT_ANSWER',
  'PARTIAL',
  'ACK',
  'STATUS',
  'SYNC',
  'SESSION',
]

export const OF_THE_LINK: readonly TimerName[] = [
  'CONNECT',
  'AUTH',
  'REFRESH',
  'HEARTBEAT_DUE',
  'HEARTBEAT_ANSWER',
  'PARTIAL',
  'ACK',
  'STATUS',
  'ACK_OUT',
  'SYNC',
  'TYPING',
]

export const DEFAULTS: Omit<CoreConfig, 'wsUrl' | 'token' | 'userId'> = {
  reconnect: { maxRetries: null, initialDelay: 1, maxDelay: 30, strategy: 'exponential', jitter: 'full', stableAfter: 10 },
  heartbeat: { interval: null, timeout: null, maxMissed: null },
  timeouts: { connect: 10, auth: 10, token: 30, ack: 10, partial: 30, close: 3 },
  http: { baseUrl: null, prefix: '/im', createPath: '/session/create', timeout: 10 },
  dialect: 'invocation',
  extensions: true,
  deviceId: null,
  inFlight: 64,
  maxQueue: 10000,
  maxQueueBytes: 16777216,
  whenQueueFull: 'reject',
  timeToLive: null,
  keysKept: 604800,
  contentUnits: 1000,
  messageBytes: 1048576,
  maxUnhandled: 1000,
  whenFull: 'block',
  ack: 'auto',
  handlerAttempts: 3,
  sleepWatch: 1,
  knownPairs: 4096,
  resendWhenUnsure: true,
  maxSends: 5,
}

export const CAPABILITIES_HEADER = 'IM-Capabilities'

export const MAX_ID = '9223372036854775807'

export const MAX_SAFE_INTEGER = 9007199254740991

export const MAX_TEXT = 65536

export const MAX_USER_NAME = 128

export const MAX_TOKEN = 8192

export const MAX_SECONDS = 31622400

export const OK = 0

export const BAD_REQUEST = 400

export const NOT_LOGGED_IN = 40100

export const TOKEN_INVALID = 40101

export const FORBIDDEN = 403

export const SESSION_CLOSED = 40300

export const NOT_FOUND = 40400

export const CONFLICT = 40900

export const TOO_MANY = 429

export const SERVER_ERROR = 50000

export const MAX_IDS = 1000

export const ACTIVE = 1

export const EXPIRED = 2

export const CLOSED = 3

export const STATES = { 1: 'active', 2: 'expired', 3: 'closed' } as const

export const MOST_ITEMS = 30000

export const AUTH_REFUSALS = [401, 403, 4001] as const

export const LATE = 1

export const GRACE = 1

export const MAX_BATCH = 1024

export const CAPABILITIES = [
  'seq',
  'batch',
  'status',
  'receipts',
  'typing',
  'presence',
  'refresh',
  'sessions',
  'inline',
] as const

export const STRICT_AFTER = 2

export const NEVER_SENT = [1005, 1006, 1015] as const

export const KICK_LASTS = 60

export const UNSUSPICIOUS = [1012, 1013, 4001, 4003, 4004, 4008, 4009] as const

export const POISON_AFTER = 3

export const MARGIN = 0.1

export const LEAST_MARGIN = 30

export const PACE = 1

export const MAX_CALLS = 64

export const MAX_PAGE = 1000

export const MAX_BODY = 1048576

export const MAX_CACHED = 1000

export const REPEATABLE = ['get', 'startChat'] as const

export const MOST_MARKS = 1000

export const TYPING_PACE = 1

export const HURRY_PACE = 1

export const DEFAULT_INTERVAL = 30

export const DEFAULT_TIMEOUT = 5

export const DEFAULT_MAX_MISSED = 3

export const LEAST_HINT = 0.1

export const DOUBT_TIMEOUT = 0.8

export const DOUBT_ROUND_TRIPS = 4

export const ACK_PACE = 0.01

export const ACK_EVERY = 128

export const ACK_DELAY = 0.2

export const QUIET_ACK_DELAY = 1

export const HARD_FACTOR = 10

export const HARD_LIMIT = 10000

export const PRIORITIES = ['high', 'normal', 'low'] as const

export const FILLING = 0.8

export const DRAINED = 0.5

export const KEY_LENGTH = 256

export const MAX_TTL = 1000000000

export const RETRY_AFTER = 1

export const CLEAN_FROM = 64

export const MAX_RETRY_AFTER = 86400

export const SHARES = { high: 8, normal: 4, low: 1 } as const

export const LAST_PLAUSIBLE_ID = 4503599627370495

export const BYTES_PER_ID = 32
