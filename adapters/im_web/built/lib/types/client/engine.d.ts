/** The engine of the tab that leads: the core, what drives it, and the books beside it. */
import { ClientCore, IMError } from '../core';
import type { CoreInput, Event, Guarantee, HistoryPage, SessionCall, SessionVO } from '../generated/types';
import type { ChatSendToOneRequest, ConnectionState, Environment, IMClientConfig, Inspection } from '../types';
import type { Callbacks } from './callbacks';
import { Inbox } from './inbox';
import type { Opened } from './journal';
import type { Outbox } from './outbox';
import type { Settings } from './settings';
import { type Sent } from './sent';
/** What a tab knows of the connection. */
export interface View {
    state: ConnectionState;
    guarantee: Guarantee | null;
    capabilities: string[];
    deviceId: string;
    contentUnits: number;
}
/** What a session call takes beside its name. */
export type SessionParams = Omit<SessionCall, 'type' | 'ref' | 'op'>;
/** What a session call gives. */
export type Answer = SessionVO[] | HistoryPage;
export interface EngineOptions {
    env: Environment;
    settings: Settings;
    token: IMClientConfig['token'];
    callbacks: Callbacks;
    outbox: Outbox;
    /** Null: nothing is kept. */
    opened: Opened | null;
    /** Can messages still come? */
    flowing: () => boolean;
    /** Takes the engine's events, in order, and the message that each is about. */
    tell: (event: Event, sent: Sent | null) => void;
}
export declare class Engine {
    #private;
    readonly core: ClientCore;
    readonly inbox: Inbox;
    /** what an earlier life has left, by name */
    readonly restored: Set<string>;
    constructor(options: EngineOptions);
    /** Does what is queued outlive this tab? */
    get kept(): boolean;
    /**
     * Have the core queue a new message, unless its key has one already: then that one.
     *
     * @throws {IMError | LocalProtocolError} it is refused; nothing was queued.
     */
    send(request: ChatSendToOneRequest): Sent;
    /** Withdraw a message; true if it will not be sent. */
    cancel(sent: Sent): boolean;
    /**
     * Do what the application wants.
     *
     * @throws {LocalProtocolError | IMError} the core refuses it; nothing has changed.
     */
    step(input: CoreInput): void;
    /** Tell the core what the browser says. */
    hint(network: boolean): void;
    /**
     * Ask for something of sessions.
     *
     * @throws {IMError | LocalProtocolError} there is no answer, or no such question.
     */
    session(op: SessionCall['op'], params: SessionParams): Promise<Answer>;
    /** What other tabs may know of the connection. */
    view(): View;
    /** Where the client is, and why. */
    state(): ConnectionState;
    explain(sent?: Sent): string;
    inspect(): Inspection;
    /** No transport is left, and the journal has all: in bounded time. */
    quiet(): Promise<void>;
    /** End in order. */
    close(): Promise<void>;
    /** End at once: what is not in the journal was promised to nobody. */
    drop(): void;
}
/** The state of a client that does nothing. */
export declare function stopped(reason: string, lastError?: IMError | null): ConnectionState;
