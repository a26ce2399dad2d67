import type { IMError } from '../core/errors';
/** Up to 2^53-1 a number, above it the canonical decimal string. */
export type Id = number | string;
/** An id, or a name. */
export type UserId = number | string;
export type TimerName = 'TOKEN' | 'CONNECT' | 'AUTH' | 'REFRESH' | 'HEARTBEAT_DUE' | 'WATCH' | 'HEARTBEAT_ANSWER' | 'PARTIAL' | 'ACK' | 'STATUS' | 'EXPIRY' | 'RETRY' | 'ACK_OUT' | 'SYNC' | 'RECONNECT' | 'TYPING' | 'SESSION' | 'SESSION_RETRY' | 'JOURNAL' | 'CLOSE';
export type IMErrorCode = 'CONNECTION_FAILED' | 'CONNECTION_TIMEOUT' | 'CONNECTION_LOST' | 'RECONNECT_FAILED' | 'AUTH_FAILED' | 'AUTH_TIMEOUT' | 'TOKEN_INVALID' | 'MESSAGE_SEND_FAILED' | 'MESSAGE_TIMEOUT' | 'MESSAGE_FORMAT_ERROR' | 'SESSION_CREATE_FAILED' | 'SESSION_NOT_FOUND' | 'NETWORK_ERROR' | 'SERVER_ERROR' | 'UNKNOWN_ERROR' | 'QUEUE_FULL' | 'MESSAGE_EXPIRED' | 'MESSAGE_CANCELLED' | 'IN_DOUBT' | 'JOURNAL_FAILED';
export type Capability = 'seq' | 'batch' | 'status' | 'receipts' | 'typing' | 'presence' | 'refresh' | 'sessions' | 'inline';
export type Status = 'DISCONNECTED' | 'CONNECTING' | 'CONNECTED' | 'AUTHENTICATED' | 'RECONNECTING';
export type Guarantee = 'exactly-once' | 'at-least-once' | 'at-most-once';
export type TransportFailure = 'dns' | 'refused' | 'tls' | 'proxy' | 'timeout' | 'other';
export type SessionOp = 'get' | 'create' | 'startChat' | 'getCurrent' | 'history';
export type Blame = 'nobody' | 'oldest' | 'largest';
export type Outcome = 'success' | 'auth' | 'conflict' | 'refused' | 'server_error';
export type Trouble = 'probe' | 'login_gone' | 'the server stopped answering messages' | 'the server failed on a message' | 'the server did not answer a new token' | 'the server sends far more than it may before it is acknowledged' | 'the server left out messages, and did not bring them when asked';
export type Priority = 'high' | 'normal' | 'low';
export type End = 'accepted' | 'rejected' | 'expired' | 'cancelled' | 'in_doubt';
/** The states of each machine. */
export interface MachineStates {
    connection: 'disconnected' | 'opening' | 'handshaking' | 'open' | 'closing';
    auth: 'logged_out' | 'fetching_token' | 'token_held' | 'authenticating' | 'authenticated' | 'refused';
    heartbeat: 'stopped' | 'resting' | 'awaiting';
    reconnect: 'idle' | 'attempting' | 'established' | 'waiting' | 'exhausted' | 'halted';
    delivery: 'queued' | 'in_flight' | 'unconfirmed' | 'accepted' | 'rejected' | 'cancelled' | 'expired' | 'in_doubt';
    server_connection: 'handshaking' | 'unauthenticated' | 'verifying' | 'logging_in' | 'online' | 'draining' | 'closing' | 'closed';
    session: 'active' | 'expired' | 'closed';
}
/** Where a client is, and why. */
export interface ConnectionState {
    /** the state in one word. */
    status: Status;
    /** why, in plain words. */
    reason: string;
    /** failed attempts in a row; 0 once authenticated. */
    attempts: number;
    /** when the next attempt starts, on the clock given to the engine; null if none is scheduled. */
    retryAt: number | null;
    /** seconds until then, at the time of asking. */
    retryIn: number | null;
    /** the last failure, kept until the next log-in. */
    lastError: IMError | null;
}
/** A session, as the server has told it. What it did not tell, or not readably, is null. */
export interface SessionVO {
    id: Id;
    bookId: Id;
    buyerId: UserId;
    sellerId: UserId;
    sessionStatus: number | null;
    expireTime: string | null;
    createTime: string | null;
    buyerReaded: boolean | number | null;
    sellerReaded: boolean | number | null;
}
/** A message of the past, as the server has told it. */
export interface HistoryRecord {
    msgId: Id;
    senderId: UserId;
    receiverId: UserId | null;
    messageType: string | null;
    content: string;
    messageStatus: number | null;
    sendTime: string | null;
}
/** A page of messages, in the server's order of acceptance, the oldest first. */
export interface HistoryPage {
    records: HistoryRecord[];
    /** is there more in the direction that was asked for? */
    hasNext: boolean;
    /** of all pages, if the server says so. */
    total: number | null;
}
/** What has happened so far, for reports. */
export interface Counters {
    reconnects: number;
    resumed: number;
    retransmitted: number;
    duplicatesSuppressed: number;
    accepted: number;
    received: number;
}
/** A message of the outbox; written again, it takes the place of the one with its `ref`. */
export interface OutgoingRecord {
    type: 'OutgoingRecord';
    /** its name and its place: it rises with each message and is never used again. */
    ref: number;
    msgId: Id;
    toUser: UserId;
    content: string;
    messageType: string;
    sessionId: Id | null;
    priority: Priority;
    /** the application's own name for the send. */
    key: string | null;
    /** when it expires, unless a transport had it before. */
    expiresAt: number | null;
    /** when it was first handed to a transport, or was about to be; null: never. */
    handedAt: number | null;
    renumbered: boolean;
    /** how often it was handed to a server that might take it twice. */
    unsureSends: number;
    /** null while it has none. A record with an end is kept for its key. */
    end: End | null;
    /** when that was. */
    endedAt: number | null;
    /** when the server accepted it, if it said so. */
    timestamp: number | null;
    /** of an end other than acceptance. */
    errorCode: string | null;
    /** of an end other than acceptance. */
    errorText: string | null;
    /** of an end other than acceptance. */
    serverCode: number | null;
    /** of an end other than acceptance. */
    serverText: string | null;
}
/** A message has its end, and nobody will ask for it by a key. */
export interface OutgoingGone {
    type: 'OutgoingGone';
    ref: number;
}
/** This installation's name at the server; and no msgId up to this one is drawn again. */
export interface Identity {
    type: 'Identity';
    deviceId: string;
    highestMsgId: Id;
}
/**
 * Everything up to `seq` was handled; `from_user`, `msg_id` are those of the push at `seq`.
 * Another `epoch` voids all that is known of numbers: `Offered` and `Handled`.
 */
export interface Cursor {
    type: 'Cursor';
    epoch: string;
    seq: number;
    fromUser: UserId | null;
    msgId: Id | null;
}
/** The application may have seen everything up to `seq`. Written before it is shown. */
export interface Offered {
    type: 'Offered';
    seq: number;
}
/** `seq`, which lies beyond the cursor, was handled. */
export interface Handled {
    type: 'Handled';
    seq: number;
}
/** A message with this (from_user, msg_id) was handled; `digest` is of its content. */
export interface PairKnown {
    type: 'PairKnown';
    fromUser: UserId;
    msgId: Id;
    digest: string;
}
/** What a journal is asked to write. */
export type Change = OutgoingRecord | OutgoingGone | Identity | Cursor | Offered | Handled | PairKnown;
/** All that a journal holds, as plain data. `pairs` are [user, id, digest], the oldest first. */
export interface JournalData {
    identity: Identity | null;
    outgoing: OutgoingRecord[];
    cursor: Cursor | null;
    offered: number;
    handled: number[];
    pairs: [UserId, Id, string][];
    knownPairs: number;
}
/** The WebSocket is up; the log-in follows. */
export interface Connected {
    type: 'Connected';
}
/** A link that was up is gone; `error` is null when the application asked for it. */
export interface Disconnected {
    type: 'Disconnected';
    error: IMError | null;
}
/**
 * An attempt to come back is scheduled.
 * `attempt` counts from 1, `delay` is in seconds.
 */
export interface Reconnecting {
    type: 'Reconnecting';
    attempt: number;
    delay: number;
}
/** Logged in again after a lost link. */
export interface Reconnected {
    type: 'Reconnected';
    resumed: boolean;
}
/** The server accepted the log-in. */
export interface Authenticated {
    type: 'Authenticated';
    userId: UserId;
    username: string | null;
    capabilities: string[];
}
/** The server refused the log-in, or the token could not be had. */
export interface AuthFailed {
    type: 'AuthFailed';
    error: IMError;
}
/** A message for this user. Say MessageHandled(delivery) when the application is done with it. */
export interface MessageReceived {
    type: 'MessageReceived';
    /** this engine's name for it. */
    delivery: number;
    content: string;
    fromUser: UserId | null;
    sessionId: Id | null;
    msgId: Id | null;
    messageType: string;
    /** when the server accepted it, in milliseconds since 1970, if it says so. */
    timestamp: number | null;
    /** its place in this user's mailbox; null from a plain server. */
    seq: number | null;
    /**
     * the application may have seen it before: it has failed on it, or the process ended while it
     * was being handled.
     */
    redelivered: boolean;
    /** how often this engine has offered it, from 1. */
    attempt: number;
}
/**
 * The application has failed on a message `attempts` times; it is acknowledged, and will not
 * come again.
 */
export interface MessageUndeliverable {
    type: 'MessageUndeliverable';
    delivery: number;
    content: string;
    fromUser: UserId | null;
    sessionId: Id | null;
    msgId: Id | null;
    messageType: string;
    timestamp: number | null;
    seq: number | null;
    attempts: number;
}
/** Another device of this user has sent a message. */
export interface OwnMessage {
    type: 'OwnMessage';
    toUser: UserId;
    content: string;
    sessionId: Id | null;
    msgId: Id | null;
    messageType: string;
    timestamp: number | null;
    seq: number;
}
/**
 * Messages of this user were delivered to a first device of `user`, or were read.
 * `timestamp` is in milliseconds since 1970. It may be told twice.
 */
export interface ReceiptReceived {
    type: 'ReceiptReceived';
    msgIds: Id[];
    user: UserId;
    status: 'delivered' | 'read';
    sessionId: Id | null;
    timestamp: number | null;
}
/** Another device of this user has read what `from_user` wrote, up to this message. */
export interface ReadElsewhere {
    type: 'ReadElsewhere';
    fromUser: UserId;
    msgId: Id;
}
/** The server did not take a MarkRead: it knows no such message for this user. */
export interface ReadRefused {
    type: 'ReadRefused';
    fromUser: UserId;
    msgId: Id;
    error: IMError;
}
/** Somebody has begun, or stopped, to write to this user. */
export interface TypingChanged {
    type: 'TypingChanged';
    fromUser: UserId;
    active: boolean;
}
/**
 * Somebody with whom this user shares a session came online, or left.
 * `last_seen` is in milliseconds since 1970, null if its owner doesn't tell.
 */
export interface PresenceChanged {
    type: 'PresenceChanged';
    user: UserId;
    online: boolean;
    lastSeen: number | null;
}
/** A message is in the outbox, and, with a journal, on disk: it will have an end. */
export interface MessageQueued {
    type: 'MessageQueued';
    ref: number;
    msgId: Id;
}
/** The outbox is four fifths full: of messages, or of bytes. */
export interface OutboxFilling {
    type: 'OutboxFilling';
    messages: number;
    bytes: number;
}
/** The outbox, which was filling, is less than half full again. */
export interface OutboxDrained {
    type: 'OutboxDrained';
    messages: number;
    bytes: number;
}
/**
 * The server has taken a new token on the live connection; `expires_in` is in seconds, null if
 * it does not say.
 */
export interface TokenRefreshed {
    type: 'TokenRefreshed';
    expiresIn: number | null;
}
/** A queued message was given to a transport; `sends` counts how often by now. */
export interface MessageHandedOver {
    type: 'MessageHandedOver';
    ref: number;
    msgId: Id;
    sends: number;
}
/**
 * The server has accepted a message, for good.
 * `timestamp` is the server's, in milliseconds since 1970, if it says so.
 */
export interface MessageAccepted {
    type: 'MessageAccepted';
    ref: number;
    msgId: Id;
    toUser: UserId;
    content: string;
    sessionId: Id | null;
    timestamp: number | null;
    sends: number;
}
/** A message has ended without being accepted; `error.code` IN_DOUBT means: nobody knows. */
export interface MessageFailed {
    type: 'MessageFailed';
    ref: number;
    msgId: Id | null;
    toUser: UserId;
    content: string;
    error: IMError;
}
/** A probe went out. */
export interface HeartbeatSent {
    type: 'HeartbeatSent';
}
/** A probe was answered; `rtt` is in seconds, null when several were out. */
export interface HeartbeatReceived {
    type: 'HeartbeatReceived';
    rtt: number | null;
}
/**
 * Something went wrong; `error.terminal` says whether the client has given up.
 * `another_way`: the next attempt does something else about it (asks for another token, logs in
 * without what a strict server can't read), so it is too early to report failure.
 */
export interface ErrorOccurred {
    type: 'ErrorOccurred';
    error: IMError;
    anotherWay: boolean;
}
/** The status, or the reason for it, is another one. */
export interface StateChanged {
    type: 'StateChanged';
    previous: ConnectionState;
    current: ConnectionState;
}
/** The peer broke the protocol. `reason` is printable and holds none of its input. */
export interface ProtocolViolation {
    type: 'ProtocolViolation';
    reason: string;
    closeCode: number | null;
}
/** The peer sent a type that this client doesn't know. */
export interface UnknownMessage {
    type: 'UnknownMessage';
    kind: string;
}
/** The server could not take `capabilities`; from now on it is spoken to plainly. */
export interface ExtensionsRefused {
    type: 'ExtensionsRefused';
    wsUrl: string;
}
/** What a send means has changed: another server, or the first log-in. */
export interface GuaranteeChanged {
    type: 'GuaranteeChanged';
    guarantee: Guarantee;
}
/** The server could not resume: its mailbox was reset, or has dropped what is older. */
export interface MessagesMayBeMissing {
    type: 'MessagesMayBeMissing';
    oldest: number;
}
/** A message came again and was not delivered again. */
export interface DuplicateSuppressed {
    type: 'DuplicateSuppressed';
    msgId: Id | null;
    fromUser: UserId | null;
    seq: number | null;
}
/**
 * The application is behind, so nothing more is read from the socket (`when_full="block"`), but
 * while an answer is awaited. Heartbeats go on.
 * `unhandled` is how many received messages wait.
 */
export interface ReadingPaused {
    type: 'ReadingPaused';
    unhandled: number;
}
/** The application has caught up: the socket is read as ever. */
export interface ReadingResumed {
    type: 'ReadingResumed';
}
/**
 * A received message had to go: too many wait for the application. It will not come again.
 * `delivery` is that of its MessageReceived.
 */
export interface MessageDropped {
    type: 'MessageDropped';
    delivery: number;
    fromUser: UserId | null;
    msgId: Id | null;
    seq: number | null;
}
/** A SessionCall was answered; a GET that found nothing has none. */
export interface SessionFetched {
    type: 'SessionFetched';
    ref: number;
    sessions: SessionVO[];
}
/** A SessionCall for HISTORY was answered. */
export interface HistoryFetched {
    type: 'HistoryFetched';
    ref: number;
    page: HistoryPage;
}
/** A SessionCall has failed. */
export interface SessionFailed {
    type: 'SessionFailed';
    ref: number;
    error: IMError;
}
/** Everything that an application may hear of its client. */
export type Event = Connected | Disconnected | Reconnecting | Reconnected | Authenticated | AuthFailed | MessageReceived | MessageUndeliverable | OwnMessage | ReceiptReceived | ReadElsewhere | ReadRefused | TypingChanged | PresenceChanged | MessageQueued | OutboxFilling | OutboxDrained | TokenRefreshed | MessageHandedOver | MessageAccepted | MessageFailed | HeartbeatSent | HeartbeatReceived | ErrorOccurred | StateChanged | ProtocolViolation | UnknownMessage | ExtensionsRefused | GuaranteeChanged | MessagesMayBeMissing | DuplicateSuppressed | ReadingPaused | ReadingResumed | MessageDropped | SessionFetched | HistoryFetched | SessionFailed;
/** The application wants to be connected, or to be connected again after a terminal error. */
export interface Connect {
    type: 'Connect';
}
/** The application wants no connection. What is queued stays queued. */
export interface Disconnect {
    type: 'Disconnect';
}
/**
 * The application wants a message sent.
 * `ref` is the application's name for it in this engine, drawn by the adapter: any int that was
 * not used before, above all that a journal has. It comes back in every event about the message.
 */
export interface Send {
    type: 'Send';
    ref: number;
    toUser: UserId;
    content: string;
    messageType?: string;
    sessionId?: Id | null;
    /** orders conversations, never the messages inside one. */
    priority?: Priority;
    /** makes it unique, also across restarts if there is a journal: see `ref_of_key`. */
    key?: string | null;
    /** seconds until it expires, unless a transport had it before; null: as configured. */
    ttl?: number | null;
    /**
     * where the outbox is full, wait for room instead of raising. Until MessageQueued it is not in
     * the outbox, nor in the journal.
     */
    wait?: boolean;
}
/** The application withdraws a message; it works while no transport ever had it. */
export interface Cancel {
    type: 'Cancel';
    ref: number;
}
/**
 * The application has handled a received message; `delivery` is that of MessageReceived.
 * Not `ok`: it has failed on it. It is offered again, at most `handler_attempts` times in all.
 */
export interface MessageHandled {
    type: 'MessageHandled';
    delivery: number;
    ok?: boolean;
}
/** The application has begun to handle a received message, so it is not dropped any more. */
export interface MessageTaken {
    type: 'MessageTaken';
    delivery: number;
}
/** The user has read what `from_user` wrote, up to this message. */
export interface MarkRead {
    type: 'MarkRead';
    fromUser: UserId;
    msgId: Id;
}
/**
 * The user has begun (`active`), or stopped, to write to somebody. Told where the server takes
 * it, and not too often; else it is nothing.
 */
export interface SetTyping {
    type: 'SetTyping';
    toUser: UserId;
    active?: boolean;
}
/** What WriteJournal asked for is on disk. */
export interface JournalWritten {
    type: 'JournalWritten';
    request: number;
}
/**
 * What WriteJournal asked for could not be written, and nothing of it was; `reason` is for
 * people.
 */
export interface JournalFailed {
    type: 'JournalFailed';
    request: number;
    reason: string;
}
/** The application has a new token. It also leaves the terminal state of a refused log-in. */
export interface UpdateToken {
    type: 'UpdateToken';
    token: string;
}
/** The token function that FetchToken asked for has answered. */
export interface TokenReady {
    type: 'TokenReady';
    request: number;
    token: string;
}
/** The token function that FetchToken asked for has raised; `reason` is for people. */
export interface TokenFailed {
    type: 'TokenFailed';
    request: number;
    reason: string;
}
/**
 * The application wants something of sessions; SessionFetched or SessionFailed answers.
 * `ref` is the application's name for the call, drawn by the adapter. GET takes a `session_id`,
 * or book, buyer and seller; CREATE and START_CHAT take book, buyer and seller. HISTORY takes a
 * `session_id` or a `peer_id`, and is answered by HistoryFetched.
 */
export interface SessionCall {
    type: 'SessionCall';
    ref: number;
    op: SessionOp;
    sessionId?: Id | null;
    bookId?: Id | null;
    buyerId?: UserId | null;
    sellerId?: UserId | null;
    peerId?: UserId | null;
    /** of HISTORY: go on behind this message, in `direction`, without it. */
    startMsgId?: Id | null;
    direction?: 'before' | 'after';
    /** of HISTORY. */
    pageSize?: number;
}
/**
 * What CallHttp asked for was answered, with any status.
 * `body` was read as far as CallHttp allows, and one byte more if there was more; `retry_after`
 * is the Retry-After header, in seconds.
 */
export interface HttpAnswered {
    type: 'HttpAnswered';
    request: number;
    status: number;
    body: string;
    retryAfter: number | null;
}
/** What CallHttp asked for was not answered, or not to the end; `reason` is for people. */
export interface HttpFailed {
    type: 'HttpFailed';
    request: number;
    reason: string;
}
/** The transport that OpenTransport asked for is there: TCP, and TLS if it was `secure`. */
export interface TransportOpened {
    type: 'TransportOpened';
    transport: number;
}
/** The transport that OpenTransport, or the TLS that StartTls, asked for could not be had. */
export interface TransportFailed {
    type: 'TransportFailed';
    transport: number;
    kind: TransportFailure;
    reason: string;
}
/** An open transport has ended: end of file, a reset, or an error. */
export interface TransportLost {
    type: 'TransportLost';
    transport: number;
    reason: string;
}
/** The transport's write buffer is over its high-water mark. */
export interface WriteBlocked {
    type: 'WriteBlocked';
    transport: number;
}
/** The transport's write buffer is under its low-water mark again. */
export interface WriteReady {
    type: 'WriteReady';
    transport: number;
}
/**
 * The machine has a network again, or another one: a waiting client tries at once, one that is
 * logged in probes at once.
 */
export interface NetworkChanged {
    type: 'NetworkChanged';
}
/** The wall clock was looked at again: seconds since 1970 at the `now` of this input. */
export interface WallClock {
    type: 'WallClock';
    wall: number;
}
/**
 * `next_deadline()` has come, or the adapter just woke up. Early or twice does no harm.
 * `wall` is what the wall clock says, in seconds since 1970: where it has run on and `now` has
 * not, the machine has slept. null: nobody looked.
 */
export interface TimePassed {
    type: 'TimePassed';
    wall: number | null;
}
/** The WebSocket upgrade succeeded; `capable`: the server says that it knows section 2. */
export interface LinkOpened {
    type: 'LinkOpened';
    transport: number;
    capable: boolean;
}
/**
 * The WebSocket upgrade was answered with an HTTP status other than 101.
 * `retry_after` is the Retry-After header, in seconds.
 */
export interface LinkRefused {
    type: 'LinkRefused';
    transport: number;
    status: number;
    retryAfter: number | null;
    reason: string;
}
/** A whole text message came in. */
export interface TextReceived {
    type: 'TextReceived';
    transport: number;
    text: string;
}
/** A whole ping or pong came in: a sign of life. */
export interface ControlReceived {
    type: 'ControlReceived';
    transport: number;
}
/** A message has begun to come in and is not complete, or (false) nothing is half here. */
export interface PartialChanged {
    type: 'PartialChanged';
    transport: number;
    partial: boolean;
}
/** The peer's close frame came in; 1005 stands for one without a code. */
export interface PeerClosed {
    type: 'PeerClosed';
    transport: number;
    code: number;
    reason: string;
}
/** The peer broke RFC 6455, or a limit of ours. `code` is what to close with. */
export interface FramingViolated {
    type: 'FramingViolated';
    transport: number;
    code: number;
    reason: string;
}
/** Everything that can happen to a client's engine. */
export type CoreInput = Connect | Disconnect | Send | Cancel | MessageHandled | MessageTaken | MarkRead | SetTyping | JournalWritten | JournalFailed | UpdateToken | TokenReady | TokenFailed | SessionCall | HttpAnswered | HttpFailed | TransportOpened | TransportFailed | TransportLost | WriteBlocked | WriteReady | NetworkChanged | WallClock | TimePassed | LinkOpened | LinkRefused | TextReceived | ControlReceived | PartialChanged | PeerClosed | FramingViolated;
/** Open a byte stream; answer with TransportOpened or TransportFailed. */
export interface OpenTransport {
    type: 'OpenTransport';
    transport: number;
    /** a name or an address, to connect to and, with `secure`, to verify. */
    host: string;
    /** of TCP. */
    port: number;
    /** with TLS. */
    secure: boolean;
    /** connect to this Unix socket instead of host and port. */
    unixPath: string | null;
}
/** Write what is still buffered, then close. Answer with TransportLost when it is gone. */
export interface CloseTransport {
    type: 'CloseTransport';
    transport: number;
}
/** Drop it at once, also while it is being opened. No answer is needed. */
export interface AbortTransport {
    type: 'AbortTransport';
    transport: number;
}
/** Read no more from the transport for now: the application is behind. */
export interface PauseReading {
    type: 'PauseReading';
    transport: number;
}
/** Read from the transport again. */
export interface ResumeReading {
    type: 'ResumeReading';
    transport: number;
}
/** Call the application's token function; answer with TokenReady or TokenFailed. */
export interface FetchToken {
    type: 'FetchToken';
    request: number;
}
/** Nobody waits for this token any more. */
export interface CancelToken {
    type: 'CancelToken';
    request: number;
}
/**
 * Make an HTTP call; answer with HttpAnswered, whatever the status, or with HttpFailed.
 * Follow no redirect: a token goes to nobody else.
 */
export interface CallHttp {
    type: 'CallHttp';
    request: number;
    method: string;
    url: string;
    /** with the token, so they show in no repr. */
    headers: [string, string][];
    body: string;
    /** the most bytes of the answer's body that are worth reading. */
    limit: number;
    /** seconds after which nobody waits any more. */
    timeout: number;
    /** connect to this Unix socket instead of the URL's host and port. */
    unixPath: string | null;
    /** an HTTP proxy, as in the configuration. */
    proxy: string | null;
}
/** Nobody waits for this HTTP call any more. No answer is needed. */
export interface CancelHttp {
    type: 'CancelHttp';
    request: number;
}
/**
 * Write these changes to the journal, in order and in one transaction; answer with
 * JournalWritten or JournalFailed. There is never a second one before the answer.
 * Only of an engine that was given a journal.
 */
export interface WriteJournal {
    type: 'WriteJournal';
    request: number;
    changes: Change[];
}
/** Hand an event to the application. */
export interface Notify {
    type: 'Notify';
    event: Event;
}
/** Send the WebSocket upgrade request. */
export interface StartLink {
    type: 'StartLink';
    transport: number;
}
/** Send one text message. A token may be in it, so it shows in no repr. */
export interface SendText {
    type: 'SendText';
    transport: number;
    text: string;
}
/** Send a close frame (RFC 6455 section 5.5.1). */
export interface SendClose {
    type: 'SendClose';
    transport: number;
    code: number;
    reason: string;
}
/** Everything that a client's engine may want done. */
export type CoreAction = OpenTransport | CloseTransport | AbortTransport | PauseReading | ResumeReading | FetchToken | CancelToken | CallHttp | CancelHttp | WriteJournal | Notify | StartLink | SendText | SendClose;
/** When to try again after a failed attempt or a lost link. */
export interface ReconnectConfig {
    /** consecutive failed attempts after which the client gives up; null never does */
    maxRetries: number | null;
    /** seconds before the first retry */
    initialDelay: number;
    /** no delay is longer, in seconds */
    maxDelay: number;
    /** how the delay grows with the number of consecutive failures */
    strategy: 'fixed' | 'linear' | 'exponential';
    /** "full": a random part of the delay, so that a thousand clients don't come back at once */
    jitter: 'full' | 'none';
    /** a link that stayed good this long, in seconds, starts the delays afresh */
    stableAfter: number;
}
/** How a dead link is found: within interval + max_missed x timeout seconds. */
export interface HeartbeatConfig {
    /** seconds between probes; null takes the server's hint, else 30 */
    interval: number | null;
    /** seconds to wait for an answer; null takes the server's hint, else 5 */
    timeout: number | null;
    /** unanswered probes in a row after which the link is dead; null is 3 */
    maxMissed: number | null;
}
/** How long the client waits, in seconds. All are absolute: a trickle doesn't extend them. */
export interface Timeouts {
    /** from the wish for a transport to the WebSocket upgrade */
    connect: number;
    /** from AUTH_REQUEST to its answer */
    auth: number;
    /** for the application's token function */
    token: number;
    /** from handing a message to the transport to its answer */
    ack: number;
    /** from the first byte of a frame or message to its last */
    partial: number;
    /** from our close frame to the peer's */
    close: number;
}
/** Where and how sessions are asked for over HTTP (protocol.md section 3). */
export interface HttpConfig {
    /** "https://host[:port]"; null: the host and port of ws_url, https if that is wss */
    baseUrl: string | null;
    /** before each path; "" on servers without it */
    prefix: string | '';
    /** where sessions are created; "/session/add" on some servers */
    createPath: string;
    /** seconds for a call, whatever it takes inside: a token, repeats */
    timeout: number;
}
/** Everything that a client is told. */
export interface CoreConfig {
    /** ws://host[:port]/path or wss://… */
    wsUrl: string;
    /** the access token; null: it is asked for */
    token: string | null;
    /** who logs in */
    userId: UserId;
    reconnect: ReconnectConfig;
    heartbeat: HeartbeatConfig;
    timeouts: Timeouts;
    http: HttpConfig;
    /** how messages are written down */
    dialect: 'invocation' | 'typed';
    /** ask for what protocol.md section 2 adds; false sends nothing of it */
    extensions: boolean;
    /**
     * this installation's name at the server, which keeps its place in the mailbox; two clients
     * with one name put each other out. null draws a new one for each client object, and the
     * server starts at the oldest message it holds
     */
    deviceId: string | null;
    /** unanswered messages at a time, all conversations together; the server may want fewer */
    inFlight: number;
    /** messages that may wait for their end … */
    maxQueue: number;
    /** … and bytes of their content (UTF-8) */
    maxQueueBytes: number;
    /**
     * one more: "reject" raises QUEUE_FULL; "drop_oldest" and "drop_lowest_priority" let the
     * oldest (of the lowest priority) go that no transport ever had, and say so; where there is
     * none, they reject
     */
    whenQueueFull: 'reject' | 'drop_oldest' | 'drop_lowest_priority';
    /**
     * seconds until a message expires that no transport ever had; null: never. `ttl` of a send
     * goes before
     */
    timeToLive: number | null;
    /** seconds for which a send with a `key` is remembered after its end */
    keysKept: number;
    /** the most UTF-16 units of a message (the server's own limit wins when it tells one) */
    contentUnits: number;
    /** the most bytes of a message that the server may send */
    messageBytes: number;
    /** received messages that may wait for the application … */
    maxUnhandled: number;
    /**
     * … beyond them: "block" stops reading from the socket, but for answers that are awaited;
     * "drop_oldest" drops the oldest that the application has not begun to handle, and says so
     */
    whenFull: 'block' | 'drop_oldest';
    /**
     * "auto": a message is acknowledged when its handler has returned; "manual": when the
     * application says so, in any order
     */
    ack: 'auto' | 'manual';
    /**
     * how often a handler that raises is given the same message, before it is acknowledged all the
     * same and told as MessageUndeliverable
     */
    handlerAttempts: number;
    /** seconds between looks at the clocks by which a sleep of the machine is noticed; null: never */
    sleepWatch: number | null;
    /** (from_user, msg_id) pairs remembered to recognise a repeat */
    knownPairs: number;
    /**
     * against a plain server: send again after a lost link (true: at least once) or give up with
     * IN_DOUBT (false: at most once)
     */
    resendWhenUnsure: boolean;
    /**
     * how often a message is handed to a plain server before it ends as IN_DOUBT, or is answered
     * with a server error before it fails
     */
    maxSends: number;
}
