import type { Id, UserId } from './types';
/** The last push that the client has processed: where the server goes on. */
export interface ResumeFrom {
    epoch: string;
    seq: number;
    fromUser: UserId | null;
    msgId: Id | null;
}
/** What this client can take. */
export interface ClientLimits {
    frameBytes: number | null;
    batch: number | null;
}
/**
 * What the server says of the log-in. All but the user is section 2.
 * A plain server may use any of these keys for something of its own, so what can't be read is as
 * good as absent.
 */
export interface AuthData {
    userId: UserId | null;
    username: string | null;
    deviceId: string | null;
    capabilities: string[] | null;
    serverTime: number | null;
    expiresIn: number | null;
    lastMsgId: Id | null;
    resume: 'recovered' | 'reset' | null;
    epoch: string | null;
    oldest: number | null;
    seq: number | null;
    heartbeat: HeartbeatHint | null;
    limits: ServerLimits | null;
}
/** The rhythm that the server would like, in seconds. */
export interface HeartbeatHint {
    interval: number;
    timeout: number;
}
/** What the server can take and gives. */
export interface ServerLimits {
    frameBytes: number;
    batch: number;
    contentUnits: number;
    inFlight: number;
    unacked: number;
    dedupeSeconds: number;
}
/** What became of one message; `timestamp` is when it was accepted. */
export interface StatusItem {
    msgId: Id;
    status: 'never' | 'accepted' | 'delivered' | 'read' | 'forgotten';
    timestamp: number | null;
}
/** AUTH_REQUEST. C→S, the first message of a connection. */
export interface AuthRequest {
    accessToken: string;
    userId: UserId | null;
    capabilities: string[] | null;
    deviceId: string | null;
    limits: ClientLimits | null;
    resume: ResumeFrom | null;
}
/** HEARTBEAT_REQUEST. C→S: are you there? */
export interface HeartbeatRequest {
    timestamp: number | null;
}
/** CHAT_SEND_TO_ONE_REQUEST. C→S: a message to one user. */
export interface ChatSendToOne {
    msgId: Id;
    toUser: UserId;
    content: string;
    sessionId: Id | null;
    messageType: string | null;
}
/**
 * CHAT_SEND_TO_ALL_REQUEST. C→S: a message to everybody who is online; needs the role
 * `broadcast` (section 4).
 */
export interface ChatSendToAll {
    msgId: Id;
    content: string;
}
/** CHAT_READ_RECEIPT_REQUEST. C→S: I have read what `from_user` wrote. */
export interface ChatReadReceipt {
    msgId: Id;
    fromUser: UserId;
}
/** CHAT_ACK_REQUEST. C→S: everything up to this seq was handled by the application. */
export interface ChatAck {
    seq: number;
}
/** SYNC_REQUEST. C→S: I have a hole; send again what follows this seq. */
export interface SyncRequest {
    after: number;
}
/** MESSAGE_STATUS_REQUEST. C→S, with `status`: what became of these messages of this device? */
export interface MessageStatusRequest {
    msgIds: Id[];
}
/** TYPING. C→S, with `typing`: I have begun, or stopped, to write to somebody. */
export interface Typing {
    toUser: UserId;
    active: boolean;
}
/**
 * SESSION_REQUEST. C→S, with `sessions`: a call of section 3. `params` are the fields of its
 * query or body.
 */
export interface SessionRequest {
    id: string;
    op: string;
    params: Record<string, boolean | number | string | null>;
}
/** AUTH_RESPONSE. S→C: in, or not. */
export interface AuthResponse {
    code: number;
    message: string | null;
    data: AuthData | null;
}
/** HEARTBEAT_RESPONSE. S→C: yes. */
export interface HeartbeatResponse {
    timestamp: number | null;
    serverTime: number | null;
}
/** CHAT_SEND_RESPONSE. S→C: what became of a message. No code means accepted. */
export interface ChatSendResponse {
    msgId: Id;
    code: number | null;
    message: string | null;
    sessionId: Id | null;
    timestamp: number | null;
}
/**
 * CHAT_REDIRECT_TO_USER_REQUEST. S→C: a message for you. `seq` is there when the capability was
 * granted.
 * With `to_user` it is a copy of what another device of yours has sent: `device_id`.
 */
export interface ChatRedirectToUser {
    content: string;
    msgId: Id | null;
    fromUser: UserId | null;
    sessionId: Id | null;
    messageType: string | null;
    timestamp: number | null;
    seq: number | null;
    toUser: UserId | null;
    deviceId: string | null;
}
/** CHAT_READ_RECEIPT_RESPONSE. S→C: noted. */
export interface ChatReadReceiptResponse {
    msgId: Id;
    code: number | null;
    message: string | null;
}
/**
 * CHAT_ERROR_RESPONSE. S→C: something that you sent was wrong; with `msg_id` it says which
 * message.
 */
export interface ChatError {
    code: number | null;
    message: string | null;
    errorMsg: string | null;
    msgId: Id | null;
}
/** SYNC_RESPONSE. S→C: the pushes go on behind `after`, or, after a reset, from `oldest`. */
export interface SyncResponse {
    status: 'recovered' | 'reset';
    oldest: number;
    epoch: string | null;
}
/** KICK. S→C: this connection ends; decides over the close that follows. */
export interface Kick {
    reason: string | null;
    reconnect: boolean;
    retryAfter: number | null;
}
/**
 * MESSAGE_STATUS_RESPONSE. S→C: that. It is final: after a login nothing of an older connection
 * is taken any more.
 */
export interface MessageStatusResponse {
    items: StatusItem[];
}
/**
 * RECEIPT_PUSH. S→C, with `receipts`, numbered: these messages of yours reached `user`, or were
 * read.
 */
export interface ReceiptPush {
    msgIds: Id[];
    user: UserId;
    status: 'delivered' | 'read';
    sessionId: Id | null;
    timestamp: number | null;
    seq: number | null;
}
/**
 * READ_SYNC. S→C, with `receipts`, numbered: another device of yours has read up to this
 * message.
 */
export interface ReadSync {
    fromUser: UserId;
    msgId: Id;
    seq: number | null;
}
/** TYPING. S→C, with `typing`: somebody has begun, or stopped, to write to you. */
export interface TypingPush {
    fromUser: UserId;
    active: boolean;
}
/** PRESENCE. S→C, with `presence`: somebody with whom you share a session came, or left. */
export interface Presence {
    user: UserId;
    online: boolean;
    lastSeen: number | null;
}
/** AUTH_EXPIRING. S→C, with `refresh`: the token has so many seconds left. */
export interface AuthExpiring {
    expiresIn: number;
}
/** SESSION_RESPONSE. S→C: its answer, as over HTTP. */
export interface SessionResponse {
    id: string;
    code: number;
    data: unknown;
    message: string | null;
}
