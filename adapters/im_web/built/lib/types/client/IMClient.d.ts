/** `IMClient`: what an application holds. It carries things to and from the engine, and decides nothing. */
import type { SessionOp } from '../generated/types';
import type { ChatSendToOneRequest, ConnectionState, ConnectOptions, Guarantee, Id, IMClientConfig, IMEventCallback, IMEventCallbacks, IMEventName, Inspection, SentMessage, SessionVO, TabRole, UserId } from '../types';
import type { Answer, SessionParams } from './engine';
import { SessionMethods } from './sessions';
/**
 * A chat client that keeps its connection and its promises.
 *
 *     const client = new IMClient({ wsUrl, token, userId })
 *     client.setCallbacks({ messageReceived: (message) => show(message) })
 *     await client.connect()
 *     await client.sendMessage({ toUserId: 456, content: 'hello' })
 *
 * Tabs of one page with the same server, user and device share a connection, and what is queued: see
 * `role`. What a client does goes on until `close()`.
 */
export declare class IMClient extends SessionMethods {
    #private;
    /** Vue is not to wrap it: a Proxy can't reach what is private to a class. */
    readonly __v_skip = true;
    /**
     * @param config - everything that a client is told.
     * @throws {LocalProtocolError} the configuration is wrong; names the key.
     */
    constructor(config: IMClientConfig);
    /**
     * Connect and log in. Resolves when logged in, at once if it is.
     *
     * After a failure nothing is left running; what is queued stays queued. Once it has resolved, the
     * client comes back by itself after every lost connection.
     *
     * @throws {IMError} CONNECTION_FAILED, CONNECTION_TIMEOUT, CONNECTION_LOST, AUTH_FAILED,
     * AUTH_TIMEOUT, TOKEN_INVALID, RECONNECT_FAILED …
     * @throws {LocalProtocolError} the client is closed.
     */
    connect({ timeout, retry }?: ConnectOptions): Promise<void>;
    /**
     * End the connection; resolves when it is gone and the callbacks were called, in bounded time.
     * Other tabs keep theirs.
     *
     * What is queued stays queued, and goes out after another `connect()`. Messages that came in and
     * are not handled come again then. Twice is no error.
     */
    disconnect(): Promise<void>;
    /**
     * `disconnect()`, and the storage is closed, for good: what was queued stays in it, for the next
     * client. Twice is no error.
     */
    close(): Promise<void>;
    /** A client that waits for its next attempt makes it now; one that has given up begins again. */
    tryNow(): void;
    /**
     * Use this token from now on: at once on a connection whose server can take it there, else from
     * the next log-in on. A client that gave up over its log-in goes on.
     *
     * @throws {LocalProtocolError} not 1 to 8192 characters.
     */
    updateAccessToken(token: string): void;
    /** Where the client is, why, and when it tries again. */
    getConnectionState(): ConnectionState;
    /**
     * Send a message; resolves when the server has accepted it.
     *
     * It waits as long as it takes, over lost connections, also while there is none, but not for a
     * client that has given up.
     *
     * @throws {IMError} QUEUE_FULL and MESSAGE_FORMAT_ERROR, and nothing was queued;
     * MESSAGE_SEND_FAILED, SERVER_ERROR, IN_DOUBT, MESSAGE_CANCELLED, MESSAGE_EXPIRED,
     * JOURNAL_FAILED, with the message as `error.sent`. When the client has given up, the error that
     * it gave up over.
     * @throws {LocalProtocolError} another message was sent under that key; or the client is closed.
     */
    sendMessage(request: ChatSendToOneRequest): Promise<SentMessage>;
    /**
     * Queue a message and return at once, with or without a connection.
     *
     * @throws {IMError} QUEUE_FULL or MESSAGE_FORMAT_ERROR; nothing was queued. Where the tab does not
     * have the connection itself, the message is failed with it instead.
     * @throws {LocalProtocolError} another message was sent under that key; or the client is closed.
     */
    queueMessage(request: ChatSendToOneRequest): SentMessage;
    /**
     * The messages that have no end yet, in the order they were given: of this tab, of the others, and
     * of those before a reload.
     */
    get outbox(): SentMessage[];
    /**
     * The user has read what `fromUser` wrote, up to this message. It is told where the server takes
     * it; without a connection, after the next log-in.
     *
     * @throws {LocalProtocolError} those are no ids.
     */
    markRead(fromUser: UserId, msgId: Id): void;
    /**
     * The user has begun, or stopped, to write to somebody. It is told where the server takes it, and
     * not too often; else it is nothing.
     *
     * @throws {LocalProtocolError} that is no user id.
     */
    setTyping(toUser: UserId, active: boolean): void;
    /**
     * Set one callback per name, in place of the one set before; undefined takes it away.
     *
     * All are called in the order of the events, one at a time; one that gives a promise is waited for.
     * A message is acknowledged when its callbacks are done, or, with `ack: 'manual'`, by
     * `message.ack()`. One that throws, or rejects, is told to `error`; its message is offered again at
     * once, at most `handlerAttempts` times in all, and then told to `undeliverable`.
     *
     * @throws {LocalProtocolError} an unknown name, or something that can't be called. Nothing was set.
     */
    setCallbacks(callbacks: Partial<IMEventCallbacks>): void;
    /**
     * Add a callback, beside others of that name; returns what takes it away.
     *
     * @throws {LocalProtocolError} as for `setCallbacks`.
     */
    on<K extends IMEventName>(name: K, callback: IMEventCallback<K>): () => void;
    /** Add a callback that is called once; otherwise as `on`. */
    once<K extends IMEventName>(name: K, callback: IMEventCallback<K>): () => void;
    /** Take away a callback, or all of that name. */
    off<K extends IMEventName>(name: K, callback?: IMEventCallback<K>): void;
    /** A session as the server told it last; undefined if none of this id was told. Asks nobody. */
    getCachedSession(sessionId: Id): SessionVO | undefined;
    /** The sessions that the server told last, at most 1000. Asks nobody. */
    getAllCachedSessions(): SessionVO[];
    /** In plain words: the state, why, what is waited for; with a message, why it is pending. */
    explain(sent?: SentMessage): string;
    /** What a client is doing just now, for a diagnosis. A follower knows only of its outbox. */
    inspect(): Inspection;
    /** Who logs in. */
    get userId(): UserId;
    /** What the server knows this installation by; '' until it is drawn, or read from the storage. */
    get deviceId(): string;
    /** What a send means against this server; null before the first log-in. */
    get guarantee(): Guarantee | null;
    /** What the server has granted, of what this client can beyond the original protocol. */
    get capabilities(): readonly string[];
    /** The most UTF-16 units of a message, trimmed: the server's limit, once it has told one. */
    get contentUnits(): number;
    /** Does this tab have the connection, or use another tab's? */
    get role(): TabRole;
    protected ask(op: SessionOp, params: SessionParams): Promise<Answer>;
}
